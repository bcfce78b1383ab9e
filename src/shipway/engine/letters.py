"""Dead letters as people see them: an order with its payload and everything that became of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from shipway.contracts.model import timestamp
from shipway.contracts.views import DeadDepth, DeadLetterDetail, DeadLetterView, StageView
from shipway.engine.codec import decode
from shipway.engine.queries import Queries
from shipway.errors import NotFoundError
from shipway.secrets.redact import redact_value
from shipway.store import dead, ledger, runs
from shipway.store.database import Connection, Database
from shipway.store.dead import DeadLetterRow, Which


class Letters:
    """Reads only; every method may be called from any thread."""

    def __init__(
        self, database: Database, queries: Queries, now: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._queries = queries
        self._now = now

    def list(self, which: Which, *, limit: int = 100, after: int = 0) -> list[DeadLetterView]:
        """Oldest first; ``after`` is the number that the last page ended with."""
        with self._database.reading() as connection:
            rows = dead.letters(connection, which, limit, after)
            return [self._view(connection, row) for row in rows]

    def view(self, number: int) -> DeadLetterDetail:
        """Raises NotFoundError."""
        with self._database.reading() as connection:
            row = found(connection, number)
            payload = _task(connection, row)
            letter = self._view(connection, row)
        return DeadLetterDetail(
            letter=letter,
            key=str(payload.get("key", "")),
            trace=str(payload.get("traceparent", "")),
            versions={
                "shipway": row.shipway,
                f"contract {row.capability}": str(payload.get("version", "unknown")),
            },
            payload=redact_value(payload),
            history=self._stage(row).attempts,
            next_commands=_next(row),
        )

    def depth(self) -> DeadDepth:
        """For metrics and health: how many are open, and how old the oldest is."""
        with self._database.reading() as connection:
            count, oldest = dead.depth(connection)
        age = None if oldest is None else max(0.0, self._now() - oldest)
        return DeadDepth(depth=count, oldest=age)

    def _stage(self, row: DeadLetterRow) -> StageView:
        stages = self._queries.run(row.run).stages
        found = next((one for one in stages if one.id == row.stage), None)
        if found is None:
            raise NotFoundError(
                f"the run of dead letter {row.number} cannot be read",
                hint=f"see why: shipway run view {row.run}",
            )
        return found

    def _view(self, connection: Connection, row: DeadLetterRow) -> DeadLetterView:
        run = runs.get(connection, row.run)
        return DeadLetterView(
            number=row.number,
            state=row.state,
            run=row.run,
            run_number=run.number,
            title=run.title,
            stage=row.stage,
            attempt=row.attempt,
            capability=row.capability,
            code=row.code,
            message=row.message,
            at=timestamp(row.at),
            age=max(0.0, self._now() - row.at),
            by=row.by,
            reason=row.reason,
            resolved_at=None if row.resolved_at is None else timestamp(row.resolved_at),
        )


def found(connection: Connection, number: int) -> DeadLetterRow:
    """Raises NotFoundError."""
    row = dead.letter(connection, number)
    if row is None:
        raise NotFoundError(
            f"there is no dead letter {number}", hint="list them: shipway dead list"
        )
    return row


def _task(connection: Connection, row: DeadLetterRow) -> dict[str, Any]:
    """The task of the order; what is no longer readable is said to be so."""
    kept = ledger.task(connection, row.run, row.stage, row.attempt)
    try:
        task: dict[str, Any] = decode(kept) if kept is not None else {}
    except ValueError:
        return {"unreadable": "the stored task is no JSON"}
    return task


def _next(row: DeadLetterRow) -> list[str]:
    if row.state != "dead":
        return [f"shipway run view {row.run}"]
    return [
        f"shipway run logs {row.run} --stage {row.stage}",
        f"shipway dead replay {row.number}",
        f"shipway dead discard {row.number} -m WHY",
    ]
