"""Somebody at a terminal: runs commands, looks at runs, kills what runs; and what they work on."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil

from shipway.bootstrap.system import System, open_system
from shipway.config import load_settings
from shipway.engine.owner import owner_pid
from shipway.errors import NotFoundError

ROOT = Path(__file__).resolve().parents[2]
CALC = {
    "pyproject.toml": '[project]\nname = "calc"\nversion = "1"\n'
    '[tool.pytest.ini_options]\npythonpath = ["src"]\n',
    "src/calc/__init__.py": '"""A calculator."""\n\n\ndef add(a: int, b: int) -> int:\n'
    '    """Add two numbers."""\n    return a - b\n\n\n'
    'def double(a: int) -> int:\n    """Twice a number."""\n    return 2 * a\n',
    "tests/test_calc.py": "from calc import add, double\n\n\n"
    "def test_zero() -> None:\n    assert add(0, 0) == 0\n\n\n"
    "def test_double() -> None:\n    assert double(4) == 8\n",
}
HISTORY = (
    {"README.md": "# calc\n"},
    {"src/calc/more.py": '"""More."""\n\n\ndef half(a: int) -> int:\n    return a // 2\n'},
)


def until(happened: Callable[[], Any], what: str, within: float = 60.0) -> Any:
    """The first true value of ``happened``; fails with ``what`` when the time is up."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        value = happened()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"it never happened: {what}")


class Person:
    """Somebody at a terminal of their own: runs commands, looks at runs, kills what runs."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.started: list[subprocess.Popen[str]] = []

    def words(self, *arguments: str) -> list[str]:
        return [sys.executable, "-P", "-m", "shipway", *arguments]

    @property
    def env(self) -> dict[str, str]:
        return os.environ | {"PYTHONPATH": str(ROOT / "src"), "SHIPWAY_HOME": str(self.home)}

    def run(self, *arguments: str, timeout: float = 240.0) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.words(*arguments),
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            self.words(*arguments),
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.started.append(process)
        return process

    @cached_property
    def system(self) -> System:
        """Looks into the state directory from here: a process for each look would be the load."""
        return open_system(load_settings(home=self.home))

    def view(self, ref: str = "@last") -> dict[str, Any]:
        try:
            return self.system.queries.run(ref).model_dump(mode="json")
        except NotFoundError:
            return {}

    def stage(self, name: str, ref: str = "@last") -> dict[str, Any]:
        stages = self.view(ref).get("stages", [])
        return next((one for one in stages if one["id"] == name), {})

    def engine(self) -> int | None:
        return owner_pid(self.home / "engine.lock")

    def kill_engine(self) -> None:
        """kill -9 the engine; what it started must die with it."""
        pid = until(self.engine, "an engine to kill")
        process = psutil.Process(pid)
        os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(psutil.NoSuchProcess):
            process.wait(10)

    def leave(self) -> None:
        """Kill what this person started, stop releases, and let the engine go."""
        for process in self.started:
            process.kill()
            process.communicate()
        self.system.close()
        if (self.home / "services").exists():
            self.run("release", "stop", "--all")
        with contextlib.suppress(psutil.NoSuchProcess):
            pid = self.engine()
            if pid is not None:
                os.kill(pid, signal.SIGTERM)
                psutil.Process(pid).wait(35)
