"""What only a shared database can do wrong: others at the same time, a lost line, a silent server."""

from __future__ import annotations

import threading
import time

import pytest
from stored import insert, run_row

from servers import Postgres
from shipway.errors import ConfigurationError, NetworkError, OverloadError, ShipwayError
from shipway.secrets import Secret
from shipway.store import fleet, ledger, runs
from shipway.store.database import StoreFault, came_through, transaction
from shipway.store.ledger import OrderRow
from shipway.store.migrate import migrate
from shipway.store.postgres import Limits, PostgresDatabase
from shipway.telemetry.failures import told
from wire import Wire


@pytest.fixture
def database(shipway_postgres_url: str):
    found = PostgresDatabase(Secret(shipway_postgres_url), Limits(connections=3, wait_s=0.3))
    yield found
    found.close()


def test_an_event_is_not_followed_past_one_that_is_still_to_come(database):
    """The first transaction takes the lower position and commits last."""
    row, other = run_row(), run_row()
    with database.writing() as connection:
        insert(connection, row)
        insert(connection, other)
    early, late = database.writer(), database.writer()
    early.begin()
    ledger.append_events(early, [(row.id, 1, 1.0, "Early", b"{}")])
    with transaction(late):
        ledger.append_events(late, [(other.id, 1, 1.0, "Late", b"{}")])
    with database.reading() as reader:
        start = runs.position_now(reader)
        assert runs.feed(reader, 0) == []
    early.commit()
    with database.reading() as reader:
        assert [event.type for event in runs.feed(reader, 0)] == ["Early", "Late"]
        assert [event.type for event in runs.feed(reader, start)] == ["Early", "Late"]
    early.begin()
    ledger.append_events(early, [(row.id, 2, 1.0, "Never", b"{}")])
    early.rollback()
    with database.reading() as reader:
        assert len(runs.feed(reader, 0)) == 2
        assert runs.position_now(reader) == 3  # the place that was given up is passed over
    early.close()
    late.close()


def test_a_run_is_held_until_the_commit_and_who_waits_sees_what_was_written(database):
    row = run_row()
    with database.writing() as connection:
        insert(connection, row)
    first, second = database.writer(), database.writer()
    first.begin()
    assert first.lock_runs([row.id]) == {row.id: 0}
    seen: list[dict[str, int] | None] = []

    def wait() -> None:
        with transaction(second):
            seen.append(second.lock_runs([row.id]))

    waiter = threading.Thread(target=wait)
    waiter.start()
    ledger.save_steps(first, [(b"{}", None, 5, row.id)])
    first.commit()
    waiter.join(5)
    assert seen == [{row.id: 5}]
    first.begin()
    first.lock_runs([row.id])
    with pytest.raises(StoreFault) as held, transaction(second):
        second.lock_runs([row.id])
    assert held.value.again
    assert not held.value.lost
    first.rollback()
    first.close()
    second.close()


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_commit_that_the_line_was_lost_in_is_told_apart(shipway_postgres_url, when):
    with Wire(shipway_postgres_url) as wire:
        database = PostgresDatabase(Secret(wire.url))
        writer, row = database.writer(), run_row()
        wire.cut(b"COMMIT", when)
        with pytest.raises(StoreFault) as lost, transaction(writer):
            insert(writer, row)
        assert lost.value.lost
        assert lost.value.in_doubt
        assert came_through(writer) is (when == "after")
        with transaction(writer):
            assert (ledger.load_run(writer, row.id) is not None) is (when == "after")
        writer.close()
        database.close()
        assert wire.cuts == 1


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_short_write_knows_by_itself_whether_it_counted(shipway_postgres_url, when):
    with Wire(shipway_postgres_url) as wire:
        database = PostgresDatabase(Secret(wire.url))
        row = run_row()
        wire.cut(b"COMMIT", when)
        if when == "before":
            with pytest.raises(NetworkError), database.writing() as connection:
                insert(connection, row)
        else:
            with database.writing() as connection:
                insert(connection, row)
        with database.reading() as reader:
            assert (ledger.load_run(reader, row.id) is not None) is (when == "after")
        database.close()


def test_a_line_that_breaks_in_the_middle_leaves_nothing_and_the_next_begin_has_a_new_one(
    shipway_postgres_url,
):
    with Wire(shipway_postgres_url) as wire:
        database = PostgresDatabase(Secret(wire.url))
        writer, row = database.writer(), run_row()
        wire.cut(b"INSERT INTO runs", "after")
        with pytest.raises(StoreFault) as lost, transaction(writer):
            insert(writer, row)
        assert lost.value.lost
        assert not lost.value.in_doubt
        with transaction(writer):
            insert(writer, row)
        assert database.figures().lost >= 1
        writer.close()
        database.close()


def test_the_pool_has_a_limit_waits_are_measured_and_end(database):
    held = [threading.Event() for _ in range(3)]
    free = threading.Event()

    def hold(mine: threading.Event) -> None:
        with database.reading() as connection:
            connection.execute("SELECT 1")
            mine.set()
            free.wait(20)

    threads = [threading.Thread(target=hold, args=(mine,)) for mine in held]
    for thread in threads:
        thread.start()
    assert all(mine.wait(10) for mine in held)
    began = time.monotonic()
    with pytest.raises(OverloadError, match="in use"), database.reading():
        raise AssertionError("a fourth connection")
    assert time.monotonic() - began < 5
    figures = database.figures()
    assert (figures.limit, figures.open, figures.idle) == (3, 3, 0)
    assert figures.waits >= 1
    assert figures.timeouts == 1
    free.set()
    for thread in threads:
        thread.join()
    with database.reading() as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert database.figures().waited_s > 0


def wrong(url: str, **parts: str) -> str:
    head, _, name = url.rpartition("/")
    user, _, rest = head.removeprefix("postgresql://").partition(":")
    password, _, where = rest.rpartition("@")
    found = {"user": user, "password": password, "where": where, "name": name, **parts}
    return "postgresql://{user}:{password}@{where}/{name}".format_map(found)


@pytest.mark.parametrize(
    ("parts", "kind", "says"),
    [
        ({"password": "hunter2hunter2"}, ConfigurationError, "refuses our user or password"),
        ({"name": "nowhere"}, ConfigurationError, "no such database"),
        ({"where": "127.0.0.1:1"}, NetworkError, "does not answer"),
    ],
)
def test_what_is_wrong_with_an_address_is_said_without_its_secret(postgres_url, parts, kind, says):
    database = PostgresDatabase(Secret(wrong(postgres_url, **parts)), Limits(wait_s=0.2))
    with pytest.raises(kind, match=says) as refused:
        database.revision()
    said = f"{told(refused.value)} {refused.value} {database.name} {database!r}"
    for secret in ("hunter2", postgres_url.split(":")[2].split("@")[0]):
        assert secret not in said
    assert isinstance(refused.value, ShipwayError)
    assert refused.value.hint
    database.close()


def test_a_server_that_stands_still_is_given_up_and_served_again_when_it_moves(tmp_path):
    with Postgres() as server:
        database = PostgresDatabase(Secret(server.url()), Limits(wait_s=0.5, patience_s=0.5))
        migrate(database)
        writer = database.writer()
        row = run_row()
        with transaction(writer):
            insert(writer, row)
        server.freeze()
        for _ in range(2):  # in the line that it had, and with a new one
            with pytest.raises(StoreFault) as lost, transaction(writer):
                ledger.load_run(writer, row.id)
            assert lost.value.lost
        with pytest.raises(NetworkError), database.reading() as reader:
            ledger.load_run(reader, row.id)
        server.thaw()
        give_up = time.monotonic() + 20
        while True:
            try:
                with transaction(writer):
                    assert ledger.load_run(writer, row.id) is not None
                with database.reading() as reader:
                    assert ledger.load_run(reader, row.id) is not None
                break
            except (StoreFault, NetworkError):
                assert time.monotonic() < give_up
        writer.close()
        database.close()


def test_an_attempt_stays_taken_until_its_last_word_is_taken_in(database):
    """Word that it has begun may be read late, after the last word was left but before it was read."""
    row, worker = (
        run_row(),
        fleet.WorkerRow(
            "w", "worker", "w", "here", 1, "1", "[]", "{}", draining=False, seconds=0, silent=0
        ),
    )
    key = fleet.Key(row.id, "plan", 1, 1)
    with database.writing() as connection:
        insert(connection, row)
        fleet.join(connection, worker)
        ledger.insert_orders(connection, [OrderRow(row.id, "plan", 1, 1, 0, b"{}")])
        assert fleet.claim(connection, "w", key) is not None
        assert fleet.report(connection, "w", key, b"begun", last=False)
        assert fleet.report(connection, "w", key, b"done", last=True)
        begun, done = (report for report, _, _ in fleet.reports(connection, 9))
        assert fleet.take_report(connection, begun)
        assert key not in [one for one, _ in fleet.unclaimed(connection)]
        assert fleet.take_report(connection, done)
        assert key in [one for one, _ in fleet.unclaimed(connection)]  # were its order still open
