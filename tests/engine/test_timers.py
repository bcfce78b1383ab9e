"""Timers of the near future are kept; those of runs that rest for days lie in the database only."""

from __future__ import annotations

import asyncio

from shipway.engine.timers import HORIZON, Timers


def test_what_is_far_off_is_not_kept_and_read_again_before_it_is_due() -> None:
    now = 1000.0
    stored = {f"rests{number}": now + 86_400.0 + number for number in range(1000)}
    rung: list[str] = []
    reads: list[float] = []

    def read() -> None:
        reads.append(now)
        until = timers.horizon()
        for run, due in stored.items():
            if due <= until:
                timers.set(run, due)
        timers.later(min((due for due in stored.values() if due > until), default=None))

    loop = asyncio.new_event_loop()
    timers = Timers(loop, lambda: now, lambda run: (rung.append(run), stored.pop(run, None)), read)
    for run, due in stored.items():
        timers.set(run, due)
    timers.set("soon", now + 10)
    assert timers.kept == 1
    while stored and now < 200_000.0:
        now += 30.0
        timers._fire()  # as the alarm does at least once a minute
        assert all(due > now for due in stored.values()), "none is late"
    assert rung == ["soon", *(f"rests{number}" for number in range(1000))]
    assert min(reads) > 86_400.0 - HORIZON, "and nothing is read until it is near"
    assert timers.kept == 0
    timers.stop()
    loop.close()
