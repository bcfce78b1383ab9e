"""One real ``shipway serve`` for all tests that need no server of their own, and how to ask it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from gitcalls import git
from nursery import COMMANDS, Process, started_process
from smallpipeline import SMALL

ROOT = Path(__file__).resolve().parents[2]

PATCH = """\
diff --git a/a.txt b/a.txt
--- a/a.txt
+++ b/a.txt
@@ -1 +1 @@
-one
+two
"""


@dataclass(frozen=True)
class Served:
    """A server process, and a client that carries its token."""

    process: Process
    home: Path
    url: str
    http: httpx.Client

    @property
    def token(self) -> str:
        return (self.home / "token").read_text().strip()

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(40)

    def line(self, **wanted: Any) -> dict[str, Any]:
        """The log line with these fields; it is written just after the answer."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            text = (self.home / "logs" / "shipway.jsonl").read_text()
            for line in map(json.loads, text.splitlines()):
                if wanted.items() <= line.items():
                    return line
            time.sleep(0.02)
        raise AssertionError(f"no log line with {wanted}")


@contextmanager
def serving(
    home: Path, *, env: Mapping[str, str] | None = None, started: bool = False
) -> Iterator[Served]:
    """``shipway serve`` on a free port, ended with the block; ``started`` by an interpreter of its own."""
    home.mkdir(mode=0o700, exist_ok=True)
    ours = {"SHIPWAY_HOME": str(home), "PYTHONPATH": str(ROOT / "src")}
    start = started_process if started else COMMANDS.start
    process = start(
        ["-m", "shipway", "serve", "--json", "--port", "0"],
        env=os.environ | ours | dict(env or {}),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        said = ""
        while not said.endswith("}\n"):
            line = process.stdout.readline()
            assert line, "the server said nothing"
            said += line
        url = json.loads(said)["url"]
        headers = {"authorization": f"Bearer {(home / 'token').read_text().strip()}"}
        with httpx.Client(base_url=url, headers=headers, timeout=30, trust_env=False) as http:
            yield Served(process, home, url, http)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(40)
        process.stdout.close()


@contextmanager
def slow(*times: float, **given: Any) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server whose requests take as long as they say; ``times``: deregister, linger, drain, total.

    ``given``: ``headers_within``, ``connections``, ``limits``; with any of them four are served at once.
    """
    process = subprocess.Popen(
        [
            sys.executable,
            str(Path(__file__).parent / "slow_app.py"),
            json.dumps(times),
            json.dumps(given),
        ],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server that lives as long as the tests; its home is nobody else's."""
    home = Path(tempfile.mkdtemp(prefix="service-", dir=tmp_path_factory.getbasetemp()))
    with serving(home) as found:
        yield found
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a file, and a pipeline that takes a second."""
    root = tmp_path_factory.mktemp("repository")
    git(root, "init", "--quiet", "--template=", "--initial-branch=main")
    (root / "a.txt").write_text("one\n")
    (root / ".shipway/pipelines").mkdir(parents=True)
    (root / ".shipway/pipelines/small.yaml").write_text(SMALL)
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "first")
    return root


@pytest.fixture
def change(repository: Path) -> Callable[..., dict[str, Any]]:
    """The body of a new run; ``change(command=[...])`` instead of its patch."""

    def build(**given: Any) -> dict[str, Any]:
        made = {} if "command" in given else {"patch": {"text": PATCH}}
        return {
            "kind": "change",
            "repository": str(repository),
            "requirement": {"text": "Write two"},
            "claim": "fix",
            "pipeline": "small",
            **made,
            **given,
        }

    return build


def settled(http: httpx.Client, run: str, wanted: str = "succeeded") -> dict[str, Any]:
    """The run once it is in that state; fails when it ends in another."""
    deadline = time.monotonic() + 60
    while True:
        detail = http.get(f"/api/v1/runs/{run}").json()
        status = detail["summary"]["status"]
        if status == wanted:
            return detail
        ended = status in {"succeeded", "failed", "cancelled", "quarantined"}
        assert not ended, f"it is {status}: {detail['stop']}"
        assert time.monotonic() < deadline, f"it is still {status}: {detail['stop']}"
        time.sleep(0.05)
