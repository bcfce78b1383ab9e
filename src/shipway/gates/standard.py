"""The gates of the validate stage as gates of `shipway check`: style, types, tests, weaknesses, secrets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from shipway.contracts.evidence import GateEvidence
from shipway.domain.gates import Enforcement
from shipway.gates import selection, static
from shipway.gates.changes import Change
from shipway.gates.comparison import Comparison
from shipway.gates.gate import Gate
from shipway.gates.suite_gate import TESTS


def _rule(gate: str) -> Callable[[Comparison], tuple[bool, str]]:
    def select(comparison: Comparison) -> tuple[bool, str]:
        chosen = comparison.once(
            "standard selection",
            lambda: selection.select(comparison.head.bench.project, comparison.base.bench.project),
        )
        found = next(one for one in chosen if one.gate == gate)
        return found.selected, found.reason

    return select


def _select_changed(gate: str) -> Callable[[Comparison], tuple[bool, str]]:
    """For tools that look at each file by itself: only changed files can hold anything new."""

    def select(comparison: Comparison) -> tuple[bool, str]:
        selected, reason = _rule(gate)(comparison)
        count = len(looked_at(gate, comparison))
        if selected and not count:
            return False, "no file changed that it looks at"
        return selected, f"{reason}; {count} changed" if selected else reason

    return select


def looked_at(gate: str, comparison: Comparison) -> list[Change]:
    """The changed files that a tool which looks at each by itself has to see."""
    sources = set(comparison.head.bench.project.sources)
    return [
        one
        for one in comparison.changes
        if not one.is_gone
        and (gate == "secrets" or one.path in sources)
        and (comparison.head.bench.tree / one.path).is_file()
        and not (comparison.head.bench.tree / one.path).is_symlink()
    ]


def _judge_changed(gate: str) -> Callable[[Comparison], GateEvidence]:
    def judge(comparison: Comparison) -> GateEvidence:
        found = looked_at(gate, comparison)
        head = comparison.only(comparison.head, {one.path: one.path for one in found})
        before = {one.path: one.before for one in found if one.before}
        # A file that was renamed lies on both sides under its new name.
        base = comparison.only(comparison.base, before) if before else None
        return static.judge(gate, head, base)

    return judge


def _lint(comparison: Comparison) -> GateEvidence:
    head, base = comparison.head.bench, comparison.base.bench
    return static.judge("lint", head, base, comparison.renamed())


def _types(comparison: Comparison) -> GateEvidence:
    """Both sides in the head's environment: what it installs is not what is compared."""
    head = comparison.prepared(comparison.head)
    base = replace(comparison.base.bench, candidate=head.candidate, unbuilt=head.unbuilt)
    return static.judge("types", comparison.apart(head), base, comparison.renamed())


GATES = (
    Gate(
        "lint", 1, 0.5, Enforcement.REQUIRED,
        "the project's own style rules, else ruff's default; what the base has too is told apart",
        _rule("lint"), _lint,
    ),
    Gate(
        "secrets", 1, 3.0, Enforcement.REQUIRED,
        "nothing that looks like a password or key comes in",
        _select_changed("secrets"), _judge_changed("secrets"),
    ),
    Gate(
        "security", 1, 2.0, Enforcement.REQUIRED,
        "no new weakness of medium severity or above",
        _select_changed("security"), _judge_changed("security"),
    ),
    Gate(
        "types", 1, 8.0, Enforcement.REQUIRED,
        "no new type error, by the checker that the project configures", _rule("types"), _types,
    ),
    TESTS,
)  # fmt: skip
