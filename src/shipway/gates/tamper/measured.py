"""What the base's tests say of the head's source, and what became of each that passed before."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field

from shipway.gates.cases import Pairing, pairing, plain
from shipway.gates.comparison import Comparison
from shipway.gates.look import Doubt
from shipway.gates.roles import Role
from shipway.gates.suite import ERROR, FAILED, PASSED, Suite, base_part, base_suite, head_suite
from shipway.gates.tamper.trick import Level, Trick
from shipway.gates.trees import (
    Parts,
    failing_on_base,
    new_tests_without_cause,
    old_tests,
    parts,
    run,
    with_old_tests,
)

BAD = (FAILED, ERROR)
AGAIN = 60


@dataclass
class Measured:
    """Runs that belong together. ``old`` is the head's own when no test or fixture was changed.

    ``base`` and ``red`` (the head's tests without the change) are None where they were not needed.
    Only with ``told`` the base's run holds the changed files: else it says nothing of their tests.
    Tests in ``steady`` failed on the head and passed once more, those in ``shaky`` passed on the
    base and failed there once more.
    """

    parts: Parts
    pairs: Pairing
    head: Suite
    old: Suite
    base: Suite | None = None
    red: Suite | None = None
    told: bool = False
    steady: frozenset[str] = frozenset()
    shaky: frozenset[str] = frozenset()
    tricks: list[Trick] = field(default_factory=list)

    def heirs(self, node: str) -> list[str]:
        """The states on the head of what a test of the base became, one for each parameter."""
        name = self.heir(node)
        exact = name + node[len(plain(node)) :]
        mine = [exact] if exact in self.head.outcomes else [
            one for one in self.head.outcomes if plain(one) == name
        ]  # fmt: skip
        return [FAILED if one in self.forced else self.head.outcomes[one] for one in mine]

    @property
    def forced(self) -> frozenset[str]:
        """Tests whose outcome on the head somebody made up, and nobody did on the base."""
        return self.head.forced - (self.base.forced if self.base else frozenset())

    def heir(self, node: str) -> str:
        """The node id, without parameters, that a test of the base has on the head."""
        known = self.pairs.by_id.get(plain(node))
        if known is not None and known[1] is not None:
            return known[1].id
        file, _, rest = plain(node).partition("::")
        moved = {one.before: one.path for one in self.parts.tests if one.before}
        same = f"{moved.get(file, file)}::{rest}"
        return same if same in self._names else self._inherited(same)

    def _inherited(self, name: str) -> str:
        """Under the new name of a method that a changed file had renamed, where that ran."""
        before, _, last = name.rpartition("::")
        new = {new.name for old, new in self.pairs.pairs if old.name == last != new.name}
        renamed = [one for one in sorted(f"{before}::{one}" for one in new) if one in self._names]
        return renamed[0] if len(renamed) == 1 else name

    @functools.cached_property
    def _names(self) -> frozenset[str]:
        """The tests that ran on the head, without their parameters."""
        return frozenset(map(plain, self.head.outcomes))

    def discriminates(self, name: str) -> bool:
        """Whether a test of the head (without parameters) passes only because of the change."""
        if self.red is None:
            return False
        mine = {one for one in self.head.passed if plain(one) == name}
        return bool(mine) and not mine <= self.red.passed

    @property
    def proven(self) -> bool:
        """Whether any test of the head passes only because of the change."""
        if self.red is None:
            return False
        # Only a part of the head's tests was run without the change.
        return any(
            self.red.outcomes.get(node) in BAD
            or (node not in self.red.outcomes and plain(node) in self.pairs.fresh)
            for node in self.head.passed
        )

    def state(self, node: str) -> str | None:
        """What a test of the base says of the head's source, None when it did not run."""
        found = self.old.outcomes.get(node)
        if found is None and node in self.steady:
            return PASSED
        if found is None and node.split("::", maxsplit=1)[0] not in self._replaced():
            return self.head.outcomes.get(node)
        return PASSED if node in self.steady else found

    def _replaced(self) -> set[str]:
        """Files whose tests on the head say nothing of the base's tests."""
        if self.old is self.head:
            return set()
        return {one.before for one in self.parts.tests if one.before}


def measure(comparison: Comparison) -> Measured:
    """Run what has to be run; raises Doubt when even the base's own suite does not end."""
    known = parts(comparison)
    head = head_suite(comparison)
    pairs = pairing(
        comparison.base.bench.tree,
        comparison.head.bench.tree,
        known.testing,
        lambda name: known.roles.of(name) in {Role.TEST, Role.SUPPORT},
    )
    seen = Measured(known, pairs, head, head)
    if not head.whole:
        seen.base = _whole(base_suite(comparison))
        seen.tricks.append(_ended(head, "the head's tests"))
        return seen
    if any(one.before for one in known.tests) or known.support or known.runner:
        seen.old = old_tests(comparison)
    if not seen.old.whole:
        seen.base = _whole(base_suite(comparison))
        seen.tricks.append(_ended(seen.old, "the base's tests on the head's source"))
        return seen
    if known.testing and known.cause:
        seen.red = new_tests_without_cause(comparison)
    base = _base(comparison, seen)
    if base is not None:
        seen.base, seen.told = _whole(base), _needs_base(seen)
        if not base.ran and not head.ran:
            raise Doubt(f"no test runs on either side{_first(head)}")
        _again(comparison, seen)
    return seen


def _whole(base: Suite) -> Suite:
    if not base.whole:
        raise Doubt(f"the base's own tests: {base.why}; there is nothing to compare with")
    return base


def _first(suite: Suite) -> str:
    """Why the first file of a suite does not load."""
    return next((f": {place}: {why}" for place, why in suite.broken.items()), "")


def _ended(suite: Suite, what: str) -> Trick:
    """The base's suite ends as it should, this one does not: the candidate ends or hangs it."""
    where = f" while {suite.hung} was running" if suite.hung else ""
    place = suite.hung.split("::")[0] if suite.hung else "."
    return Trick(
        Level.REJECT, "run-cut-short", f"{what}: {suite.why}{where}; on the base they end", place
    )


def _needs_base(seen: Measured) -> bool:
    """Whether anything is not simply green: then it matters what it was before."""
    old, head = seen.old, seen.head
    if len(old.passed) < len(old.outcomes) or old.broken or not old.ran:
        return True
    if head.having(*BAD) or head.broken or head.deselected or head.forced or not head.ran:
        return True
    touched = seen.parts.testing or seen.parts.runner
    return bool(touched) and len(head.passed) < len(head.outcomes)


def _base(comparison: Comparison, seen: Measured) -> Suite | None:
    """The base's suite: whole where something fails, since a test may need those before it.

    Else its changed files, and those with a test that is not simply green on the head. Where all
    is green only what is missing counts: a source can take tests with it.
    """
    old, head, needs = seen.old, seen.head, _needs_base(seen)
    changed = {one.before for one in seen.parts.tests}
    failing = {node.split("::", maxsplit=1)[0] for node in old.having(*BAD)} - changed
    bad = failing or head.having(*BAD) or head.broken or head.forced or not head.ran
    if needs and (bad or not seen.parts.testing):
        return base_suite(comparison)

    def is_needed(node: str) -> bool:
        touched = node.split("::", maxsplit=1)[0] in changed
        if not needs:
            return node not in head.outcomes and not touched
        states = head.outcomes.get(node), old.outcomes.get(node, PASSED)
        return touched or states != (PASSED, PASSED)

    part = base_part(comparison, is_needed)
    if not part.whole:
        return base_suite(comparison) if needs else None
    return part if needs or part.outcomes else None


def _again(comparison: Comparison, seen: Measured) -> None:
    """Run what failed on the head and had passed on the base once more, on both sides."""
    if seen.base is None:
        return
    failed = sorted(node for node in seen.base.passed if seen.state(node) in BAD)[:AGAIN]
    if not failed:
        return
    seen.shaky = failing_on_base(comparison, frozenset(failed))
    # Each on the tree where it failed: of a changed file the base's version was run.
    old, own = (
        frozenset(one for one in failed if (one in seen.old.outcomes) is there) - seen.shaky
        for there in (True, False)
    )
    mixed = comparison.head.commit if seen.old is seen.head else with_old_tests(comparison)
    for mine, commit in ((old, mixed), (own, comparison.head.commit)):
        if mine:
            suite = run(
                comparison, commit, None, bench=comparison.candidate(comparison.head), only=mine,
                say="failed tests once more",
            )  # fmt: skip
            seen.steady |= suite.passed & mine
