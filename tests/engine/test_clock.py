"""Clocks jump; what an engine goes by does not, and what it had to do is done all the same."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import House, WorkRequest, WorkResult, pipeline, stage

from shipway.agents.agent import Desk
from shipway.domain.retries import RetryPolicy
from shipway.domain.states import RunStatus
from shipway.engine.clock import SteadyClock
from shipway.errors import NetworkError

HOUR = 3600.0


class Machine:
    """A machine's two clocks: the one that people set, and the one that nobody can."""

    def __init__(self) -> None:
        self.wall, self.boot = 1_700_000_000.0, 100.0

    def passes(self, seconds: float) -> None:
        self.wall += seconds
        self.boot += seconds

    def clock(self) -> SteadyClock:
        return SteadyClock(lambda: self.wall, lambda: self.boot)


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_a_jump_is_not_followed_at_once_but_made_up_for(jump: float) -> None:
    machine = Machine()
    clock = machine.clock()
    machine.wall += jump
    before = clock()
    machine.passes(60.0)
    assert 60.0 * 0.95 - 0.001 <= clock() - before <= 60.0 * 1.05 + 0.001
    for _ in range(25):
        machine.passes(HOUR)
        clock()
    assert clock() == pytest.approx(machine.wall, abs=0.001)


@given(st.lists(st.tuples(st.floats(0, 1e5), st.floats(-1e5, 1e5)), max_size=30))
def test_it_never_runs_backwards(steps: list[tuple[float, float]]) -> None:
    machine = Machine()
    clock = machine.clock()
    seen = clock()
    for passes, jump in steps:
        machine.passes(passes)
        machine.wall += jump
        now = clock()
        assert now >= seen
        seen = now


def test_a_retry_does_not_wait_for_as_long_as_the_clock_was_set_back(house: House) -> None:
    """It was decided by an engine an hour ahead, which is gone."""

    def flaky(_request: WorkRequest, desk: Desk) -> WorkResult:
        if desk.task.attempt == 1:
            raise NetworkError("not now")
        return WorkResult()

    house.agent.script["plan"] = flaky
    ahead = house.engine(now=lambda: time.time() + HOUR)
    patient = RetryPolicy(3, base=60.0, maximum=60.0)
    run = house.submit(pipeline(stage("plan", retries=patient)))
    house.until(run, RunStatus.RUNNING, RunStatus.WAITING)
    give_up = time.monotonic() + 10
    while not any(one.type == "AttemptFailed" for one in house.queries.events(run)):
        assert time.monotonic() < give_up
        time.sleep(0.01)
    ahead.stop()
    house.engines.remove(ahead)
    house.engine()
    assert house.until(run).summary.status is RunStatus.SUCCEEDED
