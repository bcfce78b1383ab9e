"""A fleet with Redis: it wakes by it, and is only slower without it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from crew import Crew
from scripted import pipeline, stage

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


@pytest.fixture
def redis() -> Iterator[Redis]:
    with Redis() as server:
        yield server


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
