"""A run: its state, the events that made it, and the pure function that decides what comes next."""

from shipway.domain.run.decide import decide, submit
from shipway.domain.run.evolve import evolve, replay
from shipway.domain.run.state import AskState, RunState, StageState

__all__ = ["AskState", "RunState", "StageState", "decide", "evolve", "replay", "submit"]
