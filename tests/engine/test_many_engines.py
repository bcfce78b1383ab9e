"""Any number of engines on one PostgreSQL: what they do to the same runs adds up to one history."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import pytest
from scripted import SEVEN, WORK, House, WorkRequest, WorkResult

from servers import Postgres
from shipway.agents.agent import Desk
from shipway.config import Settings, load_settings
from shipway.domain.run import events as e
from shipway.domain.states import RunStatus
from shipway.engine.advance import Committed, Writer
from shipway.engine.codec import encode
from shipway.engine.dispatch.fleet.home import enter
from shipway.engine.ids import run_id
from shipway.engine.intake import Ready
from shipway.errors import ConfigurationError
from shipway.secrets import Secret
from shipway.store import ledger
from shipway.store.ledger import OrderRow
from shipway.store.opening import database
from shipway.telemetry.trace import new
from wire import Wire

STAGES = 7


class Engine:
    """A writer on an event loop of its own; ``handed_out`` are the orders that its commits caused."""

    def __init__(self, settings: Settings) -> None:
        self.database = database(settings.home / "shipway.db", settings)
        self.loop = asyncio.new_event_loop()
        self.writer = Writer(self.database, time.time, self._committed, WORK)
        self.handed_out: list[OrderRow] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._ready = threading.Event()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.call_soon(self._open)
        self.loop.run_forever()

    def _open(self) -> None:
        self.writer.open()
        self._ready.set()

    def _committed(self, results: list[Committed]) -> None:
        self.handed_out += [order for committed in results for order in committed.orders]

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self.loop).result(30)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()
        self.database.close()

    async def _close(self) -> None:
        self.writer.close()


@contextmanager
def engines(settings: Settings, count: int) -> Iterator[list[Engine]]:
    with Engine(settings) as first:
        if count == 1:
            yield [first]
        else:
            with engines(settings, count - 1) as others:
                yield [first, *others]


@pytest.fixture
def settings_there(shipway_postgres_url: str, home: Path) -> Settings:
    return load_settings(home=home, database_url=Secret(shipway_postgres_url))


def done(order: OrderRow) -> e.Completed:
    return e.Completed(
        order.stage, order.attempt, order.token, "succeeded", {"said": order.stage, "flag": True}
    )


def submit(writer: Writer, house: House) -> Future[Committed]:
    requirement = house.artifacts.put(b"do it", "requirement.md", "text/markdown")
    values = {
        "requirement": requirement.model_dump(mode="json"),
        "kind": "change",
        "target": "main",
        "repository": "somewhere",
        "answers": {},
    }
    return writer.submit(Ready(run_id(time.time()), new(), "do it", SEVEN, values))


def open_orders(house: House) -> list[OrderRow]:
    with house.database.reading() as connection:
        return ledger.handed_out(connection)


def finish(house: House, writers: list[Engine], runs: list[str], chance: random.Random) -> None:
    """Report every open order to every engine at once, until no run has any."""
    give_up = time.monotonic() + 60
    while orders := open_orders(house):
        assert time.monotonic() < give_up
        asked = [
            engine.writer.ask(order.run, done(order))
            for order in orders
            for engine in chance.sample(writers, len(writers))
        ]
        for future in asked:
            future.result(30)
    for run in runs:
        assert house.queries.status(run) is RunStatus.SUCCEEDED


def assert_one_history(house: House, runs: list[str]) -> None:
    for run in runs:
        history = house.queries.events(run)
        assert [event.seq for event in history] == list(range(1, len(history) + 1))
        kinds = Counter(event.type for event in history)
        assert kinds["StagePassed"] == kinds["StageQueued"] == STAGES
        assert kinds["RunEnded"] == 1
    with house.database.reading() as connection:
        twice = connection.execute(
            "SELECT run, stage FROM orders GROUP BY run, stage HAVING count(*) > 1"
        ).fetchall()
        numbers = [row[0] for row in connection.execute("SELECT number FROM runs")]
    assert twice == []
    assert len(numbers) == len(set(numbers)) == len(runs)


def test_every_engine_reports_everything_and_each_outcome_counts_once(settings_there) -> None:
    house, chance = House(settings_there), random.Random(20261125)
    with engines(settings_there, 3) as writers:
        begun = [submit(chance.choice(writers).writer, house) for _ in range(24)]
        runs = [future.result(30).run for future in begun]
        finish(house, writers, runs, chance)
        handed_out = Counter(
            (order.run, order.stage, order.attempt)
            for engine in writers
            for order in engine.handed_out
        )
    assert_one_history(house, runs)
    assert len(handed_out) == 24 * STAGES
    assert set(handed_out.values()) == {1}, "an order was handed out by two engines"
    house.close()


def test_an_engine_that_knows_an_old_state_looks_again(settings_there) -> None:
    house = House(settings_there)
    with engines(settings_there, 2) as (one, other):
        run = submit(one.writer, house).result(10).run
        one.writer.ask(run, e.Pause("ada", "wait")).result(10)
        other.writer.ask(run, e.Resume("ada")).result(10)
        other.writer.ask(run, e.Cancel("ada", "enough")).result(10)
        committed = one.writer.ask(run, e.Resume("bob")).result(10)
    assert committed.decision is not None
    assert committed.decision.state.status is RunStatus.CANCELLED
    house.close()


@pytest.mark.parametrize(
    ("word", "when"), [(b"COMMIT", "before"), (b"COMMIT", "after"), (b"NO KEY UPDATE", "after")]
)
def test_an_input_survives_a_line_that_is_cut(settings_there, word: bytes, when) -> None:
    """Whatever became of the commit, the outcome counts once and its orders are handed out once."""
    house = House(settings_there)
    with Wire(settings_there.database_url.reveal()) as wire:
        here = settings_there.model_copy(update={"database_url": Secret(wire.url)})
        with Engine(here) as engine:
            run = submit(engine.writer, house).result(10).run
            (plan,) = engine.handed_out
            wire.cut(word, when)
            engine.writer.tell(run, done(plan), encode({"status": "succeeded"}))
            give_up = time.monotonic() + 15
            while len(engine.handed_out) < 2:
                assert time.monotonic() < give_up, "the outcome was lost"
                time.sleep(0.02)
            assert wire.cuts == 1
            engine.writer.ask(run, done(plan)).result(10)
        assert [order.stage for order in engine.handed_out] == ["plan", "scaffold"]
        passed = [one.stage for one in house.queries.events(run) if one.type == "StagePassed"]
        assert passed == ["plan"]
    house.close()


def test_a_migration_on_a_live_system_lets_engines_wait_and_lose_nothing(settings_there) -> None:
    """The tables are held for longer than an engine waits for them, as a long migration would."""
    house, chance = House(settings_there), random.Random(11)
    held, change = threading.Event(), threading.Event()

    def migrate() -> None:
        with house.database.writing() as connection:
            connection.execute("ALTER TABLE runs ADD COLUMN later TEXT")
            connection.execute("CREATE INDEX later ON events (at)")
            held.set()
            change.wait(1.5)

    with engines(settings_there, 2) as writers:
        runs = [submit(chance.choice(writers).writer, house).result(30).run for _ in range(6)]
        orders = open_orders(house)
        thread = threading.Thread(target=migrate)
        thread.start()
        assert held.wait(10)
        asked = [writers[0].writer.ask(order.run, done(order)) for order in orders]
        with pytest.raises(TimeoutError):
            asked[0].result(0.3)
        thread.join(30)
        for future in asked:
            assert future.result(30).decision is not None
        finish(house, writers, runs, chance)
    assert_one_history(house, runs)
    house.close()


def test_a_server_that_refuses_for_a_while_costs_time_and_nothing_else(home: Path) -> None:
    with Postgres() as server:
        settings = load_settings(home=home, database_url=Secret(server.create()))
        house, chance = House(settings), random.Random(7)
        with Engine(settings) as engine:
            runs = [submit(engine.writer, house).result(10).run for _ in range(5)]
            orders = open_orders(house)
            server.stop()
            asked = [engine.writer.ask(order.run, done(order)) for order in orders]
            with pytest.raises(TimeoutError):
                asked[0].result(1.5)
            server.start()
            for future in asked:
                assert future.result(20).decision is not None
            finish(house, [engine], runs, chance)
        assert_one_history(house, runs)
        house.close()


def test_runs_that_are_handed_in_at_the_same_moment_share_the_room(
    shipway_postgres_url: str, home: Path
) -> None:
    url, most = Secret(shipway_postgres_url), 3
    house = House(load_settings(home=home, database_url=url, max_runs=most))
    ready, together = [house.ready() for _ in range(12)], threading.Barrier(12)

    def start(one: Ready) -> None:
        together.wait(10)
        house.commands.start(one)

    threads = [threading.Thread(target=start, args=(one,)) for one in ready]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    statuses = Counter(house.queries.status(one.run) for one in ready)
    assert statuses == {RunStatus.RUNNING: most, RunStatus.QUEUED: 12 - most}
    house.close()


def test_without_a_fleet_a_database_is_carried_by_one_state_directory_only(
    settings_there, tmp_path: Path
) -> None:
    """Its engine takes every order that it did not hand out itself for lost."""
    began, end = threading.Event(), threading.Event()
    first = House(settings_there)

    def work(_request: WorkRequest, _desk: Desk) -> WorkResult:
        began.set()
        assert end.wait(30)
        return WorkResult()

    first.agent.script["plan"] = work
    first.engine()
    run = first.submit()
    assert began.wait(10)
    (tmp_path / "elsewhere").mkdir()
    elsewhere = settings_there.model_copy(update={"home": tmp_path / "elsewhere"})
    other = House(elsewhere)
    with pytest.raises(ConfigurationError, match="carried by others"):
        other.engine()
    with pytest.raises(ConfigurationError, match="SHIPWAY_HOME"):
        enter(other.database, elsewhere.home)
    end.set()
    detail = first.until(run, within=30)
    assert [one.status for one in detail.stages[0].attempts] == ["passed"]
    first.close()
    other.close()


def test_an_engine_without_a_fleet_refuses_the_database_of_a_fleet(settings_there) -> None:
    house = House(settings_there)
    enter(house.database, settings_there.home)
    with pytest.raises(ConfigurationError, match="fleet"):
        house.engine()
    house.close()
