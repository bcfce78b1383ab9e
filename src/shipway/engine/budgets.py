"""What each run may spend on models: asked before, written down after, the same after a crash."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any

from shipway.agents.agent import Budget
from shipway.contracts.envelope import Task
from shipway.errors import BudgetError
from shipway.store import spending
from shipway.store.database import Connection, Database

MILLION = 1_000_000


class Budgets:
    """``dollars`` is the cap of each run. May be used from any thread."""

    def __init__(
        self, database: Database, dollars: float, now: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._cap = round(dollars * MILLION)
        self._now = now

    def of(self, task: Task) -> Budget:
        """The budget of the run that a task belongs to."""
        return _RunBudget(self._database, self._cap, task, self._now)


class _RunBudget:
    def __init__(self, database: Database, cap: int, task: Task, now: Callable[[], float]) -> None:
        self._database = database
        self._cap = cap
        self._task = task
        self._now = now

    def left(self) -> int:
        with self._database.reading() as connection:
            return max(0, self._cap - spending.used(connection, self._task.run))

    def reserve(self, model: str, most: int) -> str:
        ticket, task = uuid.uuid4().hex, self._task

        def take(connection: Connection) -> int | None:
            """None when there was room, else how much of the budget is left."""
            connection.lock_runs([task.run])  # two requests at once must not both see room for one
            left = self._cap - spending.used(connection, task.run)
            if most > left:
                return max(0, left)
            spending.reserve(connection, ticket, task.run, task.stage, model, most, self._now())
            return None

        left = self._write(take)
        if left is not None:
            raise BudgetError(
                f"the run's budget of ${self._cap / MILLION:.2f} does not cover the next request:"
                f" it may cost ${most / MILLION:.4f}, and ${left / MILLION:.4f} are left",
                hint="raise SHIPWAY_RUN_BUDGET, then: shipway run retry",
            )
        return ticket

    def settle(self, ticket: str, cost: int, tokens_in: int, tokens_out: int) -> None:
        self._write(lambda db: spending.settle(db, ticket, cost, tokens_in, tokens_out))

    def _write(self, work: Callable[[Connection], Any]) -> Any:
        with self._database.writing() as connection:
            return work(connection)
