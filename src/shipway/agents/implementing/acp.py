"""A coding agent that speaks the Agent Client Protocol as the one who makes a change, in the fence."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from typing import Any

import shipway
from shipway.agents.agent import Desk
from shipway.agents.implementing.prices import MILLION
from shipway.contracts.implement import Usage
from shipway.errors import AgentProtocolError, BudgetError

SESSION = "shipway.agents.implementing.session"
_ENDED = "end_turn"


def argv(command: list[str], prompt: Path) -> tuple[str, ...]:
    """What runs in the fence: our end of the session, which starts the agent beside it."""
    return (sys.executable, "-P", "-m", SESSION, str(prompt), *command)


def source() -> Path:
    """Where our end of the session lies, for the fence to let it be read."""
    return Path(shipway.__file__).resolve().parent.parent


class Session:
    """Hears what our end of a session tells, and stops it when it costs more than it may."""

    def __init__(self, command: list[str], desk: Desk) -> None:
        self._desk = desk
        self._name = Path(command[0]).name
        # What a session will cost nobody can tell beforehand: it takes all that is left.
        self._left = desk.budget.left()
        if self._left == 0:
            raise BudgetError(
                "nothing is left of the run's budget",
                hint="raise SHIPWAY_RUN_BUDGET, then: shipway run retry",
            )
        self._ticket = desk.budget.reserve(self._name, self._left)
        self._cost: int | None = None
        self._tokens = (0, 0)
        self._stop_reason: str | None = None
        self._fault: str | None = None
        #: Set when the session has to end: on cancellation, or when it costs too much.
        self.stop = _Either(desk.cancel)

    def hear(self, line: str) -> None:
        """One line of output; what is not ours is the agent's chatter, kept in the log."""
        told = _event(line)
        match told:
            case None:
                self._desk.log.info("agent output", line=line[:2000])
            case {"event": "usage", "cost": float() | int() as cost}:
                self._cost = round(cost * MILLION)
                if self._cost > self._left:
                    self.stop.set()
            case {"event": "end"}:
                self._stop_reason = str(told.get("stop_reason"))
                self._tokens = _count(told, "input_tokens"), _count(told, "output_tokens")
            case {"event": "fault", "what": what}:
                self._fault = str(what)
            case {"event": "said", "text": text}:
                self._desk.log.info("the agent said", text=str(text))
            case {"event": "tool" | "permission" | "wrote" as kind}:
                what = str(told.get("what", told.get("path", "")))[:200]
                self._desk.say(f"{'wrote ' if kind == 'wrote' else ''}{what}")
            case _:
                self._desk.log.info("session", told=line[:2000])

    def settle(self) -> Usage:
        """What it used, written down; raises BudgetError or AgentProtocolError if it must not count."""
        cost = 0 if self._cost is None else self._cost
        self._desk.budget.settle(self._ticket, cost, *self._tokens)
        if cost > self._left:
            raise BudgetError(
                f"{self._name} reported a cost above the run's budget and was stopped",
                hint="raise SHIPWAY_RUN_BUDGET, or ask for less, and retry the run",
            )
        if self._fault is not None or self._stop_reason != _ENDED:
            why = self._fault or f"its turn ended with {self._stop_reason or 'nothing said'}"
            raise AgentProtocolError(
                f"{self._name} did not finish: {why}",
                hint="see the end of the stage's log; does the command speak ACP over its standard input?",
            )
        return Usage(
            model=self._name,
            requests=1,
            input_tokens=self._tokens[0],
            output_tokens=self._tokens[1],
            cost_usd=None if self._cost is None else self._cost / MILLION,
        )


class _Either(threading.Event):
    """Set when it was set itself, or when the attempt was cancelled."""

    def __init__(self, other: threading.Event) -> None:
        super().__init__()
        self._other = other

    def is_set(self) -> bool:
        return self._other.is_set() or super().is_set()


def _event(line: str) -> dict[str, Any] | None:
    try:
        told = json.loads(line)
    except ValueError:
        return None
    return told if isinstance(told, dict) and "event" in told else None


def _count(told: dict[str, Any], name: str) -> int:
    value = told.get(name)
    return value if isinstance(value, int) and value >= 0 else 0
