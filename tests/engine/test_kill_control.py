"""kill -9 between a person's request and its effect: the next engine carries it out, once."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from scripted import House
from test_kill import lines, wait_for, worker

from shipway.config import Settings
from shipway.domain.states import RunStatus

Ask = Callable[[House, str], None]
ASKED: dict[str, tuple[Ask, RunStatus]] = {
    "pause": (lambda house, run: house.commands.pause(run, by="ada"), RunStatus.PAUSED),
    "cancel": (lambda house, run: house.commands.cancel(run, by="ada"), RunStatus.CANCELLED),
    "rewind": (
        lambda house, run: house.commands.rewind(run, "scaffold", by="ada"),
        RunStatus.SUCCEEDED,
    ),
}


@pytest.fixture
def local(settings: Settings) -> Iterator[House]:
    """One engine for each state directory: the one that another takes over from."""
    made = House(settings)
    yield made
    made.close()


@pytest.fixture
def book(tmp_path: Path) -> Path:
    path = tmp_path / "book"
    path.touch()
    return path


def begun(book: Path, stage: str) -> int:
    return sum(line[0] == "begin" and line[2] == stage for line in lines(book))


class Asked:
    """A command under way in a thread: whoever asked waits through the death of the engine."""

    def __init__(self, call: Callable[[], None]) -> None:
        self.failed: BaseException | None = None
        self._call = call
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._call()
        except BaseException as error:  # noqa: BLE001 - the test raises it
            self.failed = error

    def answered(self) -> None:
        self._thread.join(30)
        assert not self._thread.is_alive()
        if self.failed is not None:
            raise self.failed


def killed_while_asked(house: House, book: Path, run: str, ask: Ask, seed: str) -> None:
    """The engine hears of the request, or not; it dies within a moment; the next one answers."""
    with worker(house, book, pause=0.3) as first:
        wait_for(lambda: begun(book, "implement") > 0)
        asked = Asked(lambda: ask(house, run))
        time.sleep(random.Random(seed).uniform(0.0, 0.05))
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
    with worker(house, book, pause=0.0):
        asked.answered()
        wait_for(lambda: not _moving(house, run))


def _moving(house: House, run: str) -> bool:
    status = house.queries.status(run)
    return status in {RunStatus.RUNNING, RunStatus.QUEUED}


@pytest.mark.parametrize("what", ASKED)
def test_a_request_outlives_the_engine_that_heard_it(local: House, book: Path, what: str) -> None:
    ask, wanted = ASKED[what]
    run = local.submit()
    killed_while_asked(local, book, run, ask, what)
    assert local.queries.status(run) is wanted
    begun_by_then = len(lines(book))
    if what == "pause":
        with worker(local, book, pause=0.0):
            local.commands.resume(run, by="ada")
            assert local.until(run, within=20).summary.status is RunStatus.SUCCEEDED
    if what == "cancel":
        assert begun(book, "deploy") == 0
        with worker(local, book, pause=0.0):
            local.commands.retry(run, by="ada")
            assert local.until(run, within=20).summary.status is RunStatus.SUCCEEDED
    assert len(lines(book)) >= begun_by_then
    events = local.queries.events(run)
    kind = {"pause": "RunPaused", "cancel": "RunEnded", "rewind": "RunSentBack"}[what]
    by_ada = [one for one in events if one.type == kind and "ada" in str(one.data)]
    assert len(by_ada) == 1, "the request was carried out once"
    tokens = [one.data["token"] for one in events if one.type == "StageQueued"]
    assert tokens == sorted(set(tokens))
    passed = [(one.stage, one.attempt) for one in events if one.type == "StagePassed"]
    assert len(passed) == len(set(passed))
    if what == "rewind":
        assert sum(stage == "scaffold" for stage, _ in passed) == 2
