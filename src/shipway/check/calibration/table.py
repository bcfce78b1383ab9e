"""Counts trials: shares with their intervals, which gate decided, and what came out wrong."""

from __future__ import annotations

import math
import shlex
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from shipway.check.calibration.manifest import Case, Corpus
from shipway.check.calibration.variants import VARIANTS, Variant
from shipway.contracts.calibration import CalibrationReport, Share, Trial, VariantTotals, Wrong
from shipway.contracts.check import Outcome

_Z = 1.959963984540054
"""The 97.5th percentile of the normal distribution: two sides of 95 %."""


def wilson(count: int, total: int) -> Share:
    """A share and Wilson's interval for it; nothing counted is anything from 0 to 100 %."""
    if not total:
        return Share(count=0, share=0.0, low=0.0, high=100.0)
    share = count / total
    centre = share + _Z**2 / (2 * total)
    spread = _Z * math.sqrt(share * (1 - share) / total + _Z**2 / (4 * total**2))
    whole = 1 + _Z**2 / total
    low, high = max(0.0, (centre - spread) / whole), min(1.0, (centre + spread) / whole)
    return Share(
        count=count, share=_percent(share), low=_percent(low), high=_percent(high)
    )  # fmt: skip


def _percent(share: float) -> float:
    return round(100 * share, 1)


def totals(variant: Variant, trials: Sequence[Trial]) -> VariantTotals:
    """One row of the table."""
    judged = [one for one in trials if one.outcome is not None]

    def having(*outcomes: Outcome) -> Share:
        return wilson(sum(one.outcome in outcomes for one in judged), len(judged))

    decided = Counter(one.gates[0] for one in judged if one.gates)
    return VariantTotals(
        variant=variant.name,
        kind=variant.kind,
        about=variant.about,
        judged=len(judged),
        accepted=having(Outcome.ACCEPTED),
        rejected=having(Outcome.REJECTED, Outcome.NOTHING),
        person=having(Outcome.PERSON),
        failed=len(trials) - len(judged),
        median_seconds=round(statistics.median([one.seconds for one in judged] or [0.0]), 1),
        decided_by=dict(decided.most_common()),
    )


def report(
    corpus: Corpus, cases: Sequence[Case], trials: Iterable[Trial], left: tuple[int, int],
    machine: Mapping[str, str],
) -> CalibrationReport:  # fmt: skip
    """The whole of it; ``left`` are the numbers of missing and of absent trials."""
    found = list(trials)
    rows = [
        totals(variant, mine)
        for variant in VARIANTS.values()
        if (mine := [one for one in found if one.variant == variant.name])
    ]
    by_name = {one.variant: one for one in rows}
    bad = [one for one in rows if one.kind not in {"good", "mutant"}]
    wrong = [one for one in (_wrong(corpus, cases, trial) for trial in found) if one]
    gold = by_name.get("gold")
    mutant = by_name.get("mutant")
    return CalibrationReport(
        corpus=str(corpus.path),
        cases=len(cases),
        trials=len(found),
        missing=left[0],
        absent=left[1],
        variants=rows,
        mutant_kill_rate=wilson(
            mutant.judged - mutant.accepted.count if mutant else 0, mutant.judged if mutant else 0
        ),
        false_accepts=wilson(
            sum(one.accepted.count for one in bad), sum(one.judged for one in bad)
        ),
        gold_rejected=gold.rejected if gold else wilson(0, 0),
        gold_person=gold.person if gold else wilson(0, 0),
        wrong=[one for one in wrong if one.variant != "mutant"],
        survivors=[one for one in wrong if one.variant == "mutant"],
        machine=dict(machine),
        seconds=round(sum(one.seconds for one in found), 1),
    )


def _wrong(corpus: Corpus, cases: Sequence[Case], trial: Trial) -> Wrong | None:
    kind = VARIANTS[trial.variant].kind
    expect = next(one.expect for one in cases if one.id == trial.case)
    right = trial.outcome is expect if kind == "good" else trial.outcome is not Outcome.ACCEPTED
    if right and trial.outcome is not None:
        return None
    return Wrong(
        case=trial.case,
        variant=trial.variant,
        outcome=trial.outcome,
        expected=expect.value if kind == "good" else "not accepted",
        gates=trial.gates,
        why=trial.why,
        repeat=shlex.join(
            [
                "shipway",
                "calibrate",
                str(corpus.path),
                "--case",
                trial.case,
                "--variant",
                trial.variant,
                "--again",
            ]
        ),
    )
