"""A backup holds everything and is looked at; a restore fills an empty place and nothing else."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from stored import insert, run_row

from servers import Postgres
from shipway.config import Settings, load_settings
from shipway.errors import ConfigurationError, ConflictError
from shipway.secrets import Secret
from shipway.store import ledger, runs
from shipway.store.backup import backup, restore
from shipway.store.check import examine, unsound
from shipway.store.database import Database
from shipway.store.ledger import CommandRow, OrderRow
from shipway.store.opening import database as opened

STATE = bytes(range(256))


def fill(database: Database) -> None:
    with database.writing() as connection:
        for number in range(25):
            row = run_row(state=STATE, title=f"shop {number} ü", ended_at=None)
            insert(connection, row)
            ledger.append_events(
                connection, [(row.id, seq, 1.5, "Said", b'{"a": 1}') for seq in range(1, 61)]
            )
            ledger.save_steps(connection, [(STATE, 2.5, 60, row.id)])
            ledger.insert_orders(connection, [OrderRow(row.id, "plan", 1, 1, 1, b"\x00task")])
        ledger.insert_command(connection, CommandRow("c", "cancel", None, b"{}"), 1.0)
        ledger.note_progress(connection, [("r", "plan", 1, "reading")])


def everything(database: Database) -> list[object]:
    with database.reading() as connection:
        return [
            connection.execute(
                "SELECT id, number, status, title, state, due, seq FROM runs ORDER BY number"
            ).fetchall(),
            connection.execute(
                "SELECT position, run, seq, at, type, data FROM events ORDER BY position"
            ).fetchall(),
            connection.execute(
                "SELECT position, run, task, outcome FROM orders ORDER BY position"
            ).fetchall(),
            connection.execute("SELECT id, at, done_at FROM commands").fetchall(),
        ]


@pytest.fixture
def empty(tmp_path: Path, postgres_server: Postgres):
    """Settings of a new place of a kind, without any table."""
    made = []

    def make(kind: str) -> Settings:
        home = tmp_path / f"new-{kind}"
        home.mkdir()
        url = None
        if kind == "postgresql":
            made.append(postgres_server.create())
            url = Secret(made[-1])
        return load_settings(home=home, database_url=url)

    yield make
    for url in made:
        postgres_server.drop(url)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_what_is_restored_is_what_was_backed_up_and_goes_on_from_there(
    database: Database, empty, tmp_path: Path, kind: str
) -> None:
    fill(database)
    contents = backup(database, tmp_path / "made" / "file", portable=kind == "postgresql")
    assert contents.rows["events"] == 1500
    assert (tmp_path / "made" / "file").stat().st_mode & 0o777 == 0o600
    settings = empty(kind)
    there = opened(settings.home / "shipway.db", settings)
    assert restore(there, tmp_path / "made" / "file").rows["runs"] == 25
    assert everything(there) == everything(database)
    assert examine(there) == []
    with there.writing() as connection:
        row = run_row()
        assert insert(connection, row) == 26
        ledger.append_events(connection, [(row.id, 1, 1.0, "Said", b"{}")])
        assert runs.feed(connection, 1500, 10) if there.kind == "sqlite" else True
    there.close()


def test_a_backup_while_others_write_is_of_one_moment(database: Database, tmp_path: Path) -> None:
    fill(database)
    with database.snapshot() as before:
        count = before.execute("SELECT count(*) FROM events").fetchone()
        with database.writing() as connection:
            row = run_row()
            insert(connection, row)
            ledger.append_events(connection, [(row.id, 1, 1.0, "Said", b"{}")])
        assert before.execute("SELECT count(*) FROM events").fetchone() == count
    backup(database, tmp_path / "file")


def test_nothing_is_overwritten(database: Database, tmp_path: Path) -> None:
    fill(database)
    file = tmp_path / "file"
    backup(database, file)
    with pytest.raises(ConflictError, match="file already"):
        backup(database, file)
    before = everything(database)
    with pytest.raises(ConflictError, match="has runs already"):
        restore(database, file)
    assert everything(database) == before


@pytest.mark.parametrize("harm", ["cut", "changed", "other", "lines"])
def test_a_file_that_is_not_whole_is_refused_before_anything_is_written(
    database: Database, empty, tmp_path: Path, harm: str
) -> None:
    fill(database)
    file = tmp_path / "file"
    backup(database, file, portable=True)
    data = file.read_bytes()
    text = gzip.decompress(data)
    harmed = {
        "cut": data[: len(data) // 2],
        "changed": gzip.compress(text.replace(b"shop 3", b"shop 4")),
        "other": b"hello",
        "lines": gzip.compress(b"".join(text.splitlines(keepends=True)[:-30])),
    }
    file.write_bytes(harmed[harm])
    settings = empty("sqlite")
    there = opened(settings.home / "shipway.db", settings)
    with pytest.raises(ConfigurationError, match="cannot be restored"):
        restore(there, file)
    assert there.revision() is None


def test_a_check_names_what_does_not_fit_together(database: Database) -> None:
    fill(database)
    assert examine(database) == []
    with database.writing() as connection:
        connection.execute("DELETE FROM events WHERE position = 30")
        connection.execute("UPDATE runs SET status = 'succeeded' WHERE number = 2")
        found = "\n".join(unsound(connection))
    assert "lack an event: 1" in found
    assert "ended with an order open: 2" in found


def test_an_older_database_is_brought_forward_with_what_it_holds(empty, tmp_path: Path) -> None:
    from shipway.store.migrate import migrate, migrate_to, pending

    for kind in ("sqlite", "postgresql"):
        settings = empty(kind)
        there = opened(settings.home / "shipway.db", settings)
        migrate_to(there, "0003")
        with there.writing() as connection:
            connection.execute(
                "INSERT INTO pipelines (digest, name, version, definition) VALUES ('d', 'service', 1, ?)",
                (b"{}",),
            )
            connection.execute(
                "INSERT INTO runs (id, number, status, pipeline, title, trace, submission, state,"
                " created_at) VALUES ('r', 7, 'running', 'd', 't', 't', ?, ?, 1.0)",
                (b"{}", b"{}"),
            )
            ledger.append_events(connection, [("r", seq, 1.0, "Said", b"{}") for seq in (1, 2, 3)])
        missing = pending(there)
        assert missing[0] == "0004"
        assert migrate(there) == missing
        with there.writing() as connection:
            found = connection.execute("SELECT seq, pipeline_name FROM runs").fetchone()
            assert tuple(found) == (3, "service")
            assert connection.next_run_numbers(2) == [8, 9]
        assert examine(there) == []
        there.close()
