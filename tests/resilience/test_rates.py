"""GCRA and the adaptive limit: exact, smooth, and honest about when to come back."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipway.domain.limits import Rate
from shipway.errors import OverloadError
from shipway.resilience.adaptive import AdaptiveLimit, AdaptivePolicy
from shipway.resilience.limiter import gcra


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


class Keys:
    """One timestamp for each key, as all who use GCRA keep it."""

    def __init__(self, clock):
        self.clock, self.tats = clock, {}

    def take(self, key, rate, cost=1):
        self.tats[key], taken = gcra(self.tats.get(key, 0.0), self.clock(), rate, cost)
        return taken


@given(
    burst=st.integers(1, 50),
    per=st.floats(0.5, 100),
    steps=st.lists(st.floats(0, 5), min_size=1, max_size=200),
)
def test_never_more_than_the_burst_and_what_came_back_since(burst, per, steps):
    clock = Clock()
    rates, rate, allowed = Keys(clock), Rate(burst, per), 0
    for step in steps:
        clock.now += step
        taken = rates.take("k", rate)
        allowed += taken.allowed
        assert allowed <= burst + (clock.now / rate.interval) + 1e-6
        assert 0 <= taken.remaining <= burst


def test_who_comes_back_when_told_is_served():
    clock = Clock()
    rates, rate = Keys(clock), Rate(10, 5.0)
    assert [rates.take("k", rate).remaining for _ in range(10)] == list(range(9, -1, -1))
    for _ in range(20):
        refused = rates.take("k", rate)
        assert not refused.allowed
        clock.now += refused.retry_after
        assert rates.take("k", rate).allowed


def test_an_idle_key_is_whole_again_and_others_are_not_touched():
    clock = Clock()
    rates, rate = Keys(clock), Rate(2, 10.0)
    assert rates.take("a", rate, 2).allowed
    assert not rates.take("a", rate).allowed
    assert rates.take("b", rate).allowed
    clock.now += 10
    assert rates.take("a", rate, 2).allowed


def overloaded(limit, clock, chance, *, at_once, seconds):
    """A server that needs 5 ms of one processor for each request, while ``at_once`` always ask."""
    free_at, under_way, in_time, end = clock.now, [], 0, clock.now + seconds
    while clock.now < end:
        while len(under_way) < at_once:
            try:
                began = limit.enter()
            except OverloadError:
                break
            free_at = max(free_at, clock.now) + 0.005
            under_way.append((free_at, began))
        ready, began = under_way.pop(0)
        clock.now = max(clock.now, ready)
        limit.leave(began)
        in_time += clock.now - began <= 0.5
    return in_time / seconds


def test_under_four_times_the_load_most_answers_still_come_in_time():
    clock = Clock()
    limit = AdaptiveLimit(AdaptivePolicy(least=4), clock=clock)
    goodput = overloaded(limit, clock, random.Random(1), at_once=400, seconds=30)
    assert goodput > 0.9 * 200
    assert limit.limit < 100
    assert limit.refused > 0


def test_it_grows_while_nothing_gets_slower_and_less_important_work_is_shed_first():
    clock = Clock()
    limit = AdaptiveLimit(clock=clock)
    for _ in range(300):
        begun = [limit.enter() for _ in range(limit.limit)]
        clock.now += 0.01
        for began in begun:
            limit.leave(began)
    assert limit.limit == 200
    for _ in range(150):
        limit.enter()
    with pytest.raises(OverloadError):
        limit.enter(share=0.5)
    limit.enter()
