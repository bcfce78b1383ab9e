"""How states, durations and times are written: icon and word and colour, the same everywhere."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from shipway.domain.states import ICONS


class Sign(NamedTuple):
    """One state as people see it; ``plain`` stands in where the terminal has no Unicode."""

    icon: str
    plain: str
    style: str


_PLAIN_AND_STYLE = {
    "passed": ("+", "green"),
    "succeeded": ("+", "green"),
    "running": (">", "blue"),
    "waiting": ("?", "bold yellow"),
    "paused": ("=", "yellow"),
    "queued": (".", "cyan"),
    "ready": (".", "cyan"),
    "pending": (".", "dim"),
    "failed": ("x", "bold red"),
    "quarantined": ("!", "bold red"),
    "skipped": ("-", "dim"),
    "cancelled": ("o", "magenta"),
    "invalidated": ("~", "magenta"),
}
# Verdicts of gates and of health checks are drawn as the states that they resemble.
_LIKE = {
    "PASS": "passed",
    "FAIL": "failed",
    "ERROR": "failed",
    "NOT_RUN": "skipped",
    "pass": "passed",
    "warn": "quarantined",
    "fail": "failed",
}


def sign(state: str) -> Sign:
    """The sign of a state or verdict; one that we do not know is shown as a question mark."""
    word = _LIKE.get(state, state)
    plain, style = _PLAIN_AND_STYLE.get(word, ("?", "yellow"))
    return Sign(ICONS.get(word, "?"), plain, "yellow" if state == "warn" else style)


MINUTE, HOUR, DAY = 60, 3600, 86400


def duration(seconds: float) -> str:
    """``0.4s``, ``12s``, ``1m 05s``, ``2h 03m``, ``3d 04h``: never more than two parts."""
    if seconds < 0:
        seconds = 0.0
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < MINUTE:
        return f"{whole}s"
    if whole < HOUR:
        return f"{whole // MINUTE}m {whole % MINUTE:02d}s"
    if whole < DAY:
        return f"{whole // HOUR}h {whole % HOUR // MINUTE:02d}m"
    return f"{whole // DAY}d {whole % DAY // HOUR:02d}h"


def moment(timestamp: str) -> datetime:
    """A wire timestamp as a time."""
    return datetime.fromisoformat(timestamp)


def since(timestamp: str | None, now: datetime) -> float | None:
    """Seconds from ``timestamp`` to ``now``; None when there is no timestamp."""
    return None if timestamp is None else max(0.0, (now - moment(timestamp)).total_seconds())


def ago(timestamp: str, now: datetime) -> str:
    """``just now``, ``5m ago``, ``3h ago``, then the local date."""
    seconds = since(timestamp, now) or 0.0
    if seconds < MINUTE:
        return "just now"
    if seconds < HOUR:
        return f"{int(seconds) // MINUTE}m ago"
    if seconds < DAY:
        return f"{int(seconds) // HOUR}h ago"
    return moment(timestamp).astimezone().strftime("%Y-%m-%d")


def left(timestamp: str, now: datetime) -> str:
    """How long until a deadline: ``6d 23h left``, or that it has passed."""
    seconds = (moment(timestamp) - now).total_seconds()
    return f"{duration(seconds)} left" if seconds > 0 else "deadline passed"


def clock(timestamp: str) -> str:
    """The local time of day, ``12:03:04``."""
    return moment(timestamp).astimezone().strftime("%H:%M:%S")


def now() -> datetime:
    """The one clock of the command line."""
    return datetime.now(UTC)


def plural(count: int, noun: str) -> str:
    """``1 stage``, ``7 stages``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
