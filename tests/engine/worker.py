"""An engine in a process of its own, to be killed: its agents write down what they do."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from scripted import WORK, WorkRequest, WorkResult

from shipway.agents.agent import Desk
from shipway.agents.registry import Registry
from shipway.config import load_settings
from shipway.engine.engine import Engine
from shipway.engine.host import Ended, serve_until_idle
from shipway.engine.places import Places
from shipway.store.artifacts import ArtifactStore
from shipway.store.opening import prepare


class Scribe:
    """Appends a line when an attempt begins and one when it is done, each in one write."""

    capability = "work"
    name = "scribe"

    def __init__(self, book: Path, pause: float) -> None:
        self.book = book
        self.pause = pause

    def perform(self, request: WorkRequest, desk: Desk) -> WorkResult:
        task = desk.task
        self._write(f"begin {task.run} {task.stage} {task.attempt} {task.token}")
        desk.cancel.wait(self.pause)
        self._write(f"end {task.run} {task.stage} {task.attempt} {task.token}")
        return WorkResult(said=f"{request.seen}>{task.stage}")

    def _write(self, line: str) -> None:
        with self.book.open("a") as file:
            file.write(f"{line}\n")


def main() -> None:
    book, pause = Path(sys.argv[1]), float(sys.argv[2])
    settings = load_settings()
    places = Places(settings.home)
    artifacts = ArtifactStore(places.artifacts)
    engine = Engine(
        settings,
        prepare(places.database, settings),
        Registry([Scribe(book, pause)]),
        artifacts,
        contracts=WORK,
    )
    while serve_until_idle(engine) is Ended.NOT_OWNER:
        time.sleep(0.02)


if __name__ == "__main__":
    main()
