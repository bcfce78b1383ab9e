"""Tests that passed on the base and no longer count on the head, told apart by what explains them."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from shipway.contracts.model import today
from shipway.domain.states import Claim
from shipway.gates.cases import Case, parse, plain, read
from shipway.gates.comparison import Comparison
from shipway.gates.suite import PASSED, SKIPPED, XFAILED, XPASSED
from shipway.gates.tamper.assertions import marks, strength
from shipway.gates.tamper.measured import BAD, Measured
from shipway.gates.tamper.trick import Level, Trick

KEEPING = frozenset({Claim.REFACTOR, Claim.CHORE})
SILENT = frozenset({SKIPPED, XFAILED, XPASSED})
ALIKE = 0.5
LONG = 12


def lost(comparison: Comparison, seen: Measured) -> Iterator[Trick]:
    """One finding for each test (not each parameter) of the base that lost its say."""
    if seen.base is None:
        return
    told: set[tuple[str, str]] = set()
    known = comparison.policy.quarantine
    excused = {one.test for one in known if one.expires >= today()}
    for node in sorted(seen.base.passed - excused - seen.shaky):
        case, heir = seen.pairs.by_id.get(plain(node), (None, None))
        if case is not None and heir is None:
            continue  # deleted: see gone()
        trick = _Test(comparison, seen, node, case, heir).judged()
        if trick is not None and (plain(node), trick.rule) not in told:
            told.add((plain(node), trick.rule))
            yield trick
    for node in sorted(seen.steady):
        said = f"{node} fails now and then: it failed on the head's source and passed once more"
        yield Trick(Level.NOTE, "flaky-test", said, node.split("::", maxsplit=1)[0])


@dataclass(frozen=True, slots=True)
class _Test:
    """One test that passed on the base; ``case`` and ``heir`` are known where its file changed."""

    comparison: Comparison
    seen: Measured
    node: str
    case: Case | None
    heir: Case | None

    def judged(self) -> Trick | None:
        state = self.seen.state(self.node)
        heirs = set(self.seen.heirs(self.node))
        if heirs & set(BAD):
            fails = self.node not in self.seen.steady
            if fails and (state != PASSED or self.seen.old is self.seen.head):
                return self._trick(
                    Level.REJECT, "test-broken", "passed on the base, fails on the head"
                )
            return None
        if PASSED in heirs:
            return None if state == PASSED else self._replaced(state)
        if heirs & SILENT:
            return self._silenced(state)
        return self._missing(state)

    def _trick(self, level: Level, rule: str, said: str) -> Trick:
        name = self.seen.heir(self.node)
        return Trick(
            level,
            rule,
            f"{self.node}: {said}",
            self.heir.path if self.heir else name.split("::", maxsplit=1)[0],
            self.heir.node.lineno if self.heir else None,
            f"python -m pytest '{self.node}'",
        )

    def _replaced(self, state: str | None) -> Trick | None:
        """The base's own version fails on the head's source, and the head's version passes."""
        said = self.seen.old.messages.get(self.node, "it does not run there")
        if self.comparison.claim in KEEPING:
            claim = self.comparison.claim.value
            return self._trick(
                Level.ASK, "expectation-changed",
                f"a {claim} keeps behaviour, but the base's version of the test fails: {said}",
            )  # fmt: skip
        if self.case is None or self.heir is None or self.case.whole == self.heir.whole:
            return self._ground_moved(state, said)
        if self.seen.discriminates(self.heir.id):
            return None
        before, after = strength(self.case.node), strength(self.heir.node)
        idle = after.empty or after.swallowed or after.cut_off
        if after.compared < before.compared or idle:
            # Other tests show the change: whether this one had to give way is for a person to say.
            explained = not idle and (self.seen.proven or self._was_said_by_source())
            return self._trick(
                Level.ASK if explained else Level.REJECT, "assertion-weakened",
                f"its old expectation fails on the head ({said}), and what stands there now passes "
                "with and without the change",
            )  # fmt: skip
        if state is None:
            return None
        return self._trick(
            Level.ASK, "expectation-loosened",
            f"its old version fails on the head ({said}), its new one passes on both",
        )  # fmt: skip

    def _ground_moved(self, state: str | None, said: str) -> Trick | None:
        """Its text is as it was; fixtures, data or imports changed along with the source.

        With the change to the source they have to make a difference: what passes on the base's
        source as well may be made to pass by what stands under it now.
        """
        red = self.seen.red
        name = self.seen.heir(self.node)
        mine = {one for one in self.seen.head.passed if plain(one) == name}
        if state not in BAD or red is None or not mine or not mine <= red.passed:
            return None
        return self._trick(
            Level.ASK, "ground-moved",
            f"with the base's fixtures and data it fails on the head ({said}), with the head's it "
            "passes, and without the change too",
        )  # fmt: skip

    def _was_said_by_source(self) -> bool:
        """Whether a text that the test does not ask for any more was taken out of the source too."""
        if self.case is None or self.heir is None:
            return False
        dropped = _texts(self.case.content) - _texts(self.heir.content)
        return bool(dropped & _removed(self.comparison, self.seen, _said))

    def _silenced(self, state: str | None) -> Trick:
        hides = state in BAD
        word = "skipped or expected to fail"
        if hides:
            said = f"it is {word} on the head, and the base's version fails on the head's source"
            return self._trick(Level.REJECT, "test-skipped", said)
        conditional = self.heir is not None and (
            marks(self.heir).always == 0 and not strength(self.heir.node).ways_out
        )
        said = f"passed on the base and is {word} on the head"
        return self._trick(Level.ASK if conditional else Level.REJECT, "test-skipped", said)

    def _missing(self, state: str | None) -> Trick | None:
        """Collected on the base, and not run on the head although its function stands there."""
        name = self.seen.heir(self.node)
        file = name.split("::", maxsplit=1)[0]
        if any(plain(one) == name for one in self.seen.head.deselected):
            return self._trick(Level.REJECT, "test-deselected", "the head deselects it")
        if file in self.seen.head.broken:
            return self._trick(Level.REJECT, "test-broken", "its file does not load on the head")
        if file in self.seen.head.passed_over:
            return self._trick(Level.REJECT, "test-skipped", "the head skips its whole file")
        if self.heir is None and self._went_with_source():
            return None
        # Of a test that no function of its changed file stands for, nobody can say what became.
        made = self.case is None and any(
            one.before == self._file for one in self.seen.parts.testing
        )
        level = Level.ASK if made or ("[" in self.node and state == PASSED) else Level.REJECT
        if self._inherited_from_gone():
            level = Level.ASK
        return self._trick(level, "test-not-collected", "passed on the base, not run on the head")

    def _inherited_from_gone(self) -> bool:
        """A method of a class whose own test, of the same name, was deleted: see gone()."""
        name = plain(self.node).rpartition("::")[2]
        return "::" in plain(self.node).partition("::")[2] and any(
            one.scope and one.name == name for one in self.seen.pairs.gone
        )

    def _went_with_source(self) -> bool:
        """A doctest of a changed file, or a test of a file that is gone: no function to follow."""
        changes = [one for one in self.comparison.changes if one.before == self._file]
        return any(one.is_gone or one not in self.seen.parts.testing for one in changes)

    @property
    def _file(self) -> str:
        return self.node.split("::", maxsplit=1)[0]


def gone(comparison: Comparison, seen: Measured) -> Iterator[Trick]:
    """Tests of the base that have no successor on the head."""
    removed = _removed(comparison, seen, _defined)
    for case in seen.pairs.gone:
        if not case.is_test:
            continue
        states = {
            state for node, state in seen.old.outcomes.items() if plain(node) == case.id
        }  # fmt: skip
        passed = seen.base.passed if seen.base is not None and seen.told else None
        if passed is not None and not any(plain(one) == case.id for one in passed):
            yield _deleted(Level.NOTE, case, "it did not pass on the base either")
        elif any(one == PASSED for one in states):
            yield _deleted(Level.ASK, case, "it passes on the head's source")
        elif case.content & removed or _imports(case) & removed:
            yield _deleted(Level.NOTE, case, "what it tested was removed")
        elif any(_merged(seen, case, new) for new in _fresh(seen)):
            yield _deleted(Level.NOTE, case, "it is one of the parameters of another test now")
        elif any(_alike(case, new) for new in seen.pairs.new if new.is_test):
            yield _deleted(Level.ASK, case, "it fails on the head's source; a new one is like it")
        elif seen.proven and comparison.claim not in KEEPING:
            said = "it fails on the head's source, and other tests show what was changed"
            yield _deleted(Level.ASK, case, said)
        else:
            yield _deleted(
                Level.REJECT, case, "it passed on the base and fails on the head's source"
            )


def _deleted(level: Level, case: Case, why: str) -> Trick:
    return Trick(
        level, "test-deleted", f"{case.id} was deleted: {why}", case.path, case.node.lineno
    )


def _fresh(seen: Measured) -> Iterator[Case]:
    """Tests of the head that are new or changed."""
    yield from seen.pairs.new
    yield from (new for old, new in seen.pairs.pairs if old.whole != new.whole)


def _merged(seen: Measured, old: Case, new: Case) -> bool:
    """Whether a test with parameters, which proves the change, calls the same with the same values."""
    inputs = {
        f"={one.value!r}"
        for call in ast.walk(old.node)
        if isinstance(call, ast.Call)
        for argument in (*call.args, *(word.value for word in call.keywords))
        for one in ast.walk(argument)
        if isinstance(one, ast.Constant)
    }
    names = {one for one in old.content if one.startswith(".")}
    takes = any(".parametrize" in one for one in new.content)
    return takes and bool(inputs) and inputs | names <= new.content and seen.discriminates(new.id)


def _alike(old: Case, new: Case) -> bool:
    """Whether two tests use the same names, if with other values."""
    names = {one for one in old.content if one.startswith(".")}
    return bool(names) and len(names & new.content) >= ALIKE * len(names)


def _imports(case: Case) -> set[str]:
    """What the test's module imports by name, where the test uses it."""
    used = {one.id for one in ast.walk(case.node) if isinstance(one, ast.Name)}
    return {f".{one}" for one in used}


def _removed(
    comparison: Comparison, seen: Measured, holds: Callable[[Path, str | None], set[str]]
) -> set[str]:
    """What changed sources held on the base and hold no more."""
    old: set[str] = set()
    new: set[str] = set()
    for one in seen.parts.source:
        old |= holds(comparison.base.bench.tree, one.before)
        new |= holds(comparison.head.bench.tree, None if one.is_gone else one.path)
    return old - new


def _texts(content: Iterable[str]) -> set[str]:
    """Those of a test's literals that are long enough to be known again."""
    return {one for one in content if one.startswith(("='", '="')) and len(one) > LONG}


def _said(tree: Path, name: str | None) -> set[str]:
    module = parse(read(tree, name)) if name and name.endswith(".py") else None
    constants = (one for one in ast.walk(module) if isinstance(one, ast.Constant)) if module else ()
    return {f"={one.value!r}" for one in constants}


def _defined(tree: Path, name: str | None) -> set[str]:
    module = parse(read(tree, name)) if name and name.endswith(".py") else None
    if name is None or module is None:
        return set()
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    names = {f".{one.name}" for one in ast.walk(module) if isinstance(one, kinds)}
    return names | {f".{Path(name).stem}"}
