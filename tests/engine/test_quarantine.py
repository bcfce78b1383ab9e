"""One planted row for each kind of corruption: that run is put aside, and all others are served."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from scripted import House, WorkRequest, WorkResult, pipeline, stage

from shipway.agents.agent import Desk
from shipway.config import Settings
from shipway.domain.pipeline import AskRule
from shipway.domain.states import RunStatus
from shipway.engine.codec import _pipelines, decode, encode
from shipway.engine.commands import Commands
from shipway.engine.intake import Intake
from shipway.engine.pipelines.loader import load
from shipway.errors import ConflictError, CorruptRunError, NetworkError
from shipway.store.database import Connection

RULE = AskRule("ship-it", "ship it?", None, ())
PLAN = pipeline(stage("plan"), stage("deploy", "plan", asks=(RULE,)))

NO = b"\xff"
#: Statements that spoil a run, what else they take, and whether its events are still enough to rebuild it.
SPOILED: dict[str, tuple[str, tuple[object, ...], bool]] = {
    "unknown version": ("UPDATE runs SET state = ? WHERE id = ?", (b'{"format": 99}',), True),
    "invalid state": ("UPDATE runs SET state = ? WHERE id = ?", (b"rubbish",), True),
    "impossible time": (
        "UPDATE runs SET state = replace(CAST(state AS TEXT), '\"deadline\":', ?) WHERE id = ?",
        ('"deadline":"soon","was":',),
        True,
    ),
    "unknown status": ("UPDATE runs SET status = ? WHERE id = ?", ("bananas",), True),
    "missing event": ("DELETE FROM events WHERE seq = ? AND run = ?", (3,), False),
    "unreadable event": ("UPDATE events SET data = ? WHERE seq = 4 AND run = ?", (NO,), False),
    "unknown event": ("UPDATE events SET type = ? WHERE seq = 4 AND run = ?", ("Odd",), False),
    "unreadable submission": ("UPDATE runs SET submission = ? WHERE id = ?", (NO,), False),
    "unknown pipeline": ("UPDATE runs SET pipeline = ? WHERE id = ?", ("f" * 64,), False),
}


@contextmanager
def spoiling(house: House) -> Iterator[Connection]:
    """A connection that breaks what no engine would, also what one table owes another."""
    connection = house.database.writer()
    if house.database.kind == "postgresql":
        connection.execute("SET session_replication_role = replica")
    else:
        connection.execute("PRAGMA foreign_keys = OFF")
    try:
        yield connection
    finally:
        connection.close()


@pytest.fixture
def local(settings: Settings) -> Iterator[House]:
    """On SQLite only: what is stored is the same bytes on both."""
    made = House(settings)
    yield made
    made.close()


def at_rest(house: House) -> str:
    """A run that waits for a decision, with no engine alive."""
    engine = house.engine()
    run = house.submit(PLAN)
    house.until(run, RunStatus.WAITING)
    engine.stop()
    house.engines.remove(engine)
    return run


@pytest.mark.parametrize("kind", SPOILED)
def test_a_spoiled_run_is_put_aside_and_all_others_are_served(local: House, kind: str) -> None:
    statement, given, whole = SPOILED[kind]
    house = local
    bad = at_rest(house)
    with spoiling(house) as connection:
        assert connection.execute(statement, (*given, bad)).rowcount == 1
    house.engine()
    good = house.submit()
    with pytest.raises(CorruptRunError):
        house.commands.decide(bad, "ship-it", "approve", by="ada")
    assert house.until(good).summary.status is RunStatus.SUCCEEDED
    detail = house.queries.run(bad)
    assert detail.summary.status is RunStatus.QUARANTINED
    assert detail.stop is not None
    assert detail.stop.code == "CORRUPT_RUN"
    assert any("run repair" in one for one in detail.stop.next_commands)
    assert [one.id for one in house.queries.runs(status=RunStatus.QUARANTINED)] == [bad]
    assert not [done for done in house.agent.done if done[:2] == (bad, "deploy")]
    if whole:
        house.commands.repair(bad, by="ada")
        assert house.queries.status(bad) is RunStatus.WAITING
        house.commands.decide(bad, "ship-it", "approve", by="ada")
        assert house.until(bad).summary.status is RunStatus.SUCCEEDED
        done = [name for run, name, _ in house.agent.done if run == bad]
        assert done == ["plan", "deploy"]
    else:
        with pytest.raises(ConflictError, match="cannot be rebuilt"):
            house.commands.repair(bad, by="ada")
        house.commands.give_up(bad, by="ada", reason="started again")
        given_up = house.queries.run(bad)
        assert given_up.summary.status is RunStatus.CANCELLED
        assert house.queries.runs(status=RunStatus.QUARANTINED) == []
        with pytest.raises((ConflictError, CorruptRunError)):
            house.commands.retry(bad, by="ada")


def test_an_order_that_cannot_be_read_puts_its_run_aside(house: House) -> None:
    bad, good = house.submit(), house.submit()
    with spoiling(house) as connection:
        connection.execute("UPDATE orders SET task = ? WHERE run = ?", (NO, bad))
    house.engine()
    assert house.until(good).summary.status is RunStatus.SUCCEEDED
    detail = house.until(bad, RunStatus.QUARANTINED)
    assert detail.stop is not None
    assert "the order of plan" in detail.stop.message
    house.commands.repair(bad, by="ada")
    assert house.until(bad).summary.status is RunStatus.SUCCEEDED
    types = [one.type for one in house.queries.events(bad)]
    assert {"RunQuarantined", "RunRepaired"} <= set(types)


def test_a_state_that_the_heart_cannot_go_on_from_takes_no_other_run_with_it(local: House) -> None:
    def unreachable(_request: WorkRequest, _desk: Desk) -> WorkResult:
        raise NetworkError("not now")

    local.agent.script = {"deploy": unreachable}
    bad = at_rest(local)
    with spoiling(local) as connection:
        (stored,) = connection.execute("SELECT state FROM runs WHERE id = ?", (bad,)).fetchone()
        state = decode(stored)
        state["stages"]["deploy"][3] = "many"  # where the number of failures belongs
        connection.execute("UPDATE runs SET state = ? WHERE id = ?", (encode(state), bad))
    local.engine()
    local.commands.decide(bad, "ship-it", "approve", by="ada")
    detail = local.until(bad, RunStatus.QUARANTINED)
    assert detail.stop is not None
    assert "cannot go on from its state" in detail.stop.message
    local.agent.script = {}
    assert local.until(local.submit()).summary.status is RunStatus.SUCCEEDED
    local.commands.repair(bad, by="ada")
    assert local.until(bad).summary.status is RunStatus.SUCCEEDED


def test_what_was_in_hand_is_done_anew_after_a_repair(house: House) -> None:
    def slow(_request: WorkRequest, desk: Desk) -> WorkResult:
        desk.cancel.wait(10 if desk.task.attempt == 1 else 0)
        return WorkResult()

    house.agent.script = {"implement": slow}
    engine = house.engine()
    run = house.submit()
    house.until(run, RunStatus.RUNNING)
    while house.queries.run(run).stages[2].attempt == 0:
        pass
    engine.stop()
    house.engines.remove(engine)
    with spoiling(house) as connection:
        connection.execute("UPDATE runs SET state = ? WHERE id = ?", (b"rubbish", run))
    house.engine()
    house.until(run, RunStatus.QUARANTINED)
    house.commands.repair(run, by="ada")
    detail = house.until(run)
    assert detail.summary.status is RunStatus.SUCCEEDED
    tokens = [one.token for one in detail.stages[2].attempts]
    assert tokens == sorted(set(tokens))
    assert detail.stages[2].attempts[-1].status == "passed"


def test_a_command_that_cannot_be_read_is_refused_and_the_next_is_obeyed(house: House) -> None:
    run = at_rest(house)
    with spoiling(house) as connection:
        connection.execute(
            "INSERT INTO commands (id, at, kind, run, data) VALUES ('x', 0, 'pause', ?, ?)",
            (run, NO),
        )
    house.engine()
    house.commands.pause(run, by="ada")
    with spoiling(house) as connection:
        (answer,) = connection.execute("SELECT answer FROM commands WHERE id = 'x'").fetchone()
    assert decode(answer)["error"]["code"] == "USAGE"


def test_a_sound_run_is_neither_repaired_nor_discarded(house: House) -> None:
    house.engine()
    run = house.submit(PLAN)
    house.until(run, RunStatus.WAITING)
    with pytest.raises(ConflictError, match="not quarantined"):
        house.commands.repair(run, by="ada")
    with pytest.raises(ConflictError, match="not quarantined"):
        house.commands.give_up(run, by="ada", reason="tired")
    assert house.queries.status(run) is RunStatus.WAITING


def test_a_built_in_pipeline_that_was_lost_is_put_back(local: House) -> None:
    house = local
    intake = Intake(house.settings.home, house.artifacts)
    real = Commands(house.database, house.settings.home, intake, lambda: None)
    house.commands, scripted = real, house.commands
    run = house.submit(load("change"))
    house.commands = scripted
    with spoiling(house) as connection:
        connection.execute("UPDATE orders SET status = 'cancelled'")
    engine = house.engine()
    house.commands.cancel(run, by="ada")
    engine.stop()
    house.engines.remove(engine)
    with spoiling(house) as connection:
        connection.execute("DELETE FROM pipelines")
        connection.execute("UPDATE runs SET status = 'quarantined' WHERE id = ?", (run,))
    _pipelines.clear()
    assert house.queries.run(run).summary.pipeline == "unknown"
    house.engine()
    house.commands.repair(run, by="ada")
    assert house.queries.run(run).summary.pipeline == "change"
    assert house.queries.status(run) is RunStatus.CANCELLED
