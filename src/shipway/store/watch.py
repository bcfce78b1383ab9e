"""Counts statements and notices the slow ones, by the name of the function that made them."""

from __future__ import annotations

import inspect
from pathlib import Path

_HERE = str(Path(__file__).parent)
#: Modules whose functions carry statements for others.
_CARRIERS = {f"{_HERE}/{name}.py" for name in ("watch", "sqlite", "postgres", "database")}


class Watch:
    """Shared by all connections of a process; the counts may miss one when threads collide."""

    __slots__ = ("lost", "slow", "slow_after", "statements", "timeouts", "waited", "waits")

    def __init__(self, slow_after: float) -> None:
        self.slow_after = slow_after
        self.statements = 0
        self.slow = 0
        self.waits = 0
        self.waited = 0.0
        self.timeouts = 0
        self.lost = 0

    def was_slow(self, took: float) -> None:
        self.slow += 1
        _tell(_maker(), round(took * 1000, 1))

    def waited_for(self, took: float) -> None:
        """A connection or a lock had to be waited for."""
        self.waits += 1
        self.waited += took


def _tell(query: str, ms: float) -> None:
    """The logger is imported when there is something to say: short commands have nothing."""
    import structlog

    structlog.get_logger("store").warning("store.slow_query", query=query, ms=ms)


def _maker() -> str:
    """The function that made the statement that is running, as ``module.function``."""
    frame = inspect.currentframe()
    while frame is not None and (
        frame.f_code.co_filename in _CARRIERS or not frame.f_code.co_filename.startswith(_HERE)
    ):
        frame = frame.f_back
    if frame is None:
        return "elsewhere"
    return f"{Path(frame.f_code.co_filename).stem}.{frame.f_code.co_name}"
