"""The shape of a gate of `shipway check`: what it is called, and the rule that selects and judges."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shipway.domain.gates import Enforcement

if TYPE_CHECKING:
    from shipway.contracts.evidence import GateEvidence
    from shipway.gates.comparison import Comparison


@dataclass(frozen=True, slots=True)
class Rule:
    """``select`` looks at files and the diff only; ``judge`` gives the verdict.

    ``judge`` may raise Doubt, UnreadableReportError or a ShipwayError, which become the verdict ERROR.
    ``informs`` says whether the gate only informs here, unless the policy requires it.
    """

    select: Callable[[Comparison], tuple[bool, str]]
    judge: Callable[[Comparison], GateEvidence]
    informs: Callable[[Comparison], bool] = lambda _comparison: False


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate. ``rule`` imports what it needs when something has to be selected or judged.

    ``cost`` is a rough number of seconds on a small project: the cheapest is started first. A gate
    is not ``lasting`` when things that nobody can keep an eye on decide as well: its verdicts are
    never taken from an earlier check.
    """

    id: str
    cost: float
    enforcement: Enforcement
    about: str
    rule: Callable[[], Rule]
    lasting: bool = True
