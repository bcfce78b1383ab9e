"""Style and types are judged by the tools, with the configuration of the project."""

from __future__ import annotations

import subprocess
import sys

import pytest
from house_rules import ROOT


def run(*arguments):
    done = subprocess.run(
        [sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


def test_ruff_finds_nothing():
    code, output = run("ruff", "check", "--output-format=concise")
    assert code == 0, output


def test_everything_is_in_the_layout_of_the_house():
    code, output = run("ruff", "format", "--check")
    assert code == 0, f"make format would change:\n{output}"


@pytest.mark.slow
def test_mypy_strict_finds_nothing():
    code, output = run("mypy")
    assert code == 0, output


def test_ruff_and_mypy_go_red(tmp_path):
    bad = tmp_path / "bad.py"
    bad.write_text('"""Bad on purpose."""\n\nimport os\n\n\ndef f(x):\n    return x\n')
    config = str(ROOT / "pyproject.toml")
    code, output = run("ruff", "check", "--config", config, str(bad))
    assert code == 1
    assert "F401" in output
    code, output = run("mypy", "--strict", "--config-file=", "--cache-dir", str(tmp_path), str(bad))
    assert code == 1
    assert "no-untyped-def" in output
