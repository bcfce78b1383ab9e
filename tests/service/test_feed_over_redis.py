"""Live events where there is a Redis: a commit of another process rings, and nobody has to look."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest

from shipway.api import feed
from shipway.api.feed import Feed
from shipway.bootstrap.system import close, connect
from shipway.config import Settings, load_settings
from shipway.engine.queries import Queries
from shipway.secrets import Secret
from shipway.store import ledger
from shipway.store.artifacts import ArtifactStore
from shipway.store.ledger import NewRun

#: Longer than the test may take: who only looks by itself is too late.
LONG = 60.0


def append(settings: Settings, run: str, number: int) -> None:
    """As another process would: with a database and a bus of its own."""
    database, bus = connect(settings)
    row = NewRun(run, "running", "d", "t", "t", b"{}", b"{}", None, 0.0, "change", 0)
    with database.writing() as connection:
        if number == 1:
            ledger.insert_pipelines(connection, [("d", "change", 1, b"{}")])
            ledger.insert_runs(connection, [row])
        ledger.append_events(connection, [(run, number, 1.0, "StagePassed", b'{"stage": "plan"}')])
    close(database, bus)


def test_a_reader_hears_of_an_event_by_the_ring_of_who_committed_it(
    home: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "_LOOK_ANYWAY", LONG)
    monkeypatch.setattr(feed, "_LOOK_EVERY", LONG)
    settings = load_settings(home=home, redis_url=Secret(redis_url))
    append(settings, "run-1", 1)
    database, bus = connect(settings)
    assert bus is not None
    events = Feed(Queries(database, home, ArtifactStore(home / "artifacts")), bus)

    async def read() -> list[int]:
        with events.reader() as bell:
            async with asyncio.timeout(LONG / 2):
                await bell.wait()  # it knows where now is
                bell.clear()
                while not bus.up:  # noqa: ASYNC110 - another thread's news
                    await asyncio.sleep(0.02)
                await asyncio.to_thread(append, settings, "run-1", 2)
                await bell.wait()
                return [event.seq for event in await events.since(1)]

    with contextlib.closing(database):
        try:
            assert asyncio.run(read()) == [2]
        finally:
            events.stop()
            bus.close()
