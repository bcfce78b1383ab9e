"""An agent that tells a ledger, a process that nobody kills, what it does and is about to do."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import time
from pathlib import Path

from scripted import WorkRequest, WorkResult

from shipway.agents.agent import Desk

#: Stages in which it sends a message to the world: the receiver keeps it under the task's key.
EFFECTS = {"integrate", "deploy", "notify"}


def behave(how: str) -> None:
    """Something terrible, as an agent of somebody else's might do it."""
    if how == "exit":
        os._exit(1)
    if how == "rubbish":
        for _ in range(64):
            os.write(2, os.urandom(1 << 16))
        os.write(1, os.urandom(1 << 12))
    if how == "grow":
        _soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + (256 << 20)
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
        grown: list[bytes] = []
        while True:
            grown.append(bytes(16 << 20))
    while how == "hang":
        time.sleep(3600)  # whatever it is told


def tell(ledger: str, what: str, desk: Desk) -> None:
    """Say it to the ledger, and wait until it has it."""
    task = desk.task
    line = {
        "what": what,
        "run": task.run,
        "stage": task.stage,
        "attempt": task.attempt,
        "token": task.token,
        "key": task.key,
        "pid": os.getpid(),
        "version": task.version,
    }
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as told:
        told.connect(ledger)
        told.sendall(json.dumps(line).encode() + b"\n")
        told.recv(1)


class Teller:
    """Works for a while, then tells the ledger what it is about to do, as who, and once more after."""

    capability = "work"
    name = "teller"

    def __init__(self, pause: float, ledger: str) -> None:
        self._pause = pause
        self._ledger = ledger

    def perform(self, request: WorkRequest, desk: Desk) -> WorkResult:
        task = desk.task
        tell(self._ledger, "begin", desk)
        if os.environ.get("POISON") == task.stage:
            os.kill(os.getpid(), signal.SIGKILL)
        if "BAD" in os.environ and task.attempt == 1:
            behave(os.environ["BAD"])
        desk.cancel.wait(self._pause)
        if task.stage in EFFECTS:
            desk.confirm()
            self.send(desk)
        tell(self._ledger, "end", desk)
        return WorkResult(said=f"{request.seen}>{task.stage}")

    def send(self, desk: Desk) -> None:
        tell(self._ledger, "effect", desk)


class Merger(Teller):
    """The same for a capability that has a lane for each branch."""

    capability = "integrate"
