"""Lays out the desk that an agent works at: a directory of its own, a log, a way to be stopped."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import structlog
from pydantic import BaseModel

from shipway.agents.agent import Agent, Artifacts, Budget, Desk
from shipway.config import Settings
from shipway.contracts.envelope import Task
from shipway.engine.budgets import Budgets
from shipway.engine.places import Places
from shipway.telemetry.attempts import attempt_log
from shipway.telemetry.logs import bound

Note = Callable[[str, str, int, str], None]
Confirm = Callable[[Task], None]


def _trust(_task: Task) -> None:
    """Where one process does everything, nobody else can have the attempt."""


_MAKING = threading.Lock()


class Stop:
    """Whether an attempt is to stop; what its agent can wait for is made when the agent asks."""

    __slots__ = ("_event", "asked")

    def __init__(self) -> None:
        self.asked = False
        self._event: threading.Event | None = None

    def ask(self) -> None:
        self.asked = True
        if self._event is not None:
            self._event.set()

    @property
    def event(self) -> threading.Event:
        with _MAKING:
            event = self._event = self._event or threading.Event()
        if self.asked:
            event.set()
        return event


class Desks:
    """Makes desks; ``note`` receives what agents say they do (run, stage, attempt, text)."""

    def __init__(
        self,
        settings: Settings,
        artifacts: Artifacts,
        note: Note,
        budgets: Budgets,
        confirm: Confirm = _trust,
    ) -> None:
        self.budgets = budgets
        self.confirm = confirm
        self.settings = settings
        self.artifacts = artifacts
        self.note = note
        self.places = Places(settings.home)

    def desk(self, task: Task, stop: Stop) -> Desk:
        return _AttemptDesk(self, task, stop)

    def sit(self, agent: Agent, request: BaseModel, desk: Desk) -> object:
        """Let a blocking agent work in an empty directory, which is removed afterwards."""
        clear(desk)
        desk.work.mkdir(parents=True, mode=0o700)
        task = desk.task
        try:
            with bound(
                run=task.run,
                stage=task.stage,
                attempt=task.attempt,
                traceparent=task.traceparent,
            ):
                return agent.perform(request, desk)
        finally:
            clear(desk)

    def clear_run(self, run: str) -> None:
        """Remove what attempts of a run left behind when their process died."""
        shutil.rmtree(self.places.work(run), ignore_errors=True)


def clear(desk: Desk) -> None:
    shutil.rmtree(desk.work, ignore_errors=True)


class _AttemptDesk:
    """Begins with the task alone: many an attempt is over before it has asked for all the rest."""

    def __init__(self, desks: Desks, task: Task, stop: Stop) -> None:
        self.task = task
        self._desks = desks
        self._stop = stop

    @property
    def artifacts(self) -> Artifacts:
        return self._desks.artifacts

    @cached_property
    def work(self) -> Path:
        return self._desks.places.work(self.task.run, f"{self.task.stage}-{self.task.attempt}")

    @cached_property
    def hub(self) -> Path:
        return self._desks.places.hub(self.task.run)

    @property
    def home(self) -> Path:
        return self._desks.places.home

    @cached_property
    def log(self) -> structlog.typing.FilteringBoundLogger:
        task, places = self.task, self._desks.places
        _, trace_id, span_id, _ = task.traceparent.split("-", 3)
        return attempt_log(
            lambda: places.log(task.run, task.stage, task.attempt),
            run=task.run,
            stage=task.stage,
            attempt=task.attempt,
            trace_id=trace_id,
            span_id=span_id,
        )

    @property
    def cancel(self) -> threading.Event:
        return self._stop.event

    @property
    def settings(self) -> Settings:
        return self._desks.settings

    @cached_property
    def budget(self) -> Budget:
        return self._desks.budgets.of(self.task)

    def say(self, text: str, /) -> None:
        self._desks.note(self.task.run, self.task.stage, self.task.attempt, text)
        self.log.info(text)

    def confirm(self) -> None:
        self._desks.confirm(self.task)
