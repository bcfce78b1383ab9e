"""``shipway db`` as an operator uses it: look, back up, restore elsewhere, tidy."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shipway.errors import ExitCode


def test_from_nothing_to_a_backup_that_is_restored_elsewhere(
    here, home: Path, tmp_path, monkeypatch
):
    (home / "shipway.db").unlink()  # nobody has used it yet
    assert here("db", "check").returncode == ExitCode.FAILED
    ran = json.loads(here("db", "migrate", "--json").stdout)
    assert ran["ran"][0] == "0001"
    assert here("db", "migrate").stdout.startswith("up to date: SQLite, ")
    sound = here("db", "check")
    assert (sound.returncode, sound.stdout.splitlines()[-1]) == (0, "sound")
    made = json.loads(here("db", "backup", "--json").stdout)
    assert (made["database_only"], made["absent"], made["artifacts"]) == (False, [], 0)
    assert Path(made["file"]).parent == home / "backups"
    refused = here("db", "backup", made["file"])
    assert refused.returncode == ExitCode.NOT_FOUND
    assert "name another one" in refused.stderr
    monkeypatch.setenv("SHIPWAY_HOME", str(tmp_path / "elsewhere"))
    restored = here("db", "restore", made["file"])
    assert (restored.returncode, restored.stdout.splitlines()[0]) == (
        0,
        "restored and checked: 0 runs, 0 artifacts, 0 other files",
    )
    alone = here("db", "backup", str(tmp_path / "rows.gz"), "--database-only", "--portable")
    assert alone.returncode == 0
    assert "the database alone: artifacts, repositories, logs and releases are not in it" in (
        alone.stderr
    )
    assert here("db", "check").returncode == 0
    assert here("db", "prune", "--dry-run").stdout.startswith("would go: 0 runs")


def test_on_postgresql_nothing_says_the_password(here, home: Path, postgres_url, monkeypatch):
    monkeypatch.setenv("SHIPWAY_DATABASE_URL", postgres_url)
    password = postgres_url.split(":")[2].split("@")[0]
    said = [here("db", "migrate"), here("db", "check", "--json"), here("db", "backup")]
    said += [here("doctor", "--json"), here("config", "show")]
    assert [one.returncode for one in said[:3]] == [0, 0, 0]
    assert json.loads(said[1].stdout)["sound"] is True
    (found,) = (one for one in json.loads(said[3].stdout) if one["name"] == "database")
    assert found["status"] == "pass"
    assert "PostgreSQL" in found["summary"]
    assert not [one for one in said if password in one.stdout + one.stderr]


@pytest.mark.parametrize(
    ("url", "code", "says"),
    [
        ("postgresql://ada:hunter2hunter2@127.0.0.1:1/x", ExitCode.UNREACHABLE, "does not answer"),
        (
            "mysql://ada:hunter2hunter2@127.0.0.1/x",
            ExitCode.CONFIGURATION,
            "DATABASE_URL should be",
        ),
    ],
)
def test_a_database_that_cannot_be_used_is_told_with_what_to_do(
    here, home: Path, monkeypatch, url, code, says
):
    monkeypatch.setenv("SHIPWAY_DATABASE_URL", url)
    monkeypatch.setenv("SHIPWAY_DATABASE_WAIT_S", "0.3")
    said = here("db", "check")
    assert said.returncode == code
    assert says in said.stderr
    assert "hint: " in said.stderr
    assert "hunter2" not in said.stdout + said.stderr
