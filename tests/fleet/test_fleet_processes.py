"""Engines and workers in processes of their own: they carry runs, and may die, stand still or leave."""

from __future__ import annotations

import signal
import time

from crew import LEASE, Crew
from scripted import merging, pipeline, stage

from shipway.domain.states import RunStatus, StageStatus


def test_two_engines_and_three_workers_carry_runs_and_nothing_is_done_twice(crew: Crew) -> None:
    crew.patient(30)
    crew.ready(crew.engine(), crew.engine(), crew.worker(2), crew.worker(2), crew.worker(2))
    runs = [crew.submit() for _ in range(12)]
    for run in runs:
        assert crew.until(run).summary.status is RunStatus.SUCCEEDED
    assert set(crew.ledger.effects().values()) == {1}
    assert len(crew.ledger.effects()) == 24
    begun = [(line["run"], line["stage"], line["attempt"]) for line in crew.ledger.of("begin")]
    assert len(begun) == len(set(begun)) >= 84
    assert len({line["pid"] for line in crew.ledger.of("begin")}) > 1


def test_an_engine_killed_at_once_is_not_missed_where_another_lives(crew: Crew) -> None:
    first, second = crew.engine(), crew.engine()
    crew.ready(first, second, crew.worker(pause=0.2))
    runs = [crew.submit() for _ in range(3)]
    crew.eventually(lambda: len(crew.ledger.of("end")) > 3)
    first.send_signal(signal.SIGKILL)
    for run in runs:
        assert crew.until(run).summary.status is RunStatus.SUCCEEDED
    assert set(crew.ledger.effects().values()) == {1}


def test_what_a_killed_worker_had_in_hand_is_taken_over_within_the_lease(crew: Crew) -> None:
    crew.started = True
    engine, dying = crew.engine(), crew.worker(pause=60)
    crew.ready(engine, dying)
    run = crew.submit(pipeline(merging("plan"), stage("deploy", "plan")))
    crew.eventually(lambda: bool(crew.ledger.of("begin", run)))
    crew.ready(crew.worker())
    dying.send_signal(signal.SIGKILL)
    killed = time.monotonic()
    crew.eventually(lambda: len(crew.ledger.of("begin", run, "plan")) == 2, within=LEASE + 15)
    assert crew.ledger.of("begin", run, "plan")[1]["at"] - killed < LEASE + 10
    assert crew.until(run).summary.status is RunStatus.SUCCEEDED
    assert crew.ledger.effects() == {(run, "deploy"): 1}


def test_a_worker_that_stood_still_beyond_its_lease_can_neither_report_nor_deploy(
    crew: Crew,
) -> None:
    engine, still = crew.engine(), crew.worker(pause=1.5)
    crew.ready(engine, still)
    run = crew.submit(pipeline(stage("deploy")))
    crew.eventually(lambda: bool(crew.ledger.of("begin", run)))
    still.send_signal(signal.SIGSTOP)
    crew.ready(crew.worker())
    assert crew.until(run, within=40).summary.status is RunStatus.SUCCEEDED
    still.send_signal(signal.SIGCONT)
    assert still.wait(20) == 75  # it learns that it was taken for dead, and ends
    assert crew.ledger.effects() == {(run, "deploy"): 1}
    assert "attempt.fenced" in crew.logs() or "taken for dead" in crew.logs()
    detail = crew.queries.run(run)
    assert [attempt.status for attempt in detail.stages[0].attempts] == ["interrupted", "passed"]


def test_a_stage_that_nobody_serves_waits_says_so_and_goes_on_when_somebody_comes(
    crew: Crew,
) -> None:
    crew.ready(crew.engine())
    run = crew.submit(pipeline(stage("plan")))
    detail = crew.until(run, RunStatus.WAITING)
    assert detail.stages[0].status is StageStatus.WAITING
    assert detail.summary.reason == "no worker for work"
    crew.worker()
    assert crew.until(run).summary.status is RunStatus.SUCCEEDED


def test_a_worker_that_is_asked_to_stop_hands_back_what_it_cannot_finish(crew: Crew) -> None:
    crew.started = True
    crew.settings = crew.settings.model_copy(update={"worker_grace_s": 0.5})
    engine, leaving = crew.engine(), crew.worker(pause=60)
    crew.ready(engine, leaving)
    run = crew.submit(pipeline(stage("plan")))
    crew.eventually(lambda: bool(crew.ledger.of("begin", run)))
    staying = crew.worker()
    crew.ready(staying)
    leaving.send_signal(signal.SIGTERM)
    assert crew.until(run).summary.status is RunStatus.SUCCEEDED
    assert leaving.wait(20) == 143
    assert [view.pid for view in crew.roll.workers() if view.kind == "worker"] == [staying.pid]
    attempts = crew.queries.run(run).stages[0].attempts
    assert [attempt.status for attempt in attempts] == ["interrupted", "passed"]


def test_a_cancelled_run_stops_its_work_on_another_machine_at_once(crew: Crew) -> None:
    crew.ready(crew.engine(), crew.worker(pause=60))
    run = crew.submit(pipeline(merging("deploy")))
    crew.eventually(lambda: bool(crew.ledger.of("begin", run)))
    assert crew.inside() == 1
    crew.commands.cancel(run, by="ada", reason="enough")
    assert crew.until(run).summary.status is RunStatus.CANCELLED
    crew.eventually(
        lambda: all(each.busy == 0 for view in crew.roll.workers() for each in view.serves),
        within=10,
    )
    crew.eventually(lambda: crew.inside() == 0)
    assert crew.ledger.of("effect") == []
