"""An agent that fails for good hands over to the next of its slot; after the last a person is asked."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from people import Person, until

MADE = """
name: made
version: 1
takes: change
stages:
  - id: plan
    capability: plan
    agent: repository
    inputs:
      requirement: run.requirement
      kind: run.kind
      base: run.base
      target: run.target
  - id: implement
    capability: implement
    needs: [plan]
    inputs:
      plan: plan.plan
      requirement: run.requirement
      base: run.base
      change: run.change
"""


def agent(code: str) -> tuple[str, str]:
    return "--agent", f"implement=command:sh -c {shlex.quote(code)}"


BROKEN = agent("echo no idea how >&2; exit 3")
WORSE = agent("exit 4")
GOOD = agent("echo done >NOTES")


@pytest.fixture
def change(calc: Path, tmp_path: Path):
    """What to type for a run that only makes a change."""
    pipeline = tmp_path / "made.yaml"
    pipeline.write_text(MADE)
    return ["run", "--repo", str(calc), "-r", "write notes", "--pipeline", str(pipeline)]


def test_the_first_agent_fails_for_good_and_the_second_finishes(person: Person, change) -> None:
    done = person.run(*change, *BROKEN, *GOOD)
    assert done.returncode == 0, done.stdout + done.stderr
    view = person.view()
    folder = person.home / "runs" / view["summary"]["id"]
    evidence = json.loads((folder / "evidence.json").read_text())
    stage = next(one for one in evidence["stages"] if one["id"] == "implement")
    first, second = stage["attempts"]
    assert ("no idea how" in first["agent"], first["status"]) == (True, "failed")
    assert first["error"]["message"] == "the command ended with exit code 3"
    assert "no idea how" in first["error"]["log_tail"]
    assert first["error"]["step"] == "run the command"
    assert "git checkout" in first["error"]["reproduce"]
    assert ("NOTES" in second["agent"], second["status"]) == (True, "passed")
    assert stage["agent"] == second["agent"]
    report = (folder / "report.html").read_text()
    assert "no idea how" in report
    assert "echo done &gt;NOTES" in report
    shown = person.run("run", "view", "@last").stdout
    assert "attempt 1 by command:" in shown
    assert "attempt 2 by command:" in shown


def test_when_every_agent_failed_a_person_is_asked(person: Person, change) -> None:
    done = person.run(*change, *BROKEN, *WORSE)
    assert done.returncode == 3, done.stdout + done.stderr
    assert "All 2 agents of implement failed" in done.stdout
    assert "exit code 3" in done.stdout
    assert "exit code 4" in done.stdout
    (ask,) = person.view()["asks"]
    given_up = person.run(*shlex.split(ask["next_command"])[1:-1], "give-up")
    assert given_up.returncode == 0, given_up.stdout + given_up.stderr
    stop = until(
        lambda: person.view()["summary"]["status"] == "failed" and person.view()["stop"], "the end"
    )
    assert stop["code"] == "NO_AGENT_LEFT"
    assert "gave it up" in stop["message"]
