"""The JSON report of coverage.py as measurements."""

from __future__ import annotations

import math
from typing import Any

from shipway.contracts.evidence import Measurement
from shipway.gates.parsers.reading import UnreadableReportError, count, load_json, mapping


def _share(totals: dict[str, Any], covered: str, total: str) -> float | None:
    """Percent, or None where there is nothing to cover."""
    whole = count(totals.get(total, 0), f"coverage's {total}")
    part = count(totals.get(covered, 0), f"coverage's {covered}")
    if part > whole:
        raise UnreadableReportError(f"coverage's {covered} is more than its {total}")
    return round(100.0 * part / whole, 2) if whole else None


def read(data: bytes, threshold: float | None = None) -> list[Measurement]:
    """Lines, branches and both together in percent; raises UnreadableReportError."""
    report = mapping(load_json(data), "coverage's report")
    totals = mapping(report.get("totals"), "coverage's totals")
    percent = totals.get("percent_covered")
    if (
        not isinstance(percent, int | float)
        or isinstance(percent, bool)
        or not math.isfinite(percent)
    ):
        raise UnreadableReportError("coverage's total is not a number")
    if not 0 <= percent <= 100:
        raise UnreadableReportError("coverage's total is not a percentage")
    shares = {
        "line coverage": _share(totals, "covered_lines", "num_statements"),
        "branch coverage": _share(totals, "covered_branches", "num_branches"),
    }
    made = [
        Measurement(name="coverage", value=round(float(percent), 2), unit="%", threshold=threshold)
    ]
    made += [
        Measurement(name=name, value=value, unit="%")
        for name, value in shares.items()
        if value is not None
    ]
    return made
