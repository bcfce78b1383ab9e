"""Lists of runs: every filter and order gives each run once, by index, at any place in the list."""

from __future__ import annotations

import random
from itertools import product

import pytest
from stored import insert, run_row

from shipway.errors import UsageError
from shipway.store import ledger
from shipway.store.database import Database
from shipway.store.ledger import OrderRow, RunRow
from shipway.store.listing import SORTS, Filter, page

STATUSES = ("running", "waiting", "succeeded", "failed")
FILTERS = (
    Filter(),
    Filter(statuses=("failed",)),
    Filter(statuses=("running", "succeeded", "failed")),
    Filter(pipeline="change"),
    Filter(text="LIBRÄRY"),
    Filter(statuses=("succeeded",), pipeline="service", text="shop"),
)


@pytest.fixture
def many(database: Database) -> list[RunRow]:
    chance, found = random.Random(5), []
    with database.writing() as connection:
        for count in range(90):
            status = chance.choice(STATUSES)
            name = chance.choice(("service", "change"))
            ended = 1000.0 + chance.randrange(20) if status in {"succeeded", "failed"} else None
            row = run_row(
                status=status,
                pipeline=f"digest-of-{name}",
                title=f"{chance.choice(('Shop', 'Library', 'Libräry'))} {count}",
                ended_at=ended,
            )
            number = insert(connection, row, name)
            found.append((number, name, row))
    return found


def expected(many, wanted: Filter, sort: str) -> list[int]:
    chosen = [
        (number, row)
        for number, name, row in many
        if (not wanted.statuses or row.status in wanted.statuses)
        and (wanted.pipeline is None or name == wanted.pipeline)
        and (wanted.text is None or wanted.text.casefold() in row.title.casefold())
        and (not sort.endswith("ended") or row.ended_at is not None)
    ]
    by_end = sort.endswith("ended")
    key = (lambda one: (one[1].ended_at, one[0])) if by_end else (lambda one: one[0])
    chosen.sort(key=key, reverse=sort in {"newest", "last ended"})
    return [number for number, _ in chosen]


def test_pages_together_are_the_list_for_every_filter_and_order(database: Database, many) -> None:
    with database.reading() as connection:
        for wanted, sort, limit in product(FILTERS, SORTS, (1, 7, 100)):
            found: list[int] = []
            after = None
            while True:
                got = page(connection, wanted, sort=sort, limit=limit, after=after)
                assert len(got.rows) <= limit
                found += [row.number for row in got.rows]
                after = got.next
                if after is None:
                    break
            assert found == expected(many, wanted, sort), (wanted, sort, limit)


def test_a_run_that_comes_meanwhile_moves_no_page(database: Database, many) -> None:
    with database.reading() as connection:
        first = page(connection, Filter(), limit=10)
    with database.writing() as connection:
        insert(connection, run_row())
    with database.reading() as connection:
        second = page(connection, Filter(), limit=10, after=first.next)
    assert second.rows[0].number == first.rows[-1].number - 1


@pytest.mark.parametrize("place", ["", "x", "1:2:3", "nan:1", "1e300:1", "1:99999999999"])
def test_a_place_that_nobody_gave_is_refused(database: Database, place: str) -> None:
    with database.reading() as connection, pytest.raises(UsageError):
        page(connection, Filter(), after=place)


def test_a_filter_that_finds_little_looks_at_so_many_rows_and_says_where_to_go_on(
    database: Database, many, monkeypatch
) -> None:
    monkeypatch.setattr("shipway.store.listing._LOOKED_AT", 20)
    with database.reading() as connection:
        got = page(connection, Filter(text="nowhere"))
        assert got.rows == []
        assert got.next is not None
        pages = 1
        while got.next is not None:
            got = page(connection, Filter(text="nowhere"), after=got.next)
            pages += 1
    assert pages == 5


# -- what the database does for it ------------------------------------------------------------

STATEMENTS = {
    "newest": "SELECT number FROM runs WHERE number < 500 ORDER BY number DESC LIMIT 50",
    "of a status": "SELECT number FROM runs WHERE status = 'failed' AND number < 500"
    " ORDER BY number DESC LIMIT 50",
    "of a pipeline": "SELECT number FROM runs WHERE pipeline_name = 'change' AND number < 500"
    " ORDER BY number DESC LIMIT 50",
    "by their end": "SELECT number FROM runs WHERE ended_at IS NOT NULL"
    " AND (ended_at, number) < (900.0, 5) ORDER BY ended_at DESC, number DESC LIMIT 50",
    "old runs": "SELECT id FROM runs WHERE ended_at < 2.0 ORDER BY ended_at, number LIMIT 20",
    "open orders": "SELECT run FROM orders WHERE status = 'open' AND deliveries = 0",
    "handed out": "SELECT run FROM orders WHERE deliveries > 0 AND " + ledger.OPEN,  # noqa: S608
    "events of a run": "SELECT seq, data FROM events WHERE run = 'r' AND seq > 3 ORDER BY seq LIMIT 100",
    "feed": "SELECT position, data FROM events WHERE position > 9000 AND position <= 90000"
    " ORDER BY position LIMIT 500",
    "moving": "SELECT id FROM runs WHERE status IN ('queued', 'running')",
    "timers": "SELECT id, due FROM runs WHERE due IS NOT NULL"
    " AND status IN ('queued', 'running', 'waiting', 'paused')",
    "open commands": "SELECT id FROM commands WHERE done_at IS NULL ORDER BY at, id",
    "answered commands": "SELECT id FROM commands WHERE done_at < 3.0 ORDER BY done_at LIMIT 200",
}


@pytest.fixture
def full(database: Database) -> Database:
    """Enough that a plan without an index would show, and figures that the planner goes by."""
    with database.writing() as connection:
        ledger.insert_pipelines(connection, [("d", "service", 1, b"{}")])
        runs = [(f"r{n:06}", n, "succeeded", "d", "service", 1000.0 + n) for n in range(1, 4001)]
        connection.executemany(
            "INSERT INTO runs (id, number, status, pipeline, pipeline_name, title, trace, submission,"
            " state, created_at, ended_at, seq) VALUES (?, ?, ?, ?, ?, 't', 't', '', '', 1.0, ?, 3)",
            runs,
        )
        ledger.append_events(
            connection,
            [(run[0], seq, 1.0, "StagePassed", b"{}") for run in runs for seq in (1, 2, 3)],
        )
        ledger.insert_orders(connection, [OrderRow(run[0], "plan", 1, 1, 1, b"{}") for run in runs])
        connection.execute("UPDATE orders SET status = 'done'")
        connection.executemany(
            "INSERT INTO commands (id, at, kind, data, done_at) VALUES (?, ?, 'cancel', '', ?)",
            [(f"c{n}", float(n), float(n)) for n in range(4000)],
        )
    if database.kind == "postgresql":  # which does so by itself after a while; SQLite never does
        with database.writing() as connection:
            connection.execute("ANALYZE")
    return database


def test_no_statement_of_the_hot_path_or_of_a_page_reads_a_whole_table(full: Database) -> None:
    with full.reading() as connection:
        for name, statement in STATEMENTS.items():
            if full.kind == "sqlite":
                plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")]
                whole = [
                    line
                    for line in plan
                    if line.startswith("SCAN") or "TEMP B-TREE FOR ORDER BY" in line
                ]
                whole = [line for line in whole if "USING" not in line and name != "open commands"]
            else:
                plan = [row[0] for row in connection.execute(f"EXPLAIN {statement}")]
                whole = [line for line in plan if "Seq Scan" in line]
            assert whole == [], f"{name}: {plan}"
