"""Nothing grows without a rule, and nothing that is live goes: records, folders and artifacts."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from scripted import House

from shipway.config import Settings
from shipway.domain.states import RunStatus
from shipway.engine.housekeeping import DAY, PLACES, Housekeeping
from shipway.errors import NotFoundError
from shipway.store import ledger, retention
from shipway.store.copies import count_rows
from shipway.store.database import Database
from shipway.store.ledger import CommandRow
from shipway.store.schema import metadata

LONG_AGO = 400 * DAY


@pytest.fixture
def house(database_settings: Settings) -> Iterator[House]:
    few = database_settings.model_copy(update={"keep_newest_runs": 1})
    made = House(few)
    yield made
    made.close()


def keeping(house: House, later: float = LONG_AGO) -> Housekeeping:
    """As it would look at everything ``later`` seconds from now."""
    return Housekeeping(
        house.settings, house.database, house.artifacts, lambda: time.time() + later
    )


def sweep(house: House, later: float = LONG_AGO):
    def write(work):
        with house.database.writing() as connection:
            return work(connection)

    found = keeping(house, later)
    return [*found.records(write), *found.files()]


def one_after_another(house: House, count: int) -> list[str]:
    """Runs of which the last also has the last event."""
    runs = []
    for _ in range(count):
        runs.append(house.submit())
        house.until(runs[-1], within=30)
    return runs


def wait_until(happened) -> None:
    give_up = time.monotonic() + 10
    while not happened():
        assert time.monotonic() < give_up
        time.sleep(0.01)


def rows(database: Database) -> dict[str, int]:
    with database.reading() as connection:
        return count_rows(connection)


def test_every_table_and_every_place_of_the_state_directory_has_a_rule(house: House) -> None:
    assert set(retention.RULES) == set(metadata.tables), (
        "a table without a rule, or a rule without it"
    )
    house.engine()
    house.until(house.submit())
    places = {path.name for path in house.settings.home.iterdir()}
    assert places <= set(PLACES), "say in engine/housekeeping.py what becomes of this place"


def test_what_ended_long_ago_goes_with_all_that_is_its_own(house: House) -> None:
    engine = house.engine()
    old = [house.submit() for _ in range(45)]
    for run in old:
        house.until(run, within=30)
    for run in (*old, *one_after_another(house, 1)):
        house.places.hub(run).mkdir(parents=True)
        (house.places.hub(run) / "file").write_text("x" * 100)
    waiting = house.submit()
    engine.stop()
    house.engines.remove(engine)
    with house.database.writing() as connection:
        done = CommandRow("done", "cancel", None, b"{}")
        ledger.insert_command(connection, done, 1.0)
        ledger.finish_command(connection, "done", b"{}", 2.0)
        ledger.insert_command(
            connection, CommandRow("open", "resume", waiting, b'{"by": "ada"}'), 1.0
        )
    planned = keeping(house).plan()
    swept = sweep(house)
    assert planned.runs == sum(step.runs for step in swept) == 46
    assert max(step.runs for step in swept) <= retention.BATCH
    assert sum(step.commands for step in swept) == planned.commands == 1
    assert sum(step.folders for step in swept) >= 46
    left = rows(house.database)
    assert (left["runs"], left["pipelines"], left["commands"]) == (1, 1, 1)
    with pytest.raises(NotFoundError):
        house.queries.run(old[0])
    assert not house.places.run(old[0]).exists()
    house.engine()
    assert house.until(waiting).summary.status is RunStatus.SUCCEEDED
    assert sweep(house, later=0) == []


def test_what_is_live_or_young_or_among_the_newest_stays(house: House) -> None:
    house.engine()
    runs = one_after_another(house, 3)
    assert sweep(house, later=DAY) == []
    assert sum(step.runs for step in sweep(house)) == 2
    assert house.queries.run(runs[-1]).summary.number == 3
    again = house.submit()
    assert house.queries.run(again).summary.number == 4, "a number was given twice"


def test_a_run_that_is_done_again_meanwhile_is_not_forgotten(house: House) -> None:
    house.engine()
    run, _newest = one_after_another(house, 2)
    policy = keeping(house).policy
    with house.database.writing() as connection:
        assert retention.old_runs(connection, policy) == [run]
        connection.execute("UPDATE runs SET ended_at = NULL WHERE id = ?", (run,))
        assert retention.forget_runs(connection, policy) == []
    assert house.queries.run(run).summary.id == run


def test_an_artifact_goes_once_no_run_that_is_kept_can_need_it(house: House) -> None:
    house.engine()
    kept = house.until(house.submit())
    wait_until(house.places.tidied.exists)  # the engine looked before there was anything to find
    ref = house.artifacts.put(b"old", "old.txt", "text/plain")
    again = house.artifacts.put(b"written again", "again.txt", "text/plain")
    for one in (ref, again):
        os.utime(house.artifacts.path(one), (1.0, 1.0))
    house.artifacts.put(b"written again", "again.txt", "text/plain")
    swept = sweep(house, later=0)
    assert sum(step.artifacts for step in swept) == 1
    assert not house.artifacts.path(ref).exists()
    assert house.artifacts.verify(again)
    assert house.artifacts.verify(kept.requirement)


def test_a_folder_of_no_run_goes_once_it_is_old(house: House, tmp_path: Path) -> None:
    left = house.places.run("0left-by-an-intake-that-died")
    left.mkdir(parents=True)
    assert sweep(house, later=0) == []
    os.utime(left, (1.0, 1.0))
    assert [step.folders for step in sweep(house, later=0)] == [1]
    assert not left.exists()


def test_the_engine_tidies_by_itself_once_a_day(database_settings: Settings) -> None:
    house = House(database_settings.model_copy(update={"keep_newest_runs": 1}))
    engine = house.engine()
    _run, _newest = one_after_another(house, 2)
    engine.stop()
    house.engines.clear()
    with house.database.writing() as connection:
        connection.execute("UPDATE runs SET ended_at = 1.0")
    os.utime(house.places.tidied, (1.0, 1.0))
    house.engine().stop()
    house.engines.clear()
    assert rows(house.database)["runs"] == 1
    assert house.places.tidied.stat().st_mtime > 1.0
    house.close()


def test_old_changes_of_a_flag_go_and_the_last_one_stays(house: House) -> None:
    with house.database.writing() as connection:
        for key, version, at in (("a", 1, 1.0), ("a", 2, 2.0), ("a", 3, 3.0), ("b", 1, 1.0)):
            connection.execute(
                "INSERT INTO flag_changes (key, version, at, by, why, data) VALUES (?, ?, ?, 'ada', 'x', ?)",
                (key, version, at, b"{}"),
            )
        policy = keeping(house, later=0).policy
        assert retention.forget_flag_changes(connection, policy) == 2
        left = connection.execute("SELECT key, version FROM flag_changes ORDER BY key").fetchall()
    assert [tuple(row) for row in left] == [("a", 3), ("b", 1)]
