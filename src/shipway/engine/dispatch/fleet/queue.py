"""The queue library, held: a job is only a wake-up for an order, and never the truth about it.

What we rely on is in ``tests/fleet/test_queue_facts.py``, fact by fact.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import procrastinate
import psycopg
import structlog
from procrastinate import jobs, schema
from procrastinate import worker as fetching
from procrastinate.retry import RetryStrategy
from psycopg import Connection as Raw

from shipway.contracts.envelope import Task
from shipway.store import fleet
from shipway.store.database import Connection
from shipway.store.fleet import Key
from shipway.store.ledger import OrderRow

_ATTEMPT = "shipway.attempt"
_KEEPER = "shipway.keeper"
#: What is said when an order waits in a queue; its name follows.
WAITS = "queue:"
_NEVER = "0 0 1 1 *"
_AGAIN = 0.25
_LONG_AGO = datetime.fromtimestamp(0, UTC)
_FAULTS = (procrastinate.exceptions.ConnectorException, psycopg.Error, OSError)
#: PostgreSQL's channel names end here; the library's own prefix takes 23 of them.
_LONGEST_QUEUE = 40
#: How often a job may be handed back before it is given up; the order is then deferred anew.
_HAND_BACKS = 100

Perform = Callable[[Key], Awaitable[None]]


def queue_name(capability: str, version: int, agent: str) -> str:
    """Where orders for one agent of one capability wait; nobody else can take them."""
    name = f"{capability}/{version}/{agent}"
    if len(name.encode()) <= _LONGEST_QUEUE:
        return name
    return f"{name.encode()[:24].decode(errors='ignore')}~{hashlib.sha256(name.encode()).hexdigest()[:12]}"


def queue_of(task: bytes) -> str:
    """The queue of an order, from its task."""
    known = Task.model_validate_json(task)
    return queue_name(known.capability, known.version, known.agent)


class Placing:
    """Defers jobs with the connection of somebody else's transaction."""

    def __init__(self) -> None:
        self._app = procrastinate.App(connector=procrastinate.SyncPsycopgConnector())

    def install(self, raw: Raw[Any]) -> None:
        """Make the library's tables, once; in the caller's transaction, under its lock."""
        raw.execute("SELECT pg_advisory_xact_lock(%s)", (fleet.INSTALL,))
        there = raw.execute("SELECT to_regclass('procrastinate_jobs') IS NOT NULL").fetchone()
        if there is None or not there[0]:
            raw.execute(schema.SchemaManager.get_schema().encode())

    def orders(self, connection: Connection, rows: Sequence[OrderRow]) -> None:
        """The same for orders as the ledger knows them."""
        named = [(Key(row.run, row.stage, row.attempt, row.token), row.task) for row in rows]
        connection.rung.update(WAITS + queue for queue in self.place(connection.raw, named))

    def place(self, raw: Raw[Any], orders: Iterable[tuple[Key, bytes]]) -> set[str]:
        """One job for each order (attempt, task), there when the transaction is; returns the queues."""
        made = [_job(key, queue_of(task)) for key, task in orders]
        if not made:
            return set()
        try:
            self._app.job_manager.batch_defer_jobs(made, connection=raw)
        except procrastinate.exceptions.ConnectorException as error:
            # Whose transaction it is knows what the driver's own errors mean.
            raise error.__cause__ or error from None
        return {job.queue for job in made}

    def missing(
        self, raw: Raw[Any], orders: Sequence[tuple[Key, bytes]]
    ) -> list[tuple[Key, bytes]]:
        """Those that no job would wake anybody for."""
        alive = raw.execute(
            "SELECT args->>'run', args->>'stage', (args->>'attempt')::int FROM procrastinate_jobs"
            " WHERE task_name = %s AND status IN ('todo', 'doing')",
            (_ATTEMPT,),
        ).fetchall()
        there = set(alive)
        return [
            order
            for order in orders
            if (order[0].run, order[0].stage, order[0].attempt) not in there
        ]


def _job(key: Key, queue: str) -> jobs.Job:
    args: dict[str, Any] = {
        "run": key.run,
        "stage": key.stage,
        "attempt": key.attempt,
        "token": key.token,
    }
    return jobs.Job(
        queue=queue, lock=None, queueing_lock=None, task_name=_ATTEMPT, task_kwargs=args
    )


class Consumer:
    """Fetches jobs and lets ``perform`` begin them; lives on one event loop, from open to close.

    ``perform`` returns once there is room for the next: nothing is fetched that must lie about.
    """

    faults = _FAULTS

    def __init__(self, conninfo: str, beat: float, lease: float) -> None:
        connector = procrastinate.PsycopgConnector(conninfo=conninfo, min_size=1, max_size=8)
        self._app = procrastinate.App(connector=connector)
        self._beat, self._lease = beat, lease
        self._workers: set[fetching.Worker] = set()
        self._stopped = False
        self._go = asyncio.Event()
        self._log = structlog.get_logger("queue")
        # Without any periodic task the library does not notice that its listening has died.
        self._app.periodic(cron=_NEVER)(self._app.task(name=_KEEPER, queue=_KEEPER)(_nothing))

    def performs(self, perform: Perform) -> None:
        async def attempt(run: str, stage: str, attempt: int, token: int) -> None:
            await perform(Key(run, stage, attempt, token))

        again = RetryStrategy(max_attempts=_HAND_BACKS)
        self._app.task(name=_ATTEMPT, retry=again)(attempt)

    async def open(self) -> None:
        await self._app.open_async()

    async def close(self) -> None:
        await self._app.close_async()

    async def consume(self, name: str, queues: Sequence[str]) -> None:
        """Take jobs one after the other until ``stop``, however often the database goes away."""
        wait = _AGAIN
        while not self._stopped:
            await self._go.wait()
            if self._is_over():
                break
            worker = self._worker(name, queues)
            self._workers.add(worker)
            began = time.monotonic()
            try:
                await _run(worker)
            except _FAULTS as error:
                self._log.warning("queue.interrupted", queue=name, error=type(error).__name__)
            self._workers.discard(worker)
            if self._go.is_set() and not self._is_over():
                wait = (
                    _AGAIN if time.monotonic() - began > self._lease else min(wait * 2, self._beat)
                )
                await asyncio.sleep(wait)

    def _worker(self, name: str, queues: Sequence[str]) -> fetching.Worker:
        return fetching.Worker(
            self._app,
            queues=[*queues, _KEEPER],
            name=name,
            concurrency=1,
            install_signal_handlers=False,
            delete_jobs="always",
            fetch_job_polling_interval=self._beat,
            update_heartbeat_interval=self._beat,
            stalled_worker_timeout=self._lease,
        )

    def _is_over(self) -> bool:
        return self._stopped

    def stop(self) -> None:
        """Fetch nothing new."""
        self._stopped = True
        self.pause()
        self._go.set()

    def pause(self) -> None:
        """Fetch nothing until ``resume``; what is in hand goes on."""
        self._go.clear()
        for worker in self._workers:
            _stop(worker)

    def resume(self) -> None:
        self._go.set()

    def nudge(self, queue: str | None = None) -> None:
        """Look at once whether an order waits there (anywhere): the library's waking may be lost."""
        for worker in self._workers:
            if queue is None or queue in (worker.queues or ()):
                worker._new_job_event.set()  # noqa: SLF001 - a fact that test_queue_facts.py keeps

    async def reap(self) -> int:
        """Jobs that a dead worker had fetched are offered again, and somebody is woken for them."""
        manager = self._app.job_manager
        stalled = list(await manager.get_stalled_jobs(seconds_since_heartbeat=self._lease))
        for job in stalled:
            await manager.retry_job(job, retry_at=_LONG_AGO)
        for queue in {job.queue for job in stalled}:
            await self._app.connector.execute_query_async(
                "SELECT pg_notify(%(channel)s, %(payload)s)",
                channel=f"procrastinate_queue_v1#{queue}",
                payload=json.dumps({"type": "job_inserted", "job_id": 0}),
            )
        return len(stalled)


async def _run(worker: Any) -> None:
    await worker.run()


def _stop(worker: Any) -> None:
    worker.stop()


async def _nothing(timestamp: int) -> None:
    return None
