"""Every gate that `shipway check` knows, the cheapest first."""

from __future__ import annotations

from shipway.domain.policy import Policy
from shipway.gates import (
    building,
    commands,
    complexity,
    coverage,
    dependencies,
    holdout,
    mutants,
    proof,
    rules,
    standard,
    tamper,
)
from shipway.gates.gate import Gate

BUILT_IN: tuple[Gate, ...] = (
    *rules.GATES,
    *complexity.GATES,
    *dependencies.GATES,
    building.GATE,
    *standard.GATES,
    proof.GATE,
    tamper.GATE,
    holdout.GATE,
    coverage.GATE,
    mutants.GATE,
)
NAMES = tuple(gate.id for gate in BUILT_IN)


def gates(policy: Policy) -> list[Gate]:
    """The built-in gates and those that the policy declares, in the order they are started."""
    declared = [commands.gate(one) for one in policy.commands]
    return sorted([*BUILT_IN, *declared], key=lambda gate: gate.cost)
