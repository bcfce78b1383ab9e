"""The command starts at once: the two questions everybody asks first import next to nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from shipway import __version__

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("sqlalchemy", "fastapi", "pydantic", "rich", "yaml", "structlog", "copier", "sqlite3")
ENV = os.environ | {"PYTHONPATH": str(ROOT / "src")}


def imported(*arguments: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "shipway", *arguments],
        env=ENV,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    return {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in done.stderr.splitlines()}


@pytest.mark.parametrize("arguments", [("--version",), ("--help",), ("run", "--help")])
def test_version_and_help_import_nothing_heavy(arguments):
    found = imported(*arguments)
    assert "shipway" in found
    assert not found & set(HEAVY)


def fastest(*arguments: str) -> tuple[float, float]:
    """The best of some tries, as time on the wall and time of the processor, in seconds."""
    wall, work = [], []
    for _ in range(7):
        began, before = time.perf_counter(), os.times()
        subprocess.run(
            [sys.executable, "-m", "shipway", *arguments],
            env=ENV,
            check=True,
            capture_output=True,
            timeout=30,
        )
        after = os.times()
        wall.append(time.perf_counter() - began)
        work.append(
            after.children_user
            - before.children_user
            + after.children_system
            - before.children_system
        )
    return min(wall), min(work)


def test_the_version_is_there_within_150_ms():
    assert fastest("--version")[0] < 0.150


def test_help_is_there_within_150_ms_when_the_machine_has_nothing_else_to_do():
    assert fastest("--help")[1] < 0.150


def test_version_is_said_in_one_line_and_as_json(shipway):
    assert shipway("--version").stdout == f"shipway {__version__}\n"
    assert shipway("--version", "--json").stdout == f'{{\n  "version": "{__version__}"\n}}\n'


def test_without_a_word_the_help_is_shown_and_that_is_no_error(shipway):
    done = shipway()
    assert done.returncode == 0
    assert "shipway run list" in done.stdout
    assert done.stderr == ""
