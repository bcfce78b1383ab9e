"""How much time is left: a deadline that everything below inherits, and that can only shrink."""

from __future__ import annotations

import math
import time
from contextvars import ContextVar, Token

from shipway.errors import DeadlineError

#: Kept back at each hop, so that an answer can still travel home before the caller gives up.
HOP = 0.05

_AT: ContextVar[float] = ContextVar("deadline", default=math.inf)
"""When the work of this context must be over, on the monotonic clock."""


def at() -> float:
    """The moment on the monotonic clock; ``inf`` when there is no deadline."""
    return _AT.get()


def remaining() -> float:
    """Seconds that are left (``inf``: no deadline); never negative."""
    return max(0.0, _AT.get() - time.monotonic())


def start(seconds: float, now: float | None = None) -> Token[float]:
    """Begin to have ``seconds`` at most, until ``end``."""
    now = time.monotonic() if now is None else now
    return _AT.set(min(_AT.get(), now + seconds))


def end(token: Token[float]) -> None:
    _AT.reset(token)


class within:  # noqa: N801 - reads like what it is: with deadline.within(5)
    """Everything inside has ``seconds``, or what is left of the deadline around it if that is less."""

    __slots__ = ("_now", "_seconds", "_token")

    def __init__(self, seconds: float | None, now: float | None = None) -> None:
        self._seconds = seconds
        self._now = now
        self._token: Token[float] | None = None

    def __enter__(self) -> None:
        if self._seconds is not None:
            self._token = start(self._seconds, self._now)

    def __exit__(self, *_: object) -> None:
        if self._token is not None:
            _AT.reset(self._token)


def inherit(moment: float) -> None:
    """Let a thread that works for somebody have what they had (``at``): for a pool's initializer."""
    _AT.set(moment)


def most(seconds: float) -> float:
    """``seconds``, or what is left to somebody one hop further, if that is less; never negative."""
    return min(seconds, max(0.0, remaining() - HOP))


def check(what: str) -> None:
    """Raise DeadlineError when no time is left for ``what``."""
    if time.monotonic() >= _AT.get():
        raise over(what)


def over(what: str) -> DeadlineError:
    return DeadlineError(
        f"no time is left for {what}", hint="give it more time, or see what took so long"
    )


def to_wall(now: float) -> float | None:
    """The deadline as the next hop gets it: on the wall clock, a little earlier than our own."""
    left = remaining()
    return None if left == math.inf else now + max(0.0, left - HOP)


def from_wall(moment: float | None, now: float) -> float | None:
    """The seconds that a deadline of an envelope leaves, for ``within``."""
    return None if moment is None else max(0.0, moment - now)
