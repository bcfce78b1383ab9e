"""A decision in the making: events as they are decided, and the state that they lead to."""

from __future__ import annotations

from shipway.domain.run import events as e
from shipway.domain.run.evolve import apply
from shipway.domain.run.state import RunState


class Draft:
    """Every event goes through ``emit``, so that the state is always the one the events make.

    ``state`` is changed by each: it must be one that nobody else has seen.
    """

    __slots__ = ("events", "now", "state")

    def __init__(self, state: RunState, now: float) -> None:
        self.state = state
        self.now = now
        self.events: list[e.Event] = []

    def emit(self, event: e.Event) -> None:
        self.events.append(event)
        apply(self.state, event, self.now)

    def ignore(
        self, what: str, why: str, stage: str | None = None, attempt: int | None = None
    ) -> None:
        self.emit(e.InputIgnored(what, why, stage, attempt))
