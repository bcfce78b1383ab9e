"""kill -9 at any moment: finished stages stay finished, the interrupted one is done again."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from scripted import House

from nursery import PROGRAMS, Born
from shipway.domain.states import RunStatus
from shipway.engine.owner import owner_pid

HERE = Path(__file__).parent
Start = Callable[[], Born]


@pytest.fixture
def book(tmp_path: Path) -> Path:
    path = tmp_path / "book"
    path.touch()
    return path


@contextmanager
def worker(house: House, book: Path, pause: float) -> Iterator[Born]:
    """An engine process; it is killed when the block ends, if it still lives."""
    url = house.settings.database_url
    process = PROGRAMS.start(
        [str(HERE / "worker.py"), str(book), str(pause)],
        env={
            **os.environ,
            **({"SHIPWAY_DATABASE_URL": url.reveal()} if url else {}),
            "SHIPWAY_HOME": str(house.settings.home),
        },
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def lines(book: Path) -> list[list[str]]:
    return [line.split() for line in book.read_text().splitlines()]


def wait_for(happened: Callable[[], bool], within: float = 15.0) -> None:
    give_up = time.monotonic() + within
    while not happened():
        assert time.monotonic() < give_up, "it never happened"
        time.sleep(0.01)


STAGES = ("plan", "scaffold", "implement", "validate", "integrate", "deploy")
PLACES = [("sqlite", stage) for stage in STAGES] + [("postgresql", "plan"), ("postgresql", "e2e")]


@pytest.mark.parametrize(("database_settings", "stage"), PLACES, indirect=["database_settings"])
def test_killed_during_a_stage_the_run_goes_on_from_there(
    house: House, book: Path, stage: str
) -> None:
    run = house.submit()
    with worker(house, book, pause=0.15) as first:
        wait_for(lambda: any(line[0] == "begin" and line[2] == stage for line in lines(book)))
        first.send_signal(signal.SIGKILL)
        first.wait()
    ended_before = [line[2] for line in lines(book) if line[0] == "end"]
    with worker(house, book, pause=0.0):
        detail = house.until(run, within=20)
    assert detail.summary.status is RunStatus.SUCCEEDED
    begun = [line[2] for line in lines(book) if line[0] == "begin"]
    assert begun.count(stage) >= 2
    passed = {one.id for one in detail.stages}
    assert passed == set(begun)
    for name in set(ended_before) - {stage, "validate", "e2e"}:
        assert begun.count(name) == 1, f"{name} was finished and done again"
    tokens = [int(line[4]) for line in lines(book) if line[0] == "begin" and line[2] == stage]
    assert tokens == sorted(set(tokens)), "a fencing token was used twice"


def test_killed_again_and_again_every_run_ends_and_no_stage_passes_twice(
    house: House, book: Path
) -> None:
    chance = random.Random(20261123)
    runs = [house.submit() for _ in range(6)]
    for _ in range(8):
        with worker(house, book, pause=0.03) as process:
            wait_for(lambda: owner_pid(house.places.lock) == process.pid)
            time.sleep(chance.uniform(0.0, 0.4))
            process.send_signal(signal.SIGKILL)
            process.wait()
    with worker(house, book, pause=0.0):
        for run in runs:
            assert house.until(run, within=30).summary.status is RunStatus.SUCCEEDED
    for run in runs:
        passed = [event.stage for event in house.queries.events(run) if event.type == "StagePassed"]
        assert len(passed) == len(set(passed)) == 7


def test_sigterm_hands_everything_back_and_exits_zero(house: House, book: Path) -> None:
    run = house.submit()
    with worker(house, book, pause=30.0) as process:
        wait_for(lambda: any(line[0] == "begin" for line in lines(book)))
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0
    assert house.queries.run(run).summary.status is RunStatus.RUNNING
    with worker(house, book, pause=0.0):
        assert house.until(run, within=20).summary.status is RunStatus.SUCCEEDED


def test_an_order_that_kills_its_engine_ends_as_poison(house: House, book: Path) -> None:
    run = house.submit()
    for _ in range(5):
        begun = len(lines(book))
        with worker(house, book, pause=30.0) as process:
            wait_for(lambda before=begun: len(lines(book)) > before)
            process.send_signal(signal.SIGKILL)
            process.wait()
    with worker(house, book, pause=0.0):
        detail = house.until(run, within=20)
    assert detail.summary.status is RunStatus.FAILED
    assert detail.stop is not None
    assert detail.stop.code == "POISON"
