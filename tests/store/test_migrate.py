"""The first command on a machine may die at any moment: its database is made whole, or not at all."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from shipway.store.opening import REVISION, Look, prepare
from shipway.store.sqlite import revision

SOURCE = Path(__file__).resolve().parents[2] / "src"
MIGRATIONS = SOURCE / "shipway" / "store" / "migrations" / "versions"
DIES = """
import os, signal, sys
from pathlib import Path
from sqlalchemy import Engine, event
from shipway.store.migrate import migrate
from shipway.store.sqlite import SqliteDatabase

seen = 0

def count(connection, cursor, statement, *rest):
    global seen
    seen += "CREATE TABLE" in statement
    if seen == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)

event.listen(Engine, "after_cursor_execute", count)
migrate(SqliteDatabase(Path(sys.argv[1])))
"""


def test_migrations_follow_one_another_and_end_where_the_code_is(tmp_path):
    names = sorted(path.name for path in MIGRATIONS.glob("0*.py"))
    numbers = [name.split("_")[0] for name in names]
    assert numbers == [f"{number:04}" for number in range(1, len(numbers) + 1)]
    assert numbers[-1] == REVISION


@pytest.mark.parametrize("table", [1, 2, 4])
def test_a_process_that_dies_while_it_makes_the_tables_leaves_none_of_them(tmp_path, table):
    path = tmp_path / "shipway.db"
    died = subprocess.run(
        [sys.executable, "-c", DIES, str(path), str(table)],
        env={"PYTHONPATH": str(SOURCE)},
        check=False,
        timeout=60,
    )
    assert died.returncode == -signal.SIGKILL
    assert revision(path) is None
    prepare(path).close()
    assert revision(path) == REVISION


def test_where_the_tables_are_is_known_to_whoever_asks_first(tmp_path):
    database = prepare(tmp_path / "shipway.db")
    assert Look(database.lookout()).revision() == REVISION
    database.close()
