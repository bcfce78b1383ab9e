"""Files that hold what tests expect: a rewritten one is explained by the source, or is asked about."""

from __future__ import annotations

from collections.abc import Iterator

from shipway.gates.comparison import Comparison
from shipway.gates.suite import ERROR, FAILED
from shipway.gates.tamper.measured import Measured
from shipway.gates.tamper.outcomes import KEEPING
from shipway.gates.tamper.trick import Level, Trick


def golden(comparison: Comparison, seen: Measured) -> Iterator[Trick]:
    """Findings on changed and deleted files of expectations; new ones are simply new."""
    known = seen.parts
    changed = [
        one for one in known.support if one.before and known.roles.is_golden(one.before)
    ]  # fmt: skip
    for one in changed:
        if one.is_gone:
            said = "a file that tests expect things of was deleted"
            yield Trick(Level.NOTE, "golden-deleted", said, one.path)
        elif one.kind != "renamed" or one.added or one.removed or one.binary:
            level, why = _explained(comparison, seen)
            yield Trick(
                level, "golden-rewritten", f"expected output was rewritten: {why}", one.path
            )


def _explained(comparison: Comparison, seen: Measured) -> tuple[Level, str]:
    """Whether the change to the source is what made the new expectation necessary and true."""
    old_fails = bool(seen.old is not seen.head and seen.old.having(FAILED, ERROR))
    if not seen.parts.source:
        return Level.ASK, "no source changed that could explain it"
    if comparison.claim in KEEPING and old_fails:
        return Level.ASK, f"a {comparison.claim.value} should change no output"
    if old_fails and not seen.proven:
        return Level.ASK, "the old one fails on the new source, the new one fits the old source too"
    return Level.NOTE, "the change to the source explains it"
