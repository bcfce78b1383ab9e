"""Flags on the servers' databases: seen by others, one winner, gone and back."""

from __future__ import annotations

import threading
import time
from datetime import date

import pytest

from shipway.errors import ConflictError
from shipway.flags.flag import Serve, boolean
from shipway.flags.flags import Flags
from shipway.flags.shared import DatabaseKeeping
from shipway.store.opening import prepare


@pytest.fixture
def databases(database_settings):
    """Two processes of one installation."""
    found = [prepare(database_settings.home / "shipway.db", database_settings) for _ in range(2)]
    yield found
    for database in found:
        database.close()


def test_a_change_by_one_process_is_seen_by_another_and_the_second_writer_is_refused(databases):
    here, there = (DatabaseKeeping(database, time.time) for database in databases)
    flags = Flags(there)
    flags.start()
    try:
        kept = here.put(boolean("new.thing", "x", "ada", date(2030, 1, 1)), "ada", "begin")
        kept = here.put(kept.model_copy(update={"serve": Serve(variant="on")}), "ada", "on")
        deadline = time.monotonic() + 10
        while not flags.on("new.thing"):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        outcomes = []

        def write(keeping):
            try:
                outcomes.append(keeping.put(kept, "bob", "again").version)
            except ConflictError:
                outcomes.append("refused")

        threads = [threading.Thread(target=write, args=(one,)) for one in (here, there)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(map(str, outcomes)) == ["3", "refused"]
        assert [one.flag.version for one in there.history("new.thing")] == [3, 2, 1]
    finally:
        flags.stop()
