"""The gates of the validate stage as gates of `shipway check`: style, types, tests, weaknesses, secrets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from shipway.contracts.evidence import GateEvidence
from shipway.domain.gates import Enforcement
from shipway.gates import selection, static
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


def _reading(gate: str) -> Callable[[Comparison], GateEvidence]:
    def judge(comparison: Comparison) -> GateEvidence:
        return static.judge(gate, comparison.head.bench, comparison.base.bench)

    return judge


def _types(comparison: Comparison) -> GateEvidence:
    """Both sides in the head's environment: what it installs is not what is compared."""
    head = comparison.prepared(comparison.head)
    base = replace(comparison.base.bench, candidate=head.candidate, unbuilt=head.unbuilt)
    return static.judge("types", comparison.apart(head), base)


GATES = (
    Gate(
        "lint", 1, 0.5, Enforcement.REQUIRED,
        "the project's own style rules, else ruff's default; what the base has too is told apart",
        _rule("lint"), _reading("lint"),
    ),
    Gate(
        "secrets", 1, 3.0, Enforcement.REQUIRED,
        "nothing that looks like a password or key comes in", _rule("secrets"), _reading("secrets"),
    ),
    Gate(
        "security", 1, 2.0, Enforcement.REQUIRED,
        "no new weakness of medium severity or above", _rule("security"), _reading("security"),
    ),
    Gate(
        "types", 1, 8.0, Enforcement.REQUIRED,
        "no new type error, by the checker that the project configures", _rule("types"), _types,
    ),
    TESTS,
)  # fmt: skip
