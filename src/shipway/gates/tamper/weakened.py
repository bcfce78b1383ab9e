"""Changed and new tests compared by their syntax: fewer or emptier assertions, and ways around them."""

from __future__ import annotations

from collections.abc import Iterator

from shipway.gates.cases import Case, plain
from shipway.gates.tamper.assertions import Strength, marks, strength
from shipway.gates.tamper.measured import Measured
from shipway.gates.tamper.trick import Level, Trick


def weakened(seen: Measured) -> Iterator[Trick]:
    """Findings on functions of test files that are not what they were, and on new ones."""
    for old, new in seen.pairs.pairs:
        if old.whole != new.whole:
            yield from _changed(seen, old, new)
    for new in seen.pairs.new:
        if new.is_test:
            yield from _new(seen, new)


def _changed(seen: Measured, old: Case, new: Case) -> Iterator[Trick]:
    before, after = strength(old.node), strength(new.node)
    shown = seen.discriminates(new.id)
    # What proves the change has shown that it can fail; anything else must keep what it asserted.
    level = Level.ASK if shown or after.compared >= before.compared else Level.REJECT
    if len(after.empty) > len(before.empty):
        yield _at(level, "assertion-empty", new, after.empty, "an assertion that always holds")
    if len(after.swallowed) > len(before.swallowed):
        yield _at(Level.REJECT, "assertion-swallowed", new, after.swallowed,
                  "a failing assertion is caught and forgotten")  # fmt: skip
    if len(after.cut_off) > len(before.cut_off):
        yield _at(Level.REJECT, "assertion-unreachable", new, after.cut_off,
                  "it returns before its assertions")  # fmt: skip
    if len(after.ways_out) > len(before.ways_out) and not shown:
        yield _at(Level.ASK, "test-skips-itself", new, after.ways_out, "it may skip itself now")
    if len(after.broad) > len(before.broad):
        yield _at(Level.ASK, "assertion-weakened", new, after.broad, "it expects any exception now")
    if before.tolerance and after.tolerance > before.tolerance * 1.001:
        said = f"its tolerance grew from {before.tolerance:g} to {after.tolerance:g}"
        yield _at(Level.ASK, "tolerance-widened", new, [], said)
    if _fewer(seen, old, new, before, after):
        said = f"{before.compared} comparisons and {before.truths} truths became "
        said += f"{after.compared} and {after.truths}"
        if after.count == 0 and not shown and new.is_test and old.is_test:
            yield _at(Level.REJECT, "assertion-removed", new, [], said)
        else:
            yield _at(Level.ASK, "assertion-removed", new, [], said)


def _fewer(seen: Measured, old: Case, new: Case, before: Strength, after: Strength) -> bool:
    """Whether it asserts less, and what it asserted stands nowhere else in it."""
    if after.compared >= before.compared and after.count >= before.count:
        return False
    if after.compared >= before.compared and seen.discriminates(new.id):
        return False
    if after.patterns > before.patterns:
        return False
    runs = [sum(plain(one) == case.id for one in suite.outcomes)
            for case, suite in ((old, seen.old), (new, seen.head))]  # fmt: skip
    if runs[1] > runs[0] > 0 or not new.is_test:
        # One assertion for each parameter now; a helper counts by those who call it.
        return not new.is_test and after.count == 0
    return not _values(old) <= _everything(seen, new)


def _values(case: Case) -> frozenset[str]:
    return frozenset(one for one in case.content if one.startswith("="))


def _everything(seen: Measured, new: Case) -> frozenset[str]:
    """What the test and the new tests beside it hold: a test may be taken apart."""
    beside = (one for one in seen.pairs.new if one.path == new.path)
    return new.content.union(*(one.content for one in beside))


def _new(seen: Measured, case: Case) -> Iterator[Trick]:
    """A new test cannot weaken anything, but it can pretend."""
    facts, marked = strength(case.node), marks(case)
    states = {state for node, state in seen.head.outcomes.items() if plain(node) == case.id}
    if facts.empty:
        yield _at(Level.ASK, "assertion-empty", case, facts.empty, "an assertion that always holds")
    if facts.swallowed:
        yield _at(Level.ASK, "assertion-swallowed", case, facts.swallowed,
                  "a failing assertion is caught and forgotten")  # fmt: skip
    if facts.deaf and not facts.count:
        yield _at(Level.ASK, "test-swallows", case, facts.deaf,
                  "it asserts nothing, and catches and forgets what goes wrong")  # fmt: skip
    if facts.cut_off:
        yield _at(Level.ASK, "assertion-unreachable", case, facts.cut_off,
                  "it returns before its assertions")  # fmt: skip
    if marked.always and states <= {"skipped", "xfailed"}:
        yield _at(Level.ASK, "test-skipped", case, [marked.line or case.node.lineno],
                  "a new test that is skipped or expected to fail")  # fmt: skip
    elif states == {"skipped"} and facts.ways_out:
        yield _at(Level.ASK, "test-skips-itself", case, facts.ways_out, "a new test skips itself")
    if _says_nothing(seen, case, facts):
        # Beside tests that do show the change it is one more, and takes nothing away.
        level = Level.NOTE if seen.proven else Level.ASK
        yield _at(level, "test-says-little", case, [],
                  "a new test that compares nothing, and passes without the change too")  # fmt: skip


def _says_nothing(seen: Measured, case: Case, facts: Strength) -> bool:
    if facts.compared or not facts.truths or seen.red is None:
        return False
    mine = {one for one in seen.head.passed if plain(one) == case.id}
    return bool(mine) and mine <= seen.red.passed


def _at(level: Level, rule: str, case: Case, lines: list[int], said: str) -> Trick:
    line = lines[0] if lines else case.node.lineno
    return Trick(level, rule, f"{case.id}: {said}", case.path, line)
