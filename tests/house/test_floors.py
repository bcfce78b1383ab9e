"""Imports only go downstairs: the floor plan of pyproject.toml is kept, and a climber is caught."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib

import pytest
from house_rules import ROOT

CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
ROOMS = [re.findall(r"\w+", layer) for layer in CONTRACTS["contracts"][0]["layers"]]
LINT = "from importlinter.cli import lint_imports_command as lint; lint()"


def lint(folder, source):
    done = subprocess.run(
        [sys.executable, "-P", "-c", LINT, "--config", str(ROOT / "pyproject.toml"), "--no-cache"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(source), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def house(tmp_path):
    """An empty house with all rooms, outside of the project."""
    package = tmp_path / "shipway"
    package.mkdir()
    (package / "__init__.py").touch()
    for room in (room for floor in ROOMS for room in floor):
        (package / f"{room}.py").touch()
    return package


def test_floors_are_kept():
    code, output = lint(ROOT, ROOT / "src")
    assert code == 0, output


def test_an_empty_house_is_in_order(house):
    code, output = lint(house.parent, house.parent)
    assert code == 0, output


@pytest.mark.parametrize(
    ("room", "imported"),
    [("errors", "cli"), ("domain", "contracts"), ("gates", "release"), ("store", "engine")],
)
def test_an_import_upstairs_or_next_door_is_caught(house, room, imported):
    (house / f"{room}.py").write_text(f"import shipway.{imported}\n")
    code, output = lint(house.parent, house.parent)
    assert code == 1
    assert f"shipway.{room}" in output


def test_a_new_room_is_a_decision(house):
    (house / "attic.py").touch()
    code, output = lint(house.parent, house.parent)
    assert code == 1
    assert "attic" in output
