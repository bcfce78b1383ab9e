"""The named points at which a process of the fleet can be killed, by itself, with SIGKILL."""

from __future__ import annotations

import functools
import inspect
import os
import signal
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from shipway.engine.dispatch.fleet.worker import Worker
from shipway.engine.dispatch.local import LocalDispatch
from shipway.engine.engine import Engine
from shipway.engine.writing import Page
from shipway.store import fleet


class Point(NamedTuple):
    """``owner.name`` is what the process is about to do, or has just done, when it dies."""

    who: Literal["engine", "worker"]
    owner: Any
    name: str
    when: Literal["before", "after"]
    meaning: str


POINTS: dict[str, Point] = {
    "worker.before-claim": Point("worker", fleet, "claim", "before", "an order was fetched"),
    "worker.after-claim": Point("worker", LocalDispatch, "hand_out", "before", "it was claimed"),
    "worker.before-report": Point("worker", Worker, "_report", "before", "the work is done"),
    "worker.in-report": Point("worker", fleet, "report", "after", "its report is not committed"),
    "worker.after-report": Point("worker", Worker, "_report", "after", "its report is durable"),
    "engine.in-advance": Point("engine", Page, "write", "after", "written, not committed"),
    "engine.after-advance": Point("engine", Engine, "_after_commit", "before", "committed"),
    "engine.in-taking": Point("engine", fleet, "take_report", "after", "a report is half taken in"),
}


def arm(name: str, time: int = 1) -> None:
    """From now on this process kills itself when it comes to a point for the ``time``-th time."""
    point = POINTS[name]
    left = [time]

    def die_if_due() -> None:
        left[0] -= 1
        if left[0] <= 0:
            os.kill(os.getpid(), signal.SIGKILL)

    setattr(
        point.owner, point.name, _around(getattr(point.owner, point.name), point.when, die_if_due)
    )


def _around(function: Callable[..., Any], when: str, die: Callable[[], None]) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def waited(*given: Any, **named: Any) -> Any:
            if when == "before":
                die()
            result = await function(*given, **named)
            if when == "after":
                die()
            return result

        return waited

    @functools.wraps(function)
    def called(*given: Any, **named: Any) -> Any:
        if when == "before":
            die()
        result = function(*given, **named)
        if when == "after":
            die()
        return result

    return called
