"""What has no room waits with its reason, in the right order, and is never mistaken for poison."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from scripted import House, WorkRequest, WorkResult, pipeline, stage

from shipway.agents.agent import Desk
from shipway.config import Settings, load_settings
from shipway.domain.pipeline import AskRule
from shipway.domain.states import RunStatus, StageStatus
from shipway.errors import ConfigurationError, ConflictError, OverloadError

ONE = pipeline(stage("plan"))


class Gauge:
    """Counts how many work at once, and in which order they came; each stays until let go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.now = self.most = 0
        self.runs: list[str] = []
        self._lock = threading.Lock()

    def __call__(self, _request: WorkRequest, desk: Desk) -> WorkResult:
        with self._lock:
            self.runs.append(desk.task.run)
            self.now += 1
            self.most = max(self.most, self.now)
        while not (desk.cancel.wait(0.005) or self.go.is_set()):
            pass
        with self._lock:
            self.now -= 1
        return WorkResult(said=desk.task.stage)


@pytest.fixture
def with_limits(settings: Settings) -> Iterator[Callable[..., House]]:
    made: list[House] = []

    def make(**limits: Any) -> House:
        made.append(House(load_settings(home=settings.home, cache=settings.cache, **limits)))
        return made[-1]

    yield make
    for house in made:
        house.close()


def until(happened: Callable[[], bool], within: float = 10.0) -> None:
    give_up = time.monotonic() + within
    while not happened():
        assert time.monotonic() < give_up, "it never happened"
        time.sleep(0.005)


def test_only_so_many_work_at_once_and_the_rest_says_what_it_waits_for(
    with_limits: Callable[..., House],
) -> None:
    house, gauge = with_limits(capability_limits="work=2"), Gauge()
    house.agent.script = {"plan": gauge}
    house.engine()
    runs = [house.submit(ONE) for _ in range(5)]
    until(lambda: gauge.now == 2)
    last = runs[-1]
    until(lambda: house.queries.run(last).stages[0].reason is not None)
    waiting = house.queries.run(last).stages[0]
    assert waiting.status is StageStatus.QUEUED
    assert waiting.reason == "waits for room: 2 work attempts work at once"
    gauge.go.set()
    for run in runs:
        assert house.until(run).summary.status is RunStatus.SUCCEEDED
    assert gauge.most == 2
    assert sorted(gauge.runs) == sorted(runs)


def test_what_is_urgent_goes_first(with_limits: Callable[..., House]) -> None:
    house, gauge = with_limits(capability_limits="work=1"), Gauge()
    house.agent.script = {"plan": gauge}
    house.engine()
    first = house.submit(ONE)
    until(lambda: gauge.now == 1)
    low, urgent = house.submit(ONE, {"priority": -1}), house.submit(ONE, {"priority": 2})
    normal = house.submit(ONE)
    until(lambda: house.queries.run(normal).stages[0].reason is not None)
    gauge.go.set()
    for run in (first, low, urgent, normal):
        house.until(run)
    assert gauge.runs == [first, urgent, normal, low]


def test_a_rate_is_kept(with_limits: Callable[..., House]) -> None:
    house = with_limits(capability_rates="work=5/s")
    began: list[float] = []

    def note(_request: WorkRequest, _desk: Desk) -> WorkResult:
        began.append(time.monotonic())
        return WorkResult()

    house.agent.script = {"plan": note}
    house.engine()
    for run in [house.submit(ONE) for _ in range(8)]:
        house.until(run)
    for index in range(len(began) - 5):
        assert began[index + 5] - began[index] > 0.7, "more than five began within a second"


def test_a_held_order_can_be_cancelled_and_takes_no_room(with_limits: Callable[..., House]) -> None:
    house, gauge = with_limits(capability_limits="work=1"), Gauge()
    house.agent.script = {"plan": gauge}
    house.engine()
    first, second, third = (house.submit(ONE) for _ in range(3))
    until(lambda: gauge.now == 1)
    house.commands.cancel(second, by="ada")
    gauge.go.set()
    assert house.until(first).summary.status is RunStatus.SUCCEEDED
    assert house.until(third).summary.status is RunStatus.SUCCEEDED
    assert gauge.runs == [first, third]


def test_who_waits_for_room_when_the_engine_stops_is_let_in_by_the_next_one(
    with_limits: Callable[..., House],
) -> None:
    house, gauge = with_limits(capability_limits="work=1"), Gauge()
    house.agent.script = {"plan": gauge}
    first = house.engine()
    runs = [house.submit(ONE) for _ in range(4)]
    until(lambda: gauge.now == 1)
    first.stop()
    house.engines.remove(first)
    gauge.go.set()
    house.engine()
    for run in runs:
        assert house.until(run).summary.status is RunStatus.SUCCEEDED
    assert gauge.most == 1


def test_a_run_that_has_no_room_waits_to_begin_and_then_begins_by_itself(
    with_limits: Callable[..., House],
) -> None:
    house, gauge = with_limits(max_runs=1), Gauge()
    house.agent.script = {"plan": gauge}
    house.engine()
    first, second = house.submit(ONE), house.submit(ONE)
    low, urgent = house.submit(ONE, {"priority": -1}), house.submit(ONE, {"priority": 2})
    until(lambda: gauge.now == 1)
    assert house.queries.status(urgent) is RunStatus.QUEUED
    stop = house.queries.run(second).stop
    assert stop is not None
    assert stop.message == "it waits to begin: 1 of 1 runs are at work"
    with pytest.raises(ConflictError, match="not begun"):
        house.commands.pause(low, by="ada")
    gauge.go.set()
    for run in (first, second, low, urgent):
        assert house.until(run).summary.status is RunStatus.SUCCEEDED
    assert gauge.runs == [first, urgent, second, low]


def test_a_repository_has_a_limit_of_its_own(with_limits: Callable[..., House]) -> None:
    house, gauge = with_limits(max_runs_per_repository=1), Gauge()
    house.agent.script = {"plan": gauge}
    house.engine()
    first, second = house.submit(ONE), house.submit(ONE)
    other = house.submit(ONE, {"repository": "elsewhere"})
    until(lambda: gauge.now == 2)
    assert set(gauge.runs) == {first, other}
    assert house.queries.status(second) is RunStatus.QUEUED
    gauge.go.set()
    assert house.until(second).summary.status is RunStatus.SUCCEEDED


def test_who_waits_for_a_person_takes_no_room(with_limits: Callable[..., House]) -> None:
    house = with_limits(max_runs=1)
    rule = AskRule("ship-it", "ship it?", None, ())
    house.engine()
    waiting = house.submit(pipeline(stage("plan", asks=(rule,))))
    house.until(waiting, RunStatus.WAITING)
    assert house.until(house.submit(ONE)).summary.status is RunStatus.SUCCEEDED


def test_a_full_queue_refuses_with_a_time_to_try_again(with_limits: Callable[..., House]) -> None:
    house, gauge = with_limits(max_runs=1, max_queued_runs=1), Gauge()
    house.agent.script = {"plan": gauge}
    house.engine()
    runs = [house.submit(ONE), house.submit(ONE)]
    with pytest.raises(OverloadError) as refused:
        house.submit(ONE)
    assert refused.value.retry_after is not None
    assert refused.value.retry_after >= 1
    assert len(house.queries.runs()) == 2
    gauge.go.set()
    for run in runs:
        house.until(run)
    assert house.until(house.submit(ONE)).summary.status is RunStatus.SUCCEEDED


def test_a_queued_run_can_be_cancelled_and_is_admitted_after_a_restart(
    with_limits: Callable[..., House],
) -> None:
    house, gauge = with_limits(max_runs=1), Gauge()
    house.agent.script = {"plan": gauge}
    engine = house.engine()
    first, second, third = (house.submit(ONE) for _ in range(3))
    until(lambda: gauge.now == 1)
    house.commands.cancel(second, by="ada")
    engine.stop()
    house.engines.remove(engine)
    gauge.go.set()
    house.engine()
    assert house.until(first).summary.status is RunStatus.SUCCEEDED
    assert house.until(third).summary.status is RunStatus.SUCCEEDED
    assert house.queries.status(second) is RunStatus.CANCELLED
    assert second not in gauge.runs


@pytest.mark.parametrize("given", ["work", "work=", "work=0", "WORK=1", "work=two"])
def test_a_limit_that_makes_no_sense_is_refused_at_the_start(given: str) -> None:
    with pytest.raises(ConfigurationError, match="capability_limits"):
        load_settings(capability_limits=given)
