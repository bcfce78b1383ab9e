"""What the ledger may rely on holds on both databases: one suite, run on SQLite and PostgreSQL."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from stored import insert, run_row

from shipway.config import Settings, load_settings
from shipway.errors import ConflictError, NotFoundError, ShipwayError
from shipway.secrets import Secret
from shipway.store import ledger, runs
from shipway.store.database import Database, StoreFault, transaction
from shipway.store.ledger import CommandRow, OrderRow
from shipway.store.migrate import drift, migrate
from shipway.store.opening import REVISION, prepare
from shipway.telemetry.logs import configure


def test_the_tables_are_those_of_this_version_and_migrating_again_changes_nothing(database):
    assert database.revision() == REVISION
    assert drift(database) == []
    assert migrate(database) == []


def test_a_change_by_hand_is_seen_as_drift(database: Database):
    with database.writing() as connection:
        connection.execute("CREATE TABLE somebody_elses (id INTEGER)")
    assert drift(database) == []
    with database.writing() as connection:
        connection.execute("DROP INDEX orders_open")
        connection.execute("ALTER TABLE runs ADD COLUMN mine TEXT")
    found = "\n".join(drift(database))
    assert "orders_open" in found
    assert "mine" in found


def test_a_transaction_counts_whole_or_not_at_all(database: Database):
    writer = database.writer()
    row = run_row()
    with pytest.raises(ZeroDivisionError), transaction(writer):
        ledger.append_events(writer, [(row.id, insert(writer, row) // 0, 1.0, "Never", b"{}")])
    with transaction(writer):
        assert ledger.load_run(writer, row.id) is None
        insert(writer, row)
    with database.reading() as reader:
        assert ledger.load_run(reader, row.id) is not None
    writer.close()


def test_an_event_or_an_order_is_never_written_twice(database: Database):
    writer, row = database.writer(), run_row()
    order = OrderRow(row.id, "plan", 1, 1, 0, b"{}")
    with transaction(writer):
        insert(writer, row)
        ledger.append_events(writer, [(row.id, 1, 1.0, "RunSubmitted", b"{}")])
        ledger.insert_orders(writer, [order])
    with pytest.raises(StoreFault) as twice, transaction(writer):
        ledger.append_events(writer, [(row.id, 1, 2.0, "RunEnded", b"{}")])
    assert not twice.value.again
    with pytest.raises(StoreFault), transaction(writer), writer.together():
        ledger.insert_orders(writer, [order._replace(token=2)])
    with database.reading() as reader:
        assert [event.type for event in runs.events(reader, row.id)] == ["RunSubmitted"]
    writer.close()


def test_an_order_is_delivered_once_whoever_asks(database: Database):
    with database.writing() as connection:
        row = run_row()
        insert(connection, row)
        orders = [OrderRow(row.id, "plan", number, number, 0, b"{}") for number in range(40)]
        ledger.insert_orders(connection, orders)

    def take(_: int) -> list[OrderRow]:
        with database.writing() as connection:
            return ledger.deliver(connection)

    with ThreadPoolExecutor(4) as pool:
        taken = [order.attempt for got in pool.map(take, range(8)) for order in got]
    assert sorted(taken) == list(range(40))
    with database.writing() as connection:
        ledger.close_orders(connection, [("done", row.id, "plan", 3)])
        assert len(ledger.handed_out(connection)) == 39
        assert ledger.open_orders(connection) == 39


def test_many_that_start_at_once_make_the_tables_once(home: Path, postgres_url: str):
    for url in (None, Secret(postgres_url)):
        settings = load_settings(home=home, database_url=url)
        start = threading.Barrier(4)

        def begin(_: int, settings: Settings = settings, start: threading.Barrier = start) -> str:
            start.wait(10)
            found = prepare(home / "shipway.db", settings)
            revision = str(found.revision())
            found.close()
            return revision

        with ThreadPoolExecutor(4) as pool:
            assert set(pool.map(begin, range(4))) == {REVISION}


def test_run_numbers_are_unique_when_many_begin_at_once(database: Database):
    def begin(_: int) -> int:
        with database.writing() as connection:
            return insert(connection, run_row())

    with ThreadPoolExecutor(6) as pool:
        numbers = list(pool.map(begin, range(60)))
    assert len(set(numbers)) == 60
    with database.reading() as reader:
        assert runs.get(reader, runs.resolve(reader, "@last")).number == max(numbers)


def test_every_event_of_every_run_reaches_a_follower_once_and_in_order(database: Database):
    with database.writing() as connection:
        written = [run_row() for _ in range(4)]
        for row in written:
            insert(connection, row)
    done = threading.Event()
    seen: list[runs.PlacedEvent] = []

    def follow() -> None:
        position = 0
        while True:
            finished = done.is_set()
            with database.reading() as reader:
                found = runs.feed(reader, position, limit=7)
            seen.extend(found)
            position = found[-1].position if found else position
            if finished and not found:
                return

    def write(run: str) -> None:
        for seq in range(1, 31):
            with database.writing() as connection:
                ledger.append_events(connection, [(run, seq, 1.0, "Said", b"{}")])

    follower = threading.Thread(target=follow)
    follower.start()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, [row.id for row in written]))
    done.set()
    follower.join(30)
    assert len(seen) == 120
    positions = [event.position for event in seen]
    assert positions == sorted(set(positions))
    for row in written:
        assert [event.seq for event in seen if event.run == row.id] == list(range(1, 31))
    with database.reading() as reader:
        assert runs.position_now(reader) >= positions[-1]
        assert runs.feed(reader, runs.position_now(reader)) == []


def test_the_change_mark_moves_when_somebody_else_commits(database: Database):
    with database.reading() as reader:
        before = runs.change_mark(reader)
        assert runs.change_mark(reader) == before
    with database.writing() as connection:
        insert(connection, run_row())
    with database.reading() as reader:
        assert runs.change_mark(reader) != before


def test_runs_are_found_by_number_by_the_beginning_of_their_id_and_as_the_last(database: Database):
    with database.writing() as connection:
        first, last = run_row(id="0abc1"), run_row(id="0abd2")
        number = insert(connection, first)
        insert(connection, last)
    with database.reading() as reader:
        assert runs.resolve(reader, "@last") == last.id
        assert runs.resolve(reader, str(number)) == first.id
        assert runs.resolve(reader, "0abc") == first.id
        with pytest.raises(ConflictError):
            runs.resolve(reader, "0ab")
        with pytest.raises(NotFoundError):
            runs.resolve(reader, "zzz")


def test_a_command_is_kept_until_it_is_answered(database: Database):
    with database.writing() as connection:
        ledger.insert_command(connection, CommandRow("c1", "cancel", "r", b"{}"), 1.0)
        ledger.insert_command(connection, CommandRow("c2", "pause", None, b"{}"), 2.0)
        assert [one.id for one in ledger.open_commands(connection)] == ["c1", "c2"]
        assert ledger.command_answer(connection, "c1") is None
        ledger.finish_command(connection, "c1", b'{"ok":true}', 3.0)
    with database.reading() as reader:
        assert [one.id for one in ledger.open_commands(reader)] == ["c2"]
        assert ledger.command_answer(reader, "c1") == b'{"ok":true}'


def test_progress_is_what_was_said_last(database: Database):
    with database.writing() as connection:
        ledger.note_progress(connection, [("r", "plan", 1, "reading"), ("r", "e2e", 1, "waiting")])
        ledger.note_progress(connection, [("r", "plan", 2, "writing")])
    with database.reading() as reader:
        assert runs.progress(reader, "r") == {"plan": (2, "writing"), "e2e": (1, "waiting")}


def test_a_slow_statement_is_logged_by_the_name_of_who_made_it(
    database_settings: Settings, tmp_path: Path
):
    log = tmp_path / "log.jsonl"
    configure("info", log)
    slow = database_settings.model_copy(update={"slow_query_ms": 0})
    database = prepare(database_settings.home / "shipway.db", slow)
    with database.reading() as reader:
        assert ledger.load_run(reader, "nobody") is None
    with database.writing() as connection:
        ledger.note_progress(connection, [("r", "plan", 1, "reading")])
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    names = {line["query"] for line in lines if line["event"] == "store.slow_query"}
    assert {"ledger.load_run", "ledger.note_progress"} <= names
    figures = database.figures()
    assert figures.slow == figures.statements > 0
    database.close()


def test_tables_of_a_later_version_are_used_while_they_say_that_we_may(database_settings: Settings):
    database = prepare(database_settings.home / "shipway.db", database_settings)
    with database.writing() as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    again = prepare(database_settings.home / "shipway.db", database_settings)
    with again.writing() as connection:
        insert(connection, run_row())
        connection.execute("UPDATE compatibility SET oldest = '9999'")
    again.close()
    with pytest.raises(ShipwayError, match="later version") as refused:
        prepare(database_settings.home / "shipway.db", database_settings)
    url = database_settings.database_url or Secret("")
    assert (url.reveal() or "no address") not in str(refused.value)
    database.close()
