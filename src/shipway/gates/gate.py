"""The shape of a gate of `shipway check`: a rule that selects it, and a judge that gives its verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from shipway.contracts.evidence import GateEvidence
from shipway.domain.gates import Enforcement
from shipway.gates.comparison import Comparison


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate. ``version`` is raised whenever its verdict on the same trees could be another.

    ``cost`` is a rough number of seconds on a small project: the cheapest is started first.
    ``select`` looks at files and the diff only; ``judge`` may raise Doubt, UnreadableReportError
    or a ShipwayError, which become the verdict ERROR. A gate is not ``lasting`` when things that
    nobody can keep an eye on decide as well: its verdicts are never taken from an earlier check.
    """

    id: str
    version: int
    cost: float
    enforcement: Enforcement
    about: str
    select: Callable[[Comparison], tuple[bool, str]]
    judge: Callable[[Comparison], GateEvidence]
    lasting: bool = True
