"""How much may go on at once: the limits, how they are written, and the priorities of runs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

#: What a person may say of a run; what has a higher number goes first.
PRIORITIES: Mapping[str, int] = {"low": -1, "normal": 0, "high": 1, "urgent": 2}

#: An order is held back for at most so long, and a run waits at most so long to begin.
HOLD_LIMIT_S = 86400.0
QUEUE_LIMIT_S = 7 * 86400.0

_PER = {"s": 1.0, "m": 60.0, "h": 3600.0}
_RATE = re.compile(r"([1-9][0-9]{0,5})/([smh])")


@dataclass(frozen=True, slots=True)
class Rate:
    """``count`` orders in ``seconds``, evenly; a whole ``count`` may come at once."""

    count: int
    seconds: float

    @property
    def interval(self) -> float:
        return self.seconds / self.count

    def __str__(self) -> str:
        unit = next(name for name, seconds in _PER.items() if seconds == self.seconds)
        return f"{self.count}/{unit}"


@dataclass(frozen=True, slots=True)
class Limits:
    """``capabilities`` are numbers of attempts at once, where they differ from the usual.

    ``runs`` may be at work, of them ``runs_per_repository`` for one repository (0: as many);
    ``queue`` more may wait to begin.
    """

    capabilities: Mapping[str, int] = field(default_factory=dict)
    rates: Mapping[str, Rate] = field(default_factory=dict)
    runs: int = 100
    runs_per_repository: int = 0
    queue: int = 1000


def numbers(text: str) -> dict[str, int]:
    """``implement=2, deploy=1``; raises ValueError."""
    found = {}
    for name, value in _pairs(text):
        if not value.isdigit() or not 1 <= int(value) <= 1000:
            raise ValueError(f"{name} needs a whole number from 1 to 1000")
        found[name] = int(value)
    return found


def rates(text: str) -> dict[str, Rate]:
    """``implement=30/m, deploy=6/h``; raises ValueError."""
    found = {}
    for name, value in _pairs(text):
        match = _RATE.fullmatch(value)
        if match is None:
            raise ValueError(f"{name} needs a rate as 30/m (s, m or h)")
        found[name] = Rate(int(match[1]), _PER[match[2]])
    return found


def _pairs(text: str) -> list[tuple[str, str]]:
    pairs = []
    for part in filter(None, (one.strip() for one in text.split(","))):
        name, equals, value = (one.strip() for one in part.partition("="))
        if not equals or not re.fullmatch(r"[a-z][a-z0-9_-]*", name):
            raise ValueError("NAME=VALUE pairs, with commas between")
        pairs.append((name, value))
    return pairs
