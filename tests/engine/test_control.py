"""What a person does to a run: it takes hold of a working agent, and touches nothing else."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest
from scripted import House, WorkRequest, WorkResult, pipeline, stage

from shipway.agents.agent import Desk
from shipway.domain.pipeline import AskRule, InputRef
from shipway.domain.states import RunStatus, StageStatus
from shipway.engine.commands import Changes
from shipway.errors import CommandError, ConflictError

SOON = 2.0


def attempts(house: House, stage: str) -> int:
    return sum(done[1] == stage for done in house.agent.done)


def broken(_request: WorkRequest, _desk: Desk) -> WorkResult:
    raise CommandError("no", hint="mend it")


class Slow:
    """Works until it is told to stop, or let go."""

    def __init__(self) -> None:
        self.working, self.stopped, self.go = (threading.Event() for _ in range(3))

    def __call__(self, request: WorkRequest, desk: Desk) -> WorkResult:
        self.working.set()
        while not (desk.cancel.wait(0.01) or self.go.is_set()):
            pass
        if desk.cancel.is_set():
            self.stopped.set()
        return WorkResult(said=f"{request.seen}>{desk.task.stage}")


def test_a_failed_run_goes_on_from_what_failed(house: House) -> None:
    house.agent.script = {"implement": broken}
    house.engine()
    run = house.submit()
    assert house.until(run).summary.status is RunStatus.FAILED
    house.agent.script = {}
    house.commands.retry(run, by="ada", reason="mended")
    detail = house.until(run)
    assert detail.summary.status is RunStatus.SUCCEEDED
    assert [attempts(house, name) for name in ("plan", "scaffold", "implement")] == [1, 1, 2]
    tokens = [attempt.token for attempt in detail.stages[2].attempts]
    assert len(tokens) == len(set(tokens)) == 2
    assert tokens == sorted(tokens)
    told = [event.data for event in house.queries.events(run) if event.type == "RunSentBack"]
    assert told[0]["by"] == "ada"
    assert told[0]["reason"] == "mended"


def test_a_run_that_did_not_fail_cannot_be_retried(house: House) -> None:
    house.engine()
    run = house.submit()
    house.until(run)
    with pytest.raises(ConflictError, match="nothing in this run has failed"):
        house.commands.retry(run, by="ada")
    with pytest.raises(ConflictError, match="no stage"):
        house.commands.rewind(run, "nowhere", by="ada")


def test_a_rewind_with_the_same_input_does_only_that_stage_again(house: House) -> None:
    house.engine()
    run = house.submit()
    house.until(run)
    house.commands.rewind(run, "implement", by="ada", reason="look again")
    detail = house.until(run)
    assert detail.summary.status is RunStatus.SUCCEEDED
    assert len(house.agent.done) == 8
    assert attempts(house, "implement") == 2
    types = [event.type for event in house.queries.events(run)]
    assert types.count("StageInvalidated") == types.count("StageReinstated") + 1 == 5


def test_a_rewind_with_changed_input_does_again_what_reads_it(house: House) -> None:
    house.agent.script = {
        "plan": lambda request, _desk: WorkResult(said=request.answers.get("colour", "grey"))
    }
    rule = AskRule("ship-it", "ship it?", None, (InputRef("plan", ("said",)),))
    plan = pipeline(
        stage("plan"),
        replace(stage("apart"), inputs={}),
        stage("deploy", "plan", asks=(rule,)),
        replace(stage("last", "apart"), inputs={}),
    )
    house.engine()
    run = house.submit(plan)
    house.until(run, RunStatus.WAITING)
    house.commands.decide(run, "ship-it", "approve", by="ada")
    house.until(run)
    house.commands.rewind(run, "plan", "ada", "green", Changes(answers={"colour": "green"}))
    waiting = house.until(run, RunStatus.WAITING)
    assert [ask.id for ask in waiting.asks if ask.answered is None] == ["ship-it"]
    house.commands.decide(run, "ship-it", "approve", by="ada")
    detail = house.until(run)
    assert detail.stages[2].result == {"said": "green>deploy", "flag": True}
    assert detail.summary.status is RunStatus.SUCCEEDED
    assert [attempts(house, name) for name in ("plan", "deploy", "apart", "last")] == [2, 2, 1, 1]


def test_an_unchanged_decision_is_not_asked_again(house: House) -> None:
    rule = AskRule("ship-it", "ship it?", None, (InputRef("plan", ("said",)),))
    house.engine()
    run = house.submit(pipeline(stage("plan"), stage("deploy", "plan", asks=(rule,))))
    house.until(run, RunStatus.WAITING)
    house.commands.decide(run, "ship-it", "approve", by="ada")
    house.until(run)
    house.commands.rewind(run, "plan", by="ada")
    assert house.until(run, *FINAL).summary.status is RunStatus.SUCCEEDED
    assert attempts(house, "deploy") == 1


FINAL = (RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.WAITING)


def test_a_rewind_takes_hold_of_a_working_agent_and_its_late_result_counts_for_nothing(
    house: House,
) -> None:
    slow = Slow()
    house.agent.script = {"implement": slow}
    house.engine()
    run = house.submit()
    assert slow.working.wait(5)
    house.agent.script = {}
    began = time.monotonic()
    house.commands.rewind(run, "scaffold", by="ada")
    assert slow.stopped.wait(SOON)
    assert time.monotonic() - began < SOON
    detail = house.until(run)
    assert detail.summary.status is RunStatus.SUCCEEDED
    assert [one.status for one in detail.stages[2].attempts] == ["invalidated", "passed"]
    passed = [one for one in house.queries.events(run) if one.type == "StagePassed"]
    assert sum(one.stage == "implement" for one in passed) == 1


def test_pause_stops_a_working_agent_and_resume_does_its_stage_anew(house: House) -> None:
    slow = Slow()
    house.agent.script = {"implement": slow}
    house.engine()
    run = house.submit()
    assert slow.working.wait(5)
    house.commands.pause(run, by="ada", reason="frozen")
    assert slow.stopped.wait(SOON)
    paused = house.until(run, RunStatus.PAUSED)
    assert paused.summary.reason == "frozen"
    house.agent.script = {}
    house.commands.resume(run, by="ada")
    assert house.until(run).summary.status is RunStatus.SUCCEEDED
    assert attempts(house, "implement") == 2
    assert attempts(house, "scaffold") == 1


def test_a_cancelled_run_can_be_taken_up_again(house: House) -> None:
    slow = Slow()
    house.agent.script = {"scaffold": slow}
    house.engine()
    run = house.submit()
    assert slow.working.wait(5)
    house.commands.cancel(run, by="ada")
    assert house.until(run).summary.status is RunStatus.CANCELLED
    house.agent.script = {}
    house.commands.retry(run, by="ada")
    assert house.until(run).summary.status is RunStatus.SUCCEEDED
    assert attempts(house, "plan") == 1


def test_a_stage_that_is_to_be_done_again_shows_no_old_result(house: House) -> None:
    slow = Slow()
    house.engine()
    run = house.submit()
    house.until(run)
    house.agent.script = {"implement": slow}
    house.commands.rewind(run, "implement", by="ada")
    assert slow.working.wait(5)
    stages = {one.id: one for one in house.queries.run(run).stages}
    assert stages["implement"].result is None
    assert stages["validate"].status is StageStatus.INVALIDATED
    assert stages["validate"].result is None
    slow.go.set()
    house.until(run)
