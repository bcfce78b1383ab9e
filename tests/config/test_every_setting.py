"""Each setting removed, mistyped and out of its bounds: one line, exit code 78, no value."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import get_args, get_origin

import pytest

from shipway.cli import boundary
from shipway.config import Settings
from shipway.config.setting import Declared, declared

PLANTED = "hunter2-sk-9f8e7d6c5b4a39281706"
EVERY = {one.name: one for one in declared(Settings)}
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _clean(monkeypatch):
    for name in [name for name in os.environ if name.upper().startswith("SHIPWAY_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SHIPWAY_CONFIG", os.devnull)


def bounds(one: Declared):
    for constraint in one.info.metadata:
        for name, beyond in (("ge", -1), ("gt", 0), ("le", 1), ("lt", 0)):
            limit = getattr(constraint, name, None)
            if limit is not None:
                yield str(limit + beyond)
        if getattr(constraint, "min_length", None):
            yield PLANTED[: constraint.min_length - 1]


def texts(one: Declared):
    """What a variable may wrongly say."""
    kind = one.types[0]
    if get_origin(kind) is not None and str in get_args(kind):
        return
    if kind not in {str, Path} and not one.secret:
        yield PLANTED
    if not one.optional and one.default("development") != "":
        yield ""
    yield from bounds(one)


WRONG = [(name, text) for name, one in EVERY.items() for text in texts(one)]


def told(capfd, *words: str) -> list[str]:
    """The faults that a command line ends with, one a line."""
    code = boundary.obey([*words])
    out, err = capfd.readouterr()
    assert code == 78, err
    assert out == ""
    assert PLANTED not in err
    assert "hunter2" not in err
    assert "Traceback" not in err
    head, *faults, hint = err.splitlines()
    assert head == "error[CONFIGURATION]: the settings cannot be used:"
    assert hint.startswith("  hint: ")
    return [fault.strip() for fault in faults]


def mistyped(name: str) -> str:
    return (
        name[:-2] + name[-1] + name[-2] + "X" if name[-1] == name[-2] else name[:-2] + name[:-3:-1]
    )


@pytest.mark.parametrize("name", EVERY)
def test_a_mistyped_name_is_told_with_what_was_meant(monkeypatch, capfd, name):
    one = EVERY[name]
    monkeypatch.setenv(mistyped(one.variable), PLANTED)
    (fault,) = told(capfd, "config", "check")
    assert fault == f"{mistyped(one.variable)} is no setting; did you mean {one.variable}?"


@pytest.mark.parametrize(("name", "text"), WRONG)
def test_a_wrong_value_is_told_with_what_is_expected(monkeypatch, capfd, name, text):
    one = EVERY[name]
    monkeypatch.setenv(one.variable, text)
    (fault,) = told(capfd, "config", "check")
    assert fault.startswith(f"{one.variable} should be {one.expectation}")
    assert "; change it" in fault
    assert f"(docs/CONFIGURATION.md#{name})" in fault


@pytest.mark.parametrize("name", EVERY)
def test_a_value_of_another_kind_in_the_file_is_told(monkeypatch, capfd, tmp_path, name):
    file = tmp_path / "shipway.toml"
    file.write_text(f'{name} = {{ a = "{PLANTED}" }}\n')
    monkeypatch.setenv("SHIPWAY_CONFIG", str(file))
    (fault,) = told(capfd, "config", "check")
    assert fault.startswith(f"{name}.a in {file} is no setting; ")


@pytest.mark.parametrize("name", [name for name, one in EVERY.items() if not one.secret])
def test_only_secrets_are_read_from_files(monkeypatch, capfd, name):
    monkeypatch.setenv(f"{EVERY[name].variable}_FILE", "/dev/null")
    (fault,) = told(capfd, "config", "check")
    assert fault.startswith(f"{EVERY[name].variable}_FILE is no setting: only secrets are read")


def test_all_at_once_end_a_real_start_with_78_within_two_seconds():
    wrong = {EVERY[name].variable: text for name, text in WRONG}
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-P", "-m", "shipway", "engine"],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src"), "SHIPWAY_XYZZY": PLANTED} | wrong,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 78
    assert len(done.stderr.splitlines()) == len(wrong) + 3
    assert PLANTED not in done.stderr + done.stdout
    assert time.monotonic() - began < 20  # two on a quiet machine; "make bench" measures it
