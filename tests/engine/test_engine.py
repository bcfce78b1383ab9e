"""The engine over a real database: runs end, results reach later stages, nothing is done twice."""

from __future__ import annotations

import errno
import threading
import time

import pytest
from scripted import WORK, House, WorkRequest, WorkResult, pipeline, stage

from shipway.agents.agent import Asks, Desk
from shipway.contracts.envelope import Question
from shipway.domain.conditions import Comparison
from shipway.domain.pipeline import AskRule, InputRef
from shipway.domain.states import RunStatus, StageStatus
from shipway.engine.commands import Commands
from shipway.engine.intake import Intake
from shipway.errors import CommandError, NetworkError


def test_a_run_goes_through_its_stages_and_hands_results_on(house: House) -> None:
    house.engine()
    detail = house.until(house.submit())
    assert detail.summary.status is RunStatus.SUCCEEDED
    said = detail.stages[-1].result
    assert said is not None
    assert said["said"] == ">plan>scaffold>implement>validate>integrate>deploy"


def test_independent_stages_run_at_the_same_time(house: House) -> None:
    both = threading.Barrier(2, timeout=5)

    def meet(_request: WorkRequest, _desk: Desk) -> WorkResult:
        both.wait()
        return WorkResult()

    house.agent.script = {"validate": meet, "e2e": meet}
    house.engine()
    assert house.until(house.submit()).summary.status is RunStatus.SUCCEEDED


def test_a_passing_fault_is_tried_again_and_a_lasting_one_is_not(house: House) -> None:
    def flaky(_request: WorkRequest, desk: Desk) -> WorkResult:
        if desk.task.attempt < 3:
            raise NetworkError("not now")
        return WorkResult()

    def broken(_request: WorkRequest, _desk: Desk) -> WorkResult:
        raise CommandError("never", hint="mend it")

    house.agent.script = {"plan": flaky}
    house.engine()
    assert house.until(house.submit()).stages[0].attempt == 3
    house.agent.script = {"plan": broken}
    detail = house.until(house.submit())
    assert detail.summary.status is RunStatus.FAILED
    assert detail.stages[0].attempt == 1
    assert detail.stop is not None
    assert "never" in detail.stop.message
    assert detail.stop.hint == "mend it"
    assert all(one.status is StageStatus.SKIPPED for one in detail.stages[1:])


def test_retries_end(house: House) -> None:
    def never(_request: WorkRequest, _desk: Desk) -> WorkResult:
        raise NetworkError("not now")

    house.agent.script = {"plan": never}
    house.engine()
    detail = house.until(house.submit())
    assert detail.summary.status is RunStatus.FAILED
    assert detail.stages[0].attempt == 4


def test_an_agent_that_returns_something_else_never_passes(house: House) -> None:
    house.agent.script = {"plan": lambda _request, _desk: "done"}  # type: ignore[dict-item,return-value]
    house.engine()
    detail = house.until(house.submit())
    assert detail.stages[0].error is not None
    assert detail.stages[0].error.code == "CONTRACT"


def test_a_stage_out_of_time_is_stopped_and_tried_again(house: House) -> None:
    stopped = threading.Event()

    def slow(_request: WorkRequest, desk: Desk) -> WorkResult:
        if desk.task.attempt == 1:
            desk.cancel.wait(10)
            stopped.set()
        return WorkResult(said="in time")

    house.agent.script = {"plan": slow}
    house.engine()
    detail = house.until(house.submit(pipeline(stage("plan", timeout_s=0.3))))
    assert stopped.is_set()
    assert detail.summary.status is RunStatus.SUCCEEDED
    assert detail.stages[0].attempt == 2


def test_a_decision_makes_the_run_rest_and_the_answer_moves_it_on(house: House) -> None:
    rule = AskRule("ship-it", "ship it?", None, (InputRef("plan", ("said",)),))
    plan = pipeline(stage("plan"), stage("deploy", "plan", asks=(rule,)))
    house.engine()
    run = house.submit(plan)
    detail = house.until(run, RunStatus.WAITING)
    assert [ask.id for ask in detail.asks] == ["ship-it"]
    assert not [done for done in house.agent.done if done[1] == "deploy"]
    house.commands.decide(run, "ship-it", "approve", by="ada")
    detail = house.until(run)
    assert detail.summary.status is RunStatus.SUCCEEDED
    assert detail.asks[0].answered_by == "ada"


def test_a_refused_decision_stops_the_stage(house: House) -> None:
    rule = AskRule("ship-it", "ship it?", None, (InputRef("plan", ("said",)),))
    plan = pipeline(stage("plan"), stage("deploy", "plan", asks=(rule,)))
    house.engine()
    run = house.submit(plan)
    house.until(run, RunStatus.WAITING)
    house.commands.decide(run, "ship-it", "reject", by="ada", comment="not on a Friday")
    detail = house.until(run)
    assert detail.summary.status is RunStatus.FAILED
    assert detail.stop is not None
    assert "not on a Friday" in detail.stop.message
    assert not [done for done in house.agent.done if done[1] == "deploy"]


def test_a_decision_given_with_the_submission_is_recorded(house: House) -> None:
    rule = AskRule("ship-it", "ship it?", Comparison(("plan", "flag"), "==", literal=True), ())
    plan = pipeline(stage("plan"), stage("deploy", "plan", asks=(rule,)))
    house.engine()
    detail = house.until(house.submit(plan, {"accept": ["ship-it"]}))
    assert detail.summary.status is RunStatus.SUCCEEDED
    assert detail.asks[0].answered == "approve"
    assert detail.asks[0].answered_by == "submission"


def test_an_agent_asks_and_gets_the_answer_in_a_later_attempt(house: House) -> None:
    def asks(request: WorkRequest, _desk: Desk) -> WorkResult:
        if "colour" not in request.answers:
            which = Question(id="colour", text="which?", options=[], default=None, deadline_s=60)
            raise Asks(which)
        return WorkResult(said=request.answers["colour"])

    house.agent.script = {"plan": asks}
    house.engine()
    run = house.submit(pipeline(stage("plan")))
    house.until(run, RunStatus.WAITING)
    house.commands.answer(run, "colour", "green", by="ada")
    detail = house.until(run)
    assert detail.stages[0].result == {"said": "green", "flag": True}


def test_cancel_stops_a_working_agent_at_once(house: House) -> None:
    working, stopped = threading.Event(), threading.Event()

    def slow(_request: WorkRequest, desk: Desk) -> WorkResult:
        working.set()
        desk.cancel.wait(30)
        stopped.set()
        return WorkResult()

    house.agent.script = {"scaffold": slow}
    house.engine()
    run = house.submit()
    assert working.wait(5)
    began = time.monotonic()
    house.commands.cancel(run, by="ada", reason="enough")
    detail = house.until(run)
    assert stopped.wait(2)
    assert time.monotonic() - began < 2
    assert detail.summary.status is RunStatus.CANCELLED
    assert "enough" in (detail.summary.reason or "")


def test_a_paused_run_starts_nothing_and_goes_on_when_resumed(house: House) -> None:
    working, go_on = threading.Event(), threading.Event()

    def slow(_request: WorkRequest, _desk: Desk) -> WorkResult:
        working.set()
        go_on.wait(30)
        return WorkResult()

    house.agent.script = {"plan": slow}
    house.engine()
    run = house.submit()
    assert working.wait(5)
    house.commands.pause(run, by="ada", grace=30)
    go_on.set()
    house.until(run, RunStatus.PAUSED)
    give_up = time.monotonic() + 5
    while house.queries.run(run).stages[0].status is not StageStatus.PASSED:
        assert time.monotonic() < give_up
    assert [done[1] for done in house.agent.done] == ["plan"]
    house.commands.resume(run, by="ada")
    assert house.until(run).summary.status is RunStatus.SUCCEEDED


def test_a_stopped_engine_loses_nothing_and_the_next_one_finishes(house: House) -> None:
    working = threading.Event()

    def slow(_request: WorkRequest, desk: Desk) -> WorkResult:
        working.set()
        if desk.task.attempt == 1:
            desk.cancel.wait(30)
        return WorkResult(said="done")

    house.agent.script = {"implement": slow}
    first = house.engine()
    run = house.submit()
    assert working.wait(5)
    first.stop()
    house.engines.remove(first)
    house.engine()
    detail = house.until(run)
    assert detail.summary.status is RunStatus.SUCCEEDED
    tries = [done[1] for done in house.agent.done]
    assert tries.count("plan") == tries.count("scaffold") == 1
    assert tries.count("implement") == 2


def test_a_run_is_found_whose_client_died_before_it_could_ring(house: House) -> None:
    house.engine()
    house.until(house.submit())
    elsewhere = house.settings.model_copy(update={"home": house.settings.home / "nobody"})
    rings_elsewhere = Commands(
        house.database,
        elsewhere.home,
        Intake(house.settings.home, house.artifacts),
        lambda: None,
        contracts=WORK,
    )
    house.commands = rings_elsewhere
    assert house.until(house.submit()).summary.status is RunStatus.SUCCEEDED


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), MemoryError()])
def test_what_ran_out_on_a_machine_is_tried_again(house: House, error: Exception) -> None:
    def cramped(_request: WorkRequest, desk: Desk) -> WorkResult:
        if desk.task.attempt == 1:
            raise error
        return WorkResult()

    house.agent.script = {"plan": cramped}
    house.engine()
    detail = house.until(house.submit())
    assert detail.summary.status is RunStatus.SUCCEEDED
    assert detail.stages[0].attempts[0].error is not None
    assert detail.stages[0].attempts[0].error.code == "RESOURCE"


def test_two_engines_never_share_a_state_directory(house: House) -> None:
    house.engine()
    second = House(house.settings)
    try:
        second.engine()
    except AssertionError:
        return
    raise AssertionError("a second engine started")


def test_a_corrupt_run_is_quarantined_and_the_others_go_on(house: House) -> None:
    bad, good = house.submit(), house.submit()
    writer = house.database.writer()
    writer.execute("UPDATE runs SET state = ? WHERE id = ?", (b'{"format": 99}', bad))
    writer.close()
    house.engine()
    assert house.until(good).summary.status is RunStatus.SUCCEEDED
    assert house.until(bad).summary.status is RunStatus.QUARANTINED
    assert house.queries.run(bad).stop is not None


def test_a_deadline_that_passed_while_nothing_ran_fires_at_the_next_start(house: House) -> None:
    rule = AskRule("ship-it", "ship it?", None, (), deadline_s=0.2, default="reject")
    first = house.engine()
    run = house.submit(pipeline(stage("plan"), stage("deploy", "plan", asks=(rule,))))
    house.until(run, RunStatus.WAITING)
    first.stop()
    house.engines.remove(first)
    time.sleep(0.25)
    house.engine()
    detail = house.until(run)
    assert detail.summary.status is RunStatus.FAILED
    assert detail.asks[0].answered_by == "deadline"


def test_fifty_runs_at_once_all_end_once(house: House) -> None:
    house.engine()
    runs = [house.submit() for _ in range(50)]
    for run in runs:
        assert house.until(run, within=30).summary.status is RunStatus.SUCCEEDED
    assert len(house.agent.done) == len(set(house.agent.done)) == 350
