"""How much may be asked in a time: GCRA, exact and smooth, with one timestamp for each key."""

from __future__ import annotations

import math

from shipway.domain.limits import Rate
from shipway.resilience.shared import Taken


def gcra(tat: float, now: float, rate: Rate, cost: int = 1) -> tuple[float, Taken]:
    """The new timestamp of a key, and whether ``cost`` is allowed now (else nothing changes)."""
    interval, whole = rate.interval, rate.seconds
    tat = max(tat, now)
    new = tat + interval * cost
    wait = new - whole - now
    if wait > 1e-9:
        return tat, Taken(False, _left(tat, now, rate), wait, tat - now)
    return new, Taken(True, _left(new, now, rate), 0.0, new - now)


def _left(tat: float, now: float, rate: Rate) -> int:
    return max(0, math.floor((rate.seconds - (tat - now)) / rate.interval + 1e-9))
