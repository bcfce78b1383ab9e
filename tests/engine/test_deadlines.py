"""A deadline shrinks hop by hop: from the envelope to the attempt, its agent, its calls and its threads."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from scripted import FAST, House, WorkRequest, WorkResult, pipeline, stage

from shipway.agents.agent import Desk
from shipway.domain.states import RunStatus
from shipway.errors import DeadlineError
from shipway.resilience import deadline
from shipway.resilience.guard import Guard, GuardPolicy


def test_an_attempt_and_all_that_it_calls_have_what_the_envelope_leaves(house: House) -> None:
    seen: dict[str, float] = {}

    def work(_request: WorkRequest, _desk: Desk) -> WorkResult:
        seen["agent"] = deadline.remaining()
        guard = Guard("some service", GuardPolicy(per_try=60.0, total=600.0))
        seen["call"] = guard.call_blocking(deadline.remaining)
        with ThreadPoolExecutor(1, "gate", deadline.inherit, (deadline.at(),)) as pool:
            seen["thread"] = pool.submit(deadline.remaining).result()
        seen["command"] = deadline.most(3600.0)
        return WorkResult()

    house.agent.script["a"] = work
    house.engine()
    run = house.submit(pipeline(stage("a", timeout_s=30.0)))
    assert house.until(run).summary.status is RunStatus.SUCCEEDED
    assert 0 < seen["command"] < seen["thread"] <= seen["call"] <= seen["agent"] < 30.0
    assert seen["agent"] - seen["command"] >= deadline.HOP, (
        "something is kept back for the way home"
    )


def test_time_in_line_is_no_time_at_work(house: House) -> None:
    """The second has to wait for the first, and then has its whole time."""
    seen: dict[str, float] = {}
    first, go_on = threading.Event(), threading.Event()

    def work(_request: WorkRequest, desk: Desk) -> WorkResult:
        seen[desk.task.stage] = deadline.remaining()
        if not first.is_set():
            first.set()
            go_on.wait(20)
        return WorkResult()

    house.settings = house.settings.model_copy(update={"max_attempts_at_once": 1})
    house.agent.script.update(a=work, b=work)
    house.engine()
    run = house.submit(pipeline(stage("a", timeout_s=60.0), stage("b", timeout_s=60.0)))
    assert first.wait(10)
    house.until(run, RunStatus.RUNNING)
    threading.Timer(1.5, go_on.set).start()
    assert house.until(run, within=30).summary.status is RunStatus.SUCCEEDED
    assert min(seen.values()) > 59.0


def test_nothing_is_begun_that_has_no_time_left(house: House) -> None:
    """A call without time is not made; the error may pass, so the stage's retries decide."""
    made: list[int] = []

    def work(_request: WorkRequest, desk: Desk) -> WorkResult:
        if desk.task.attempt == 1:
            with deadline.within(0.0):
                Guard("some service").call_blocking(lambda: made.append(1))
        return WorkResult()

    house.agent.script["a"] = work
    house.engine()
    detail = house.until(house.submit(pipeline(stage("a", retries=FAST))))
    assert detail.summary.status is RunStatus.SUCCEEDED
    assert not made
    error = detail.stages[0].attempts[0].error
    assert error is not None
    assert error.code == DeadlineError.code
