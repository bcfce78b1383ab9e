"""Gates: selected or not applicable before anything runs, then one of four verdicts; only PASS passes."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple


class Verdict(StrEnum):
    PASS = "PASS"  # noqa: S105 - a verdict, not a password
    FAIL = "FAIL"
    ERROR = "ERROR"
    NOT_RUN = "NOT_RUN"


class Enforcement(StrEnum):
    REQUIRED = "required"
    ADVISORY = "advisory"


class Selection(NamedTuple):
    """The recorded choice to run a gate, or not to, made by a rule before anything runs."""

    gate: str
    selected: bool
    reason: str
    enforcement: Enforcement = Enforcement.REQUIRED


class Judgement(NamedTuple):
    """One gate's verdict. ``examined`` is the positive denominator: tests run, files scanned."""

    gate: str
    verdict: Verdict
    examined: int
    summary: str
    enforcement: Enforcement = Enforcement.REQUIRED


def sound(judgement: Judgement) -> Judgement:
    """A PASS that examined nothing is no PASS: it becomes NOT_RUN."""
    if judgement.verdict is Verdict.PASS and judgement.examined <= 0:
        return Judgement(
            judgement.gate,
            Verdict.NOT_RUN,
            judgement.examined,
            f"nothing was examined: {judgement.summary}",
            judgement.enforcement,
        )
    return judgement


def passes(selections: Iterable[Selection], judgements: Iterable[Judgement]) -> bool:
    """Whether every selected, required gate has exactly one sound PASS.

    Fails closed: nothing selected, a selected gate without a judgement, a judgement for a gate
    that was not selected, or two for one gate is never a pass.
    """
    chosen = {one.gate: one.enforcement for one in selections if one.selected}
    given: set[str] = set()
    for judgement in judgements:
        gate = judgement.gate
        if gate in given or gate not in chosen:
            return False
        given.add(gate)
        required = chosen[gate] is Enforcement.REQUIRED
        if required and sound(judgement).verdict is not Verdict.PASS:
            return False
    return len(given) == len(chosen) and Enforcement.REQUIRED in chosen.values()
