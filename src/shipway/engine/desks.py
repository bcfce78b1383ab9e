"""Lays out the desk that an agent works at: a directory of its own, a log, a way to be stopped."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from functools import lru_cache

from pydantic import BaseModel

from shipway.agents.agent import Agent, Artifacts, Desk
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
        self._budgets = budgets
        self._confirm = confirm
        self._settings = settings
        self._artifacts = artifacts
        self._note = note
        self._places = Places(settings.home)
        self._hub = lru_cache(maxsize=1024)(self._places.hub)

    def desk(self, task: Task, cancel: threading.Event) -> Desk:
        _, trace_id, span_id, _ = task.traceparent.split("-", 3)
        log = attempt_log(
            lambda: self._places.log(task.run, task.stage, task.attempt),
            run=task.run,
            stage=task.stage,
            attempt=task.attempt,
            trace_id=trace_id,
            span_id=span_id,
        )

        def say(text: str) -> None:
            self._note(task.run, task.stage, task.attempt, text)
            log.info(text)

        return Desk(
            task=task,
            artifacts=self._artifacts,
            work=self._places.work(task.run, f"{task.stage}-{task.attempt}"),
            hub=self._hub(task.run),
            home=self._settings.home,
            log=log,
            say=say,
            cancel=cancel,
            settings=self._settings,
            budget=self._budgets.of(task),
            confirm=lambda: self._confirm(task),
        )

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
        shutil.rmtree(self._places.work(run), ignore_errors=True)


def clear(desk: Desk) -> None:
    shutil.rmtree(desk.work, ignore_errors=True)
