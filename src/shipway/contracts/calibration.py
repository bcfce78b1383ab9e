"""What a calibration found: each variant judged, how often the gates were right, and how sure that is."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from shipway.contracts.check import Outcome
from shipway.contracts.model import Model


class Trial(Model):
    """One variant of one case, judged. ``outcome`` None says that it could not be judged at all.

    ``gates`` are those that stood in its way, the deciding one first, each with what it said;
    ``key`` is the digest of all that could change the outcome.
    """

    case: str
    variant: str
    key: str
    outcome: Outcome | None
    gates: list[str] = Field(default_factory=list)
    why: str = ""
    about: str = ""
    seconds: float = 0.0


class Share(Model):
    """A count and its share with the 95 % interval of Wilson, in per cent."""

    count: int
    share: float
    low: float
    high: float


class VariantTotals(Model):
    """One variant over all cases that have it."""

    variant: str
    kind: str
    about: str
    judged: int
    accepted: Share
    rejected: Share
    person: Share
    failed: int
    median_seconds: float
    decided_by: dict[str, int]


class Wrong(Model):
    """A trial that did not come out as it should, and the command that repeats it."""

    case: str
    variant: str
    outcome: Outcome | None
    expected: str
    gates: list[str]
    why: str
    repeat: str


class CalibrationReport(Model):
    """The whole: ``missing`` counts trials that were not reached yet, ``absent`` those that a case
    cannot have, such as a changed test where the change has none."""

    format: Literal[1] = 1
    corpus: str
    cases: int
    trials: int
    missing: int
    absent: int
    variants: list[VariantTotals]
    mutant_kill_rate: Share
    false_accepts: Share
    gold_rejected: Share
    gold_person: Share
    wrong: list[Wrong]
    survivors: list[Wrong]
    machine: dict[str, str]
    seconds: float
