"""docs/GATES.md says what there is: every gate with its rule, and a test for every trick."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from shipway.check import catalogue, policyfile
from shipway.contracts.registry import CONTRACTS
from shipway.domain.gates import Enforcement
from shipway.gates.gate import Rule

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs" / "GATES.md"
BEGIN, END = "<!-- gates: begin -->", "<!-- gates: end -->"


def table() -> str:
    """The table of gates as the page must hold it."""
    rows = ["| gate | by default | passes when |", "|--|--|--|"]
    for gate in catalogue.BUILT_IN:
        how = "required" if gate.enforcement is Enforcement.REQUIRED else "advisory"
        rows.append(f"| `{gate.id}` | {how} | {gate.about} |")
    return "\n".join(rows)


def test_the_page_has_every_gate_in_its_own_words() -> None:
    text = PAGE.read_text("utf-8")
    between = text.split(BEGIN)[1].split(END)[0].strip()
    assert between == table(), f"docs/GATES.md is stale; between the marks belongs:\n{table()}"


def test_a_pipeline_may_ask_for_every_gate_of_the_catalogue() -> None:
    assert set(CONTRACTS["validate"].gates) == set(catalogue.NAMES)


def test_every_rule_stands_where_the_catalogue_says() -> None:
    for gate in catalogue.BUILT_IN:
        assert isinstance(gate.rule(), Rule), gate.id


def test_the_command_itself_loads_no_gate_no_logger_and_no_database() -> None:
    """What a second check with nothing changed costs is nearly all imports."""
    heavy = ("shipway.gates.comparison", "shipway.check.setting", "structlog", "sqlalchemy", "yaml")
    code = "import sys, shipway.cli.checking; print(*sys.modules)"
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not [name for name in heavy if name in said]


def test_every_trick_names_a_test_that_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE.read_text("utf-8"))
    assert len(named) >= 20
    for path, name in named:
        assert f"def {name}(" in (ROOT / path).read_text("utf-8"), f"{path}::{name}"


def test_the_policy_that_is_shown_can_be_used() -> None:
    text = PAGE.read_text("utf-8")
    shown = next(block for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
                 if block.startswith("version: 1"))  # fmt: skip
    used = shown.replace("5d0c...", "5d0c" * 16)
    assert not policyfile.faults_of(used.encode(), catalogue.NAMES)


@pytest.mark.parametrize(
    "block", re.findall(r"```yaml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
)
def test_every_yaml_block_is_yaml(block: str) -> None:
    assert yaml.safe_load(block)
