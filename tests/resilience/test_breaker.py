"""The breaker, row by row as the reference semantics have it, on a clock that tests turn."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
import traceback
from collections import Counter

import pytest

from shipway.errors import CircuitOpenError, NotFoundError, UsageError
from shipway.resilience.breaker import Breaker, BreakerPolicy, State, Trip


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def make(clock):
    def made(**policy):
        return Breaker("db", BreakerPolicy(**policy), clock=clock, observe=seen.append)

    seen = made.seen = []
    return made


def feed(breaker, outcomes, elapsed=0.0):
    """One call for each letter: F fails, S succeeds; refused calls raise."""
    for outcome in outcomes:
        generation = breaker.enter()
        (breaker.failure if outcome == "F" else breaker.success)(generation, elapsed)


def rejected(breaker):
    with pytest.raises(CircuitOpenError) as refused:
        breaker.enter()
    return refused.value.retry_after


@pytest.mark.parametrize(
    ("outcomes", "state"),
    [
        ("FSFSFSFSFS", State.OPEN),
        ("FFFFFFFFF", State.CLOSED),
        ("S" * 10 + "FSFSFSFSF", State.OPEN),
        ("S" * 10 + "FSFSFSFS", State.CLOSED),
        ("FFFF" + "S" * 6, State.CLOSED),
        ("FFFFSSSSSS" + "SSSS" + "FFFF", State.CLOSED),
    ],
)
def test_half_of_the_last_ten(make, outcomes, state):
    breaker = make()
    feed(breaker, outcomes)
    assert breaker.state is state


def test_it_is_open_for_sixty_seconds_and_then_admits_one_probe(make, clock):
    breaker = make()
    feed(breaker, "F" * 10)
    assert rejected(breaker) == pytest.approx(60)
    clock.now += 59.999
    assert rejected(breaker) == pytest.approx(0.001, abs=1e-6)
    clock.now += 0.001
    admitted = [breaker.enter()]
    for _ in range(49):
        rejected(breaker)
    breaker.success(admitted[0])
    assert breaker.state is State.CLOSED


@pytest.mark.parametrize(
    ("calls", "failures", "ratio", "opens"),
    [
        (10, 0, 0.1, False),
        (10, 1, 0.1, True),
        (10, 2, 0.1, True),
        (11, 2, 0.1, True),
        (9, 1, 0.1, False),
    ],
)
def test_throughput_and_ratio_decide_together(make, calls, failures, ratio, opens):
    breaker = make(window=60, by_time=True, minimum=10, ratio=ratio)
    under_way = [breaker.enter() for _ in range(calls)]
    for number, generation in enumerate(under_way):
        (breaker.success if number < calls - failures else breaker.failure)(generation)
    assert (breaker.state is State.OPEN) is opens


def test_a_window_of_seconds(make, clock):
    breaker = make(window=20, by_time=True, minimum=5)
    for outcome in "SSSFF":
        feed(breaker, outcome)
        clock.now += 1
    assert breaker.state is State.CLOSED
    assert breaker.ratio() == pytest.approx(0.4)
    feed(breaker, "F")
    assert breaker.state is State.OPEN


def test_the_window_of_seconds_forgets_by_buckets(make, clock):
    breaker = make(window=10, by_time=True, minimum=100)
    seen = []
    for turn in range(5):
        feed(breaker, "FS" if turn < 2 else "SS")
        clock.now += 2
        tally = breaker._window.tally(clock.now)
        seen.append((tally.calls, tally.failures / tally.calls, tally.failures))
    assert seen[0] == (2, 0.5, 1)
    assert seen[1] == (4, 0.5, 2)
    assert seen[3:] == [(8, 0.25, 2), (8, 0.125, 1)]
    clock.now += 2
    assert breaker._window.tally(clock.now) == (6, 0, 0)


def test_too_few_calls_have_no_ratio(make):
    breaker = make(window=5, minimum=5)
    feed(breaker, "FFFF")
    assert breaker.ratio() == -1
    assert breaker.state is State.CLOSED


def test_slowness_alone_opens_it(make):
    breaker = make(window=5, minimum=5, slow_s=4, slow_ratio=0.5)
    feed(breaker, "SS", elapsed=1)
    feed(breaker, "SSS", elapsed=4)
    assert breaker.state is State.OPEN


def half_open(make, clock, **policy):
    breaker = make(open_s=5, window=2, minimum=2, **policy)
    feed(breaker, "FF")
    clock.now += 5
    return breaker


def test_four_permits_and_one_given_back(make, clock):
    breaker = half_open(make, clock, permits=4)
    generations = [breaker.enter() for _ in range(4)]
    rejected(breaker)
    breaker.neutral(generations[0])
    breaker.enter()
    rejected(breaker)


@pytest.mark.parametrize(
    ("outcomes", "state"), [("FFSS", State.OPEN), ("FSSS", State.CLOSED), ("SFFS", State.OPEN)]
)
def test_the_permits_decide_together_and_the_window_begins_anew(make, clock, outcomes, state):
    breaker = half_open(make, clock, permits=4)
    generations = [breaker.enter() for _ in range(4)]
    for generation, outcome in zip(generations, outcomes, strict=True):
        (breaker.failure if outcome == "F" else breaker.success)(generation)
    assert breaker.state is state
    if state is State.CLOSED:
        assert breaker.ratio() == -1


def test_an_ignored_error_gives_the_permit_back_and_counts_nothing(make, clock):
    breaker = half_open(make, clock)
    breaker.report(breaker.enter(), 0, NotFoundError("no such row"))
    assert breaker.state is State.HALF_OPEN
    breaker.report(breaker.enter(), 0, asyncio.CancelledError())
    assert breaker.state is State.HALF_OPEN
    breaker.report(breaker.enter(), 0, None)
    assert breaker.state is State.CLOSED
    for _ in range(20):
        breaker.report(breaker.enter(), 0, UsageError("asked wrongly"))
        breaker.report(breaker.enter(), 0, asyncio.CancelledError())
    assert breaker.state is State.CLOSED
    assert breaker.ratio() == -1


def test_a_growing_break_is_capped_and_begins_anew_after_a_success(make, clock):
    breaker = make(open_s=5, growth=2, longest_s=15, window=2, minimum=2)
    feed(breaker, "FF")
    for seconds in (5, 10, 15, 15):
        assert rejected(breaker) == pytest.approx(seconds)
        clock.now += seconds
        breaker.failure(breaker.enter())
    clock.now += 15
    feed(breaker, "S")
    feed(breaker, "FF")
    assert rejected(breaker) == pytest.approx(5)


def test_a_break_of_ones_own_learns_of_rate_count_and_attempts(make, clock):
    asked = []
    breaker = make(break_for=lambda trip: asked.append(trip) or 1e300, window=2, minimum=2)
    feed(breaker, "FF")
    assert rejected(breaker) == 3600
    clock.now += 3600
    breaker.failure(breaker.enter())
    assert asked == [Trip(1.0, 2, 0), Trip(1.0, 1, 1)]


def test_a_probe_that_never_reports_leaves_after_its_lease(make, clock):
    breaker = half_open(make, clock, lease_s=7)
    lost = breaker.enter()
    assert rejected(breaker) == pytest.approx(7)
    clock.now += 7
    probe = breaker.enter()
    assert probe != lost
    breaker.failure(lost)
    assert breaker.state is State.HALF_OPEN
    breaker.success(probe)
    assert breaker.state is State.CLOSED


def test_late_results_of_an_older_state_change_nothing(make, clock):
    breaker = make(window=2, minimum=2, open_s=5)
    late = breaker.enter()
    feed(breaker, "FF")
    breaker.success(late)
    assert breaker.state is State.OPEN
    clock.now += 5
    probe = breaker.enter()
    breaker.failure(late)
    breaker.success(late)
    assert breaker.state is State.HALF_OPEN
    breaker.success(probe)
    breaker.failure(late)
    breaker.failure(late)
    assert breaker.state is State.CLOSED


def test_a_break_of_five_seconds_ends_after_five_seconds(make, clock):
    breaker = make(open_s=5, window=2, minimum=2)
    feed(breaker, "FF")
    clock.now += 4.999
    assert rejected(breaker) == pytest.approx(0.001, abs=1e-6)
    assert breaker.state is State.OPEN
    clock.now = 1005.0
    breaker.enter()
    assert breaker.state is State.HALF_OPEN


@pytest.mark.parametrize("error", [ZeroDivisionError("ours"), MemoryError(), RuntimeError("any")])
def test_whatever_a_probe_raises_is_an_answer_and_its_permit_is_not_lost(make, clock, error):
    breaker = half_open(make, clock)
    breaker.report(breaker.enter(), 0, error)
    assert breaker.state is State.OPEN
    assert rejected(breaker) == pytest.approx(5)
    clock.now += 5
    breaker.report(breaker.enter(), 0, KeyboardInterrupt())
    assert breaker.state is State.HALF_OPEN
    breaker.report(breaker.enter(), 0, None)
    assert breaker.state is State.CLOSED


def test_a_success_that_comes_late_does_not_end_what_was_opened_by_hand(make, clock):
    breaker = half_open(make, clock)
    probe = breaker.enter()
    breaker.switch(State.FORCED_OPEN)
    for report in (breaker.success, breaker.failure, breaker.neutral):
        report(probe)
        report(breaker.generation)
        assert breaker.state is State.FORCED_OPEN
        assert rejected(breaker) is None
    assert [one.after for one in make.seen][-1] is State.FORCED_OPEN


def test_threads_that_come_at_the_end_of_a_break_get_as_many_permits_as_there_are():
    now, seen, threads, permits = [0.0], [], 8, 2

    def clock():
        time.sleep(0)  # whoever reads it lets the others run, in the midst of what it does
        return now[0]

    policy = BreakerPolicy(open_s=5, window=2, minimum=2, permits=permits)
    breakers = [Breaker("db", policy, clock=clock, observe=seen.append) for _ in range(50)]
    for breaker in breakers:
        feed(breaker, "FF")
    now[0], admitted, gate = 5.0, [], threading.Barrier(threads)

    def come():
        for breaker in breakers:
            gate.wait(30)
            with contextlib.suppress(CircuitOpenError):
                admitted.append((breaker, breaker.enter()))

    crowd = [threading.Thread(target=come) for _ in range(threads)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join(60)
    assert Counter(breaker for breaker, _ in admitted) == dict.fromkeys(breakers, permits)
    assert all(generation == breaker.generation for breaker, generation in admitted)
    assert [one.after for one in seen] == [State.OPEN] * 50 + [State.HALF_OPEN] * 50


def test_states_by_hand(make, clock):
    breaker = make(window=2, minimum=2)
    breaker.switch(State.FORCED_OPEN)
    clock.now += 1e6
    assert rejected(breaker) is None
    for state in (State.DISABLED, State.METRICS_ONLY):
        breaker.switch(state)
        feed(breaker, "FFFF")
        assert breaker.state is state
        assert (breaker.ratio() == 1.0) is (state is State.METRICS_ONLY)
    breaker.switch(State.CLOSED)
    assert breaker.ratio() == -1


def test_observers_hear_of_changes_only(make, clock):
    breaker = make(window=2, minimum=2, open_s=5)
    breaker.switch(State.CLOSED)
    feed(breaker, "FF")
    clock.now += 5
    feed(breaker, "S")
    changes = [(one.before, one.after) for one in make.seen]
    assert changes == [
        (State.CLOSED, State.OPEN),
        (State.OPEN, State.HALF_OPEN),
        (State.HALF_OPEN, State.CLOSED),
    ]
    assert (make.seen[0].ratio, make.seen[0].calls, make.seen[0].open_for) == (1.0, 2, 5)
    assert make.seen[2].ratio == -1


def test_a_refusal_does_not_grow(make):
    breaker = make()
    feed(breaker, "F" * 10)
    sizes = set()
    for _ in range(100):
        with pytest.raises(CircuitOpenError) as refused:
            breaker.enter()
        sizes.add(len("".join(traceback.format_exception(refused.value))))
        assert refused.value.__context__ is None
    assert len(sizes) == 1
