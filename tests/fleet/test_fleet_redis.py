"""A fleet with Redis: it wakes by it, and is only slower without it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
import redis
from crew import Crew
from scripted import merging, pipeline, stage

from servers import Redis
from shipway.domain.states import RunStatus
from shipway.secrets import Secret

#: Far more than a run may take here: whoever is woken only by its own clock would be too late.
LONG = 60.0
SILENT = """
CREATE SCHEMA quiet;
CREATE FUNCTION quiet.pg_notify(text, text) RETURNS void LANGUAGE sql AS 'SELECT NULL::void';
"""


@pytest.fixture
def silent(postgres_url: str) -> str:
    """A database whose NOTIFY reaches nobody: only a bus can wake anybody then."""
    name = postgres_url.rpartition("/")[2]
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(SILENT)
        connection.execute(f"ALTER DATABASE {name} SET search_path = quiet, public, pg_catalog")
    return postgres_url


def kept(server: Redis) -> dict[str, int]:
    """The keys of a server, with the milliseconds that each has left."""
    with redis.Redis.from_url(server.url) as client:
        return {key.decode(): int(client.pttl(key)) for key in client.scan_iter()}


def stalled(server: Redis) -> Callable[[], None]:
    server.freeze()
    return server.thaw


def refused(server: Redis) -> Callable[[], None]:
    server.stop()
    return server.start


def flushed(server: Redis) -> Callable[[], None]:
    with redis.Redis.from_url(server.url) as client:
        client.flushall()
    return lambda: None


def test_runs_finish_while_redis_stalls_refuses_and_was_flushed_and_nothing_is_done_twice(
    tmp_path: Path, postgres_url: str
) -> None:
    (tmp_path / "home").mkdir()
    with (
        Redis() as server,
        tempfile.TemporaryDirectory() as sockets,
        Crew(
            tmp_path / "home",
            tmp_path / "cache",
            postgres_url,
            Path(sockets),
            redis_url=Secret(server.url),
            capability_limits="work=3",
            capability_rates="integrate=60/h",
            worker_lease_s=30.0,
        ) as crew,
    ):
        crew.ready(crew.engine(), crew.worker(pause=0.02), crew.worker(pause=0.02))
        plan = pipeline(stage("plan"), merging("integrate", "plan"), stage("deploy", "integrate"))
        most = 0
        for fault in (stalled, refused, flushed):
            before = len(crew.ledger.of("end", stage="integrate"))
            runs = [crew.submit(plan) for _ in range(4)]
            crew.eventually(
                lambda seen=before: len(crew.ledger.of("end", stage="integrate")) > seen
            )
            keys = kept(server)
            assert all(left > 0 for left in keys.values()), keys
            most = max(most, len(keys))
            mend = fault(server)
            try:
                for run in runs:  # it stays away until all of them are over
                    assert crew.until(run).summary.status is RunStatus.SUCCEEDED
            finally:
                mend()
        assert 0 < most < 10
        assert set(crew.ledger.effects().values()) == {1}
        assert len(crew.ledger.effects()) == 2 * 4 * 3
        crew.eventually(lambda: crew.inside() == 0)


def test_a_commit_on_one_process_wakes_engine_and_workers_by_redis_alone(
    tmp_path: Path, silent: str, redis_url: str
) -> None:
    (tmp_path / "home").mkdir()
    given = {"worker_beat_s": LONG, "worker_lease_s": LONG * 3, "redis_url": Secret(redis_url)}
    with (
        tempfile.TemporaryDirectory() as sockets,
        Crew(tmp_path / "home", tmp_path / "cache", silent, Path(sockets), **given) as crew,
    ):
        crew.ready(crew.engine(), crew.worker(pause=0.1))
        plan = pipeline(stage("plan"), stage("validate", "plan"), stage("deploy", "validate"))
        run = crew.submit(plan)
        assert crew.until(run, within=LONG / 2).summary.status is RunStatus.SUCCEEDED
        assert crew.ledger.effects() == {(run, "deploy"): 1}
