"""Pipelines, the doctor, the settings and completion, as a person or a program sees them."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BAD = """\
name: bad
version: 1
stages:
  - id: a
    capability: plann
    needs: [b]
  - id: b
    capability: validate
    needs: [a]
"""


def test_the_built_in_pipelines_are_listed(here):
    text = here("pipeline", "list").stdout
    assert text.splitlines()[0].split()[:2] == ["PIPELINE", "VERSION"]
    assert {line.split()[0] for line in text.splitlines()[1:]} == {"change", "service"}
    rows = json.loads(here("pipeline", "list", "--json").stdout)
    assert {row["name"] for row in rows} == {"change", "service"}
    assert all(len(row["digest"]) == 64 for row in rows)


def test_pipelines_of_the_repository_are_listed_also_one_that_cannot_be_used(
    here, tmp_path, monkeypatch
):
    folder = tmp_path / ".shipway" / "pipelines"
    folder.mkdir(parents=True)
    (folder / "bad.yaml").write_text(BAD)
    monkeypatch.chdir(tmp_path)
    done = here("pipeline", "list")
    assert done.returncode == 0
    assert "not usable" in done.stdout
    assert "service" in done.stdout


def test_every_fault_of_a_pipeline_has_its_line_and_remedy(here, tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text(BAD)
    done = here("pipeline", "validate", str(path))
    assert done.returncode == 1
    assert f"{path}:5: there is no capability `plann`\n  did you mean `plan`?" in done.stdout
    assert f"{path}:6: " in done.stdout
    found = json.loads(here("pipeline", "validate", str(path), "--json").stdout)
    assert found["valid"] is False
    assert {"file", "line", "message", "remedy"} <= set(found["faults"][0])
    good = here("pipeline", "validate", "service", "change", "--json")
    assert (good.returncode, json.loads(good.stdout)) == (0, {"valid": True, "faults": []})


def test_a_pipeline_that_is_not_there_is_not_found(here):
    done = here("pipeline", "show", "servise")
    assert done.returncode == 6
    assert "did you mean `service`?" in done.stderr
    assert here("pipeline", "validate", "./no.yaml").returncode == 6


def test_a_pipeline_is_shown_and_drawn_in_every_form(here):
    assert "capability: plan" in here("pipeline", "show", "service").stdout
    shown = json.loads(here("pipeline", "show", "service", "--json").stdout)
    assert shown["stages"][0]["id"] == "plan"
    text = here("pipeline", "graph", "service").stdout
    assert text == here("pipeline", "graph", "service", "--text").stdout
    assert "validate" in text
    assert here("pipeline", "graph", "service", "--mermaid").stdout.startswith("flowchart")
    graph = json.loads(here("pipeline", "graph", "service", "--json").stdout)
    assert {"from": "plan", "to": "scaffold", "on": "success"} in graph["edges"]


def test_the_doctor_tries_the_fence_and_names_what_it_found(here):
    done = here("doctor", "--json")
    found = {one["name"]: one for one in json.loads(done.stdout)}
    assert found["git"]["status"] == "pass"
    assert found["fence"]["summary"]
    failed = any(one["status"] == "fail" for one in found.values())
    assert done.returncode == (1 if failed else 0)
    text = here("doctor").stdout
    assert " fence" in text
    assert text.rstrip().splitlines()[-1].endswith(" fail")


def test_the_doctor_asks_the_redis_that_is_configured(here, redis_url, monkeypatch):
    monkeypatch.setenv("SHIPWAY_REDIS_URL", redis_url)
    rows = {row["name"]: row for row in json.loads(here("doctor", "--json").stdout)}
    assert rows["redis"]["status"] == "pass"
    assert "MiB used, answered in" in rows["redis"]["summary"]
    monkeypatch.setenv("SHIPWAY_REDIS_URL", "redis://:hunter2@127.0.0.1:1/0")
    for status in ("warn", "fail"):
        done = here("doctor", "--json")
        monkeypatch.setenv("SHIPWAY_HEALTH_REQUIRED", "redis:ping")
        row = next(row for row in json.loads(done.stdout) if row["name"] == "redis")
        assert (row["status"], row["summary"]) == (status, "Redis does not answer")
        assert "hunter2" not in done.stdout + done.stderr


def test_the_doctor_says_what_to_do_when_something_is_missing(here, tmp_path, monkeypatch):
    tools = tmp_path / "bin"
    tools.mkdir()
    monkeypatch.setenv("PATH", str(tools))
    done = here("doctor")
    assert done.returncode == 1
    assert "fail git" in done.stdout
    assert "install" in done.stdout


def test_settings_are_shown_with_where_they_come_from(here, home):
    rows = {row["name"]: row for row in json.loads(here("config", "show", "--json").stdout)}
    assert rows["home"]["value"] == str(home)
    assert rows["home"]["source"] == "variable SHIPWAY_HOME"
    assert rows["fence"] == {
        "name": "fence",
        "variable": "SHIPWAY_FENCE",
        "value": "strict",
        "text": "strict",
        "source": "default",
        "secret": False,
        "reloadable": False,
        "description": rows["fence"]["description"],
    }
    assert "variable SHIPWAY_HOME" in here("config", "show", "--sources").stdout
    assert "variable SHIPWAY_HOME" not in here("config", "show").stdout


def test_settings_are_written_as_a_file_that_is_never_overwritten(here, tmp_path):
    target = tmp_path / "production.env"
    assert here("config", "env", "--write", str(target)).returncode == 0
    assert target.read_text() == here("config", "env").stdout
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    again = here("config", "env", "--write", str(target))
    assert (again.returncode, "there is a file already" in again.stderr) == (6, True)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_printed(here, shell):
    text = here("completion", shell).stdout
    assert "_SHIPWAY_COMPLETE" in text
    if path := shutil.which(shell):
        subprocess.run([path, "-n", "-c", text], check=True, timeout=10)


def offered(words: str, position: int) -> list[str]:
    """What bash would offer at that word."""
    env = os.environ | {
        "PYTHONPATH": str(ROOT / "src"),
        "_SHIPWAY_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(position),
    }
    done = subprocess.run(
        [sys.executable, "-m", "shipway"],
        env=env,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stderr == ""
    return [value for line in done.stdout.splitlines() if (value := line.partition(",")[2])]


def test_tab_offers_commands_options_and_choices(home):
    assert offered("shipway re", 1) == ["release"]
    assert offered("shipway run w", 2) == ["watch"]
    assert "--spec" in offered("shipway run --", 2)
    assert offered("shipway run --claim fe", 3) == ["feature"]
    assert offered("shipway run view @", 3) in ([], ["@last"])
