"""What we rely on in the queue library, fact by fact: a new version that differs is noticed here."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import procrastinate
import psycopg
import pytest
from procrastinate import worker as fetching
from procrastinate.retry import RetryStrategy

from shipway.engine.dispatch.fleet.queue import Consumer, Placing, queue_name
from shipway.store.fleet import Key

TASK = (
    b'{"capability":"plan","version":1,"run":"r","stage":"plan","attempt":1,"token":1,'
    b'"agent":"builtin","key":"r:plan:0","traceparent":"00-1-2-01","deadline":null,"request":{}}'
)
KEY = Key("r", "plan", 1, 1)
QUEUE = queue_name("plan", 1, "builtin")


@pytest.fixture
def url(postgres_url: str) -> str:
    with psycopg.connect(postgres_url) as connection:
        Placing().install(connection)
    return postgres_url


@pytest.fixture
def count(url: str) -> Iterator[Callable[[str], int]]:
    with psycopg.connect(url, autocommit=True) as connection:

        def counted(status: str = "") -> int:
            row = connection.execute(
                "SELECT count(*) FROM procrastinate_jobs WHERE status::text LIKE %s",
                (status or "%",),
            ).fetchone()
            assert row is not None
            return int(row[0])

        yield counted


def place(url: str, *, commit: bool = True) -> None:
    with psycopg.connect(url) as connection:
        Placing().place(connection, [(KEY, TASK)])
        if not commit:
            connection.rollback()


async def until(happened: Callable[[], bool], within: float = 20.0) -> None:
    give_up = time.monotonic() + within
    while not happened():
        assert time.monotonic() < give_up, "it never happened"
        await asyncio.sleep(0.01)


def test_a_job_is_there_exactly_when_the_transaction_of_its_order_is(
    url: str, count: Callable[[str], int]
) -> None:
    place(url, commit=False)
    assert count("") == 0
    place(url)
    assert count("todo") == 1


def test_installing_twice_is_once(url: str) -> None:
    with psycopg.connect(url) as connection:
        Placing().install(connection)


def test_a_job_wakes_a_consumer_that_waits_and_is_gone_when_it_is_done(
    url: str, count: Callable[[str], int]
) -> None:
    async def scene() -> None:
        done: list[Key] = []

        async def perform(key: Key) -> None:
            done.append(key)

        consumer = Consumer(url, 30.0, 60.0)  # it does not look by itself meanwhile
        consumer.performs(perform)
        await consumer.open()
        consumer.resume()
        consuming = asyncio.create_task(consumer.consume("plan", [QUEUE]))
        with psycopg.connect(url, autocommit=True) as watching:
            await until(lambda: _listens(watching))
        place(url)
        await until(lambda: done == [KEY])
        await until(lambda: count("") == 0)
        consumer.stop()
        await consuming
        await consumer.close()

    asyncio.run(scene())


def _listens(connection: psycopg.Connection[Any]) -> bool:
    row = connection.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND state = 'idle'"
    ).fetchone()
    return row is not None and row[0] > 0


def test_a_zombie_finishes_a_job_that_is_not_its_own_any_more(url: str) -> None:
    """The reason for our own fence."""

    async def scene() -> None:
        app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=url))
        async with app.open_async():
            manager = app.job_manager
            first, second = await manager.register_worker(), await manager.register_worker()
            job = await manager.fetch_job([QUEUE], worker_id=first)
            assert job is not None
            await manager.retry_job(job)
            again = await manager.fetch_job([QUEUE], worker_id=second)
            assert again is not None
            assert again.id == job.id
            await manager.finish_job(job, procrastinate.jobs.Status.SUCCEEDED, delete_job=True)
            left = await app.connector.execute_query_all_async("SELECT 1 FROM procrastinate_jobs")
            assert left == []

    place(url)
    asyncio.run(scene())


def test_what_a_silent_consumer_fetched_is_offered_again_and_somebody_is_woken(
    url: str, count: Callable[[str], int]
) -> None:
    async def scene() -> None:
        consumer = Consumer(url, 1.0, 5.0)
        await consumer.open()
        app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=url))
        async with app.open_async():
            worker = await app.job_manager.register_worker()
            assert await app.job_manager.fetch_job([QUEUE], worker_id=worker)
            assert await consumer.reap() == 0
            await app.connector.execute_query_async(
                "UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 minute'"
            )
            assert await consumer.reap() == 1
        assert count("todo") == 1
        await consumer.close()

    place(url)
    asyncio.run(scene())


def test_a_task_without_a_retry_strategy_is_not_handed_back(
    url: str, count: Callable[[str], int]
) -> None:
    async def scene(strategy: Any, name: str) -> None:
        app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=url))
        began = asyncio.Event()

        @app.task(name=name, retry=strategy, queue=name)
        async def long() -> None:
            began.set()
            await asyncio.sleep(60)

        async with app.open_async():
            await long.defer_async()
            worker = fetching.Worker(
                app, queues=[name], install_signal_handlers=False, shutdown_graceful_timeout=0.1
            )
            running = asyncio.create_task(worker.run())  # type: ignore[no-untyped-call]
            await asyncio.wait_for(began.wait(), 20)
            worker.stop()  # type: ignore[no-untyped-call]
            await running

    asyncio.run(scene(None, "bare"))
    assert count("todo") == 0
    asyncio.run(scene(RetryStrategy(max_attempts=3), "kept"))
    assert count("todo") == 1


def test_time_in_the_past_makes_a_job_due_whatever_clock_wrote_it(url: str) -> None:
    async def scene() -> None:
        app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=url))
        async with app.open_async():
            worker = await app.job_manager.register_worker()
            job = await app.job_manager.fetch_job([QUEUE], worker_id=worker)
            assert job is not None
            await app.job_manager.retry_job(job, retry_at=datetime.fromtimestamp(0, UTC))
            assert await app.job_manager.fetch_job([QUEUE], worker_id=worker) is not None

    place(url)
    asyncio.run(scene())


@pytest.mark.parametrize("agent", ["builtin", "a" * 100, "ü" * 60])
def test_a_queue_has_a_name_that_can_be_listened_to(agent: str) -> None:
    name = queue_name("implement", 12, agent)
    assert len(name.encode()) <= 40
    assert name == queue_name("implement", 12, agent)
    assert name != queue_name("implement", 12, agent + "x")
