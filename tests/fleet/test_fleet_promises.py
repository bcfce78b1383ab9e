"""What a fleet promises to who runs it: poison, going in good order, corruption, nobody to do it."""

from __future__ import annotations

import re
import signal
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from crew import Crew
from scripted import pipeline, stage

from servers import Postgres
from shipway.domain.pipeline import AskRule
from shipway.domain.states import RunStatus
from shipway.engine.letters import Letters
from shipway.errors import ConflictError, CorruptRunError
from shipway.store import fleet
from shipway.store.dead import Which
from shipway.store.fleet import WorkerRow

ALONE = pipeline(stage("plan"))
ASKS = pipeline(stage("plan"), stage("deploy", "plan", asks=(AskRule("ship", "?", None, ()),)))
LONG = 60.0


@pytest.mark.timeout(300)
def test_an_order_that_kills_its_workers_becomes_a_dead_letter_and_the_others_go_on(
    crew: Crew,
) -> None:
    crew.settings = crew.settings.model_copy(update={"worker_beat_s": 0.3, "worker_lease_s": 1.5})
    crew.around["POISON"] = "scaffold"
    crew.ready(crew.engine())
    bad = crew.submit(pipeline(stage("plan"), stage("scaffold", "plan")))
    good = [crew.submit(pipeline(stage("plan"), stage("deploy", "plan"))) for _ in range(3)]
    workers = [crew.worker(), crew.worker()]
    give_up = time.monotonic() + 200
    while not crew.queries.status(bad).is_final:
        assert time.monotonic() < give_up, crew.logs()
        workers = [one if one.poll() is None else crew.worker() for one in workers]
        time.sleep(0.05)
    detail = crew.queries.run(bad)
    assert detail.summary.status is RunStatus.FAILED
    assert detail.stop is not None
    assert detail.stop.code == "POISON"
    (letter,) = Letters(crew.database, crew.queries).list(Which())
    assert (letter.run, letter.stage, letter.code) == (bad, "scaffold", "POISON")
    for run in good:
        assert crew.until(run).summary.status is RunStatus.SUCCEEDED
    killed = [line for line in crew.ledger.of("begin", bad) if line["stage"] == "scaffold"]
    assert len({line["pid"] for line in killed}) == len(killed) == 5


@pytest.mark.parametrize("how", ["the grace is over", "a second signal"])
def test_what_a_worker_hands_back_another_has_long_before_the_lease_is_over(
    crew: Crew, how: str
) -> None:
    crew.patient(LONG)
    grace = 0.3 if how == "the grace is over" else LONG
    crew.settings = crew.settings.model_copy(update={"worker_grace_s": grace})
    leaving = crew.worker(pause=LONG)
    crew.ready(crew.engine(), leaving)
    run = crew.submit(ALONE)
    crew.eventually(lambda: bool(crew.ledger.of("begin", run)))
    crew.ready(crew.worker())
    leaving.send_signal(signal.SIGTERM)
    if how == "a second signal":
        crew.eventually(lambda: "draining" in crew.logs())
        leaving.send_signal(signal.SIGTERM)
    asked = time.monotonic()
    assert crew.until(run, within=LONG / 2).summary.status is RunStatus.SUCCEEDED
    again = crew.ledger.of("begin", run)[1]["at"] - asked
    assert again < LONG / 6
    assert leaving.wait(20) == 143
    attempts = crew.queries.run(run).stages[0].attempts
    assert [attempt.status for attempt in attempts] == ["interrupted", "passed"]


def test_a_worker_whose_agent_listens_to_nobody_is_ended_by_its_watchdog(crew: Crew) -> None:
    crew.patient(LONG)
    crew.settings = crew.settings.model_copy(update={"worker_grace_s": 0.3})
    leaving = crew.start("worker", "1", "0", str(crew.ledger_path), BAD="hang")
    crew.ready(crew.engine(), leaving)
    run = crew.submit(ALONE)
    crew.eventually(lambda: bool(crew.ledger.of("begin", run)))
    crew.ready(crew.worker())
    leaving.send_signal(signal.SIGTERM)
    assert leaving.wait(30) == 143
    assert crew.until(run).summary.status is RunStatus.SUCCEEDED


#: What is planted in the database of a fleet: a statement, with the id of the run.
PLANTED = {
    "unknown version": "UPDATE runs SET state = '{\"format\": 99}' WHERE id = %s",
    "invalid state": "UPDATE runs SET state = 'rubbish' WHERE id = %s",
    "missing event": "DELETE FROM events WHERE seq = 3 AND run = %s",
    "unreadable payload": "UPDATE orders SET task = '\\xff' WHERE run = %s",
}


def test_planted_corruption_puts_its_run_aside_and_the_fleet_serves_all_others(crew: Crew) -> None:
    engine, worker = crew.engine(), crew.worker()
    crew.ready(engine, worker)
    bad = {kind: crew.submit(ASKS) for kind in PLANTED if kind != "unreadable payload"}
    for run in bad.values():
        crew.until(run, RunStatus.WAITING)
    for process in (engine, worker):
        process.terminate()
        process.wait(30)
    bad["unreadable payload"] = crew.submit(ALONE)
    url = crew.settings.database_url
    assert url is not None
    with psycopg.connect(url.reveal(), autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        for kind, statement in PLANTED.items():
            assert connection.execute(statement, (bad[kind],)).rowcount == 1
    crew.ready(crew.engine(), crew.worker())
    good = crew.submit()
    for kind, run in bad.items():
        if kind != "unreadable payload":
            with pytest.raises(CorruptRunError):
                crew.commands.decide(run, "ship", "approve", by="ada")
        assert crew.until(run, RunStatus.QUARANTINED).summary.status is RunStatus.QUARANTINED
    assert crew.until(good).summary.status is RunStatus.SUCCEEDED
    crew.commands.repair(bad["unreadable payload"], by="ada")
    assert crew.until(bad["unreadable payload"]).summary.status is RunStatus.SUCCEEDED
    with pytest.raises(ConflictError, match="cannot be rebuilt"):
        crew.commands.repair(bad["missing event"], by="ada")


def test_a_report_that_nobody_can_read_is_dropped_and_its_attempt_taken_over(crew: Crew) -> None:
    crew.ready(crew.engine(), crew.worker())
    url = crew.settings.database_url
    assert url is not None
    with psycopg.connect(url.reveal(), autocommit=True) as connection:
        connection.execute(
            "INSERT INTO reports (run, stage, attempt, at, data) VALUES ('x', 'plan', 1, 0, '\\xff')"
        )
        connection.execute("SELECT pg_notify('shipway', 'reports')")
        run = crew.submit()
        assert crew.until(run).summary.status is RunStatus.SUCCEEDED

        def taken() -> bool:
            row = connection.execute("SELECT count(*) FROM reports").fetchone()
            return row == (0,)

        crew.eventually(taken)
    assert "report.unreadable" in crew.logs()


def test_a_stage_that_nobody_serves_fails_at_its_deadline_and_can_be_done_later(crew: Crew) -> None:
    crew.settings = crew.settings.model_copy(update={"no_worker_s": 1.0})
    crew.ready(crew.engine())
    run = crew.submit(ALONE)
    waiting = crew.until(run, RunStatus.WAITING)
    assert waiting.summary.reason == "no worker for work"
    failed = crew.until(run)
    assert failed.summary.status is RunStatus.FAILED
    assert failed.stop is not None
    assert "no worker for work" in failed.stop.message
    crew.ready(crew.worker())
    crew.commands.retry(run, by="ada")
    crew.until(run, RunStatus.RUNNING, RunStatus.SUCCEEDED)
    assert crew.until(run, RunStatus.SUCCEEDED).summary.status is RunStatus.SUCCEEDED


def test_a_claim_whose_commit_was_not_seen_to_come_through_is_still_the_workers_own(
    crew: Crew,
) -> None:
    """The database was lost in that commit; asked again, nobody else would ever do the work."""
    run = crew.submit(ALONE)
    row = WorkerRow("one", "worker", "one", "here", 1, "0", "[]", "{}", False, 0.0, 0.0)
    with crew.database.writing() as connection:
        fleet.join(connection, row)
        fleet.join(connection, replace(row, id="two"))
        ((key, task),) = fleet.unclaimed(connection)
    assert key.run == run

    def claim(worker: str) -> tuple[bytes, int] | None:
        with crew.database.writing() as connection:
            claimed = fleet.claim(connection, worker, key)
        return None if claimed is None else claimed[:2]

    assert claim("one") == (task, 1)
    assert claim("one") == (task, 2)
    assert claim("two") is None
    with crew.database.writing() as connection:
        assert fleet.report(connection, "one", key, b"done", last=True)
    assert claim("one") is None


def test_an_engine_that_was_taken_for_dead_signs_in_anew_and_takes_over_from_others(
    crew: Crew,
) -> None:
    """It was out of reach for long. An engine has nothing in hand, so nothing has to be fenced."""
    engine, dying = crew.engine(), crew.worker(pause=LONG)
    crew.ready(engine, dying)
    (before,) = (view.id for view in crew.roll.workers() if view.pid == engine.pid)
    with crew.database.writing() as connection:
        fleet.leave(connection, before, "it was silent for longer than its lease")
    crew.ready(engine)
    (again,) = (view.id for view in crew.roll.workers() if view.pid == engine.pid)
    assert again != before
    run = crew.submit(ALONE)
    crew.eventually(lambda: bool(crew.ledger.of("begin", run)))
    dying.kill()
    crew.ready(crew.worker())
    assert crew.until(run).summary.status is RunStatus.SUCCEEDED


def test_an_engine_beats_again_after_the_database_was_away_for_many_leases(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    given = {"worker_beat_s": 0.2, "worker_lease_s": 1.0}
    with (
        Postgres() as server,
        tempfile.TemporaryDirectory() as sockets,
        Crew(tmp_path / "home", tmp_path, server.create(), Path(sockets), **given) as crew,
    ):
        engine = crew.engine()
        assert engine.stdout is not None
        assert engine.stdout.readline() == b"ready\n"
        server.stop()
        crew.eventually(lambda: _silent_for(crew) > 5.0)
        server.start()
        crew.eventually(lambda: any(view.alive for view in crew.roll.workers()))
        run = crew.submit(ALONE)
        crew.worker()
        assert crew.until(run).summary.status is RunStatus.SUCCEEDED


def _silent_for(crew: Crew) -> float:
    """How long the engine says that it has not been able to beat."""
    said = re.findall(r'"silent":([0-9.]+)', crew.logs())
    return float(said[-1]) if said else 0.0
