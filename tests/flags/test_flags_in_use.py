"""Shipway uses its own flags: gates can be switched off and parallelism turned down while it runs."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from shipway.agents.registry import Registry
from shipway.check.check import Asked, check
from shipway.check.equipment import Equipment
from shipway.check.subject import Wanted
from shipway.cli import boundary
from shipway.config import load_settings
from shipway.engine.engine import Engine
from shipway.engine.places import Places
from shipway.flags.editing import Edit
from shipway.flags.flag import Serve
from shipway.flags.flags import Flags
from shipway.flags.opening import flags_now, open_flags
from shipway.store.artifacts import ArtifactStore
from shipway.store.opening import database
from shipway.workspace.environments import Environments
from shipway.workspace.fence import Fence

OFF = Edit(enabled=False)


def test_a_gate_that_is_switched_off_is_told_as_not_selected(settings, tmp_path, git_repository):
    repository = git_repository({"a.py": "x = 1\n"}, [{"a.py": "x = 2\n"}])
    assert flags_now(settings, Places(settings.home).database).on("gates.mutants"), (
        "without a database what is declared holds"
    )
    fence, place = Fence("strict"), tmp_path / "checks"
    with open_flags(settings, Places(settings.home).database) as board:
        board.change("gates.mutants", OFF, "ada", "slow")
    equipment = Equipment(
        fence,
        Environments(Path(os.environ["SHIPWAY_CACHE"]), fence, Path(sys.executable)),
        ArtifactStore(place / "logs"),
        place,
        Path(sys.executable),
        flags=flags_now(settings, Places(settings.home).database),
    )
    report = check(Asked(repository, Wanted(base="HEAD~1"), run=False), equipment)
    told = {one.gate: one for one in report.selections}
    assert not told["mutants"].selected
    assert told["mutants"].reason == "switched off by the flag gates.mutants"
    assert told["lint"].selected


def test_parallelism_is_turned_down_while_the_engine_runs(settings, artifacts):
    settings = settings.model_copy(update={"max_attempts_at_once": 8})
    engine = Engine(settings, database(settings.home / "x.db"), Registry([]), artifacts)
    assert engine._at_once() == 8
    with open_flags(settings, Places(settings.home).database) as board:
        engine.flags = Flags(board.keeping)
        board.change("engine.parallelism", Edit(serve=Serve(variant="half")), "ada", "busy")
        engine.flags.look()
        assert engine._at_once() == 4
        kept = board.get("engine.parallelism")
        board.change(kept.key, Edit(enabled=False), "ada", "not any longer")
        engine.flags.look()
        assert engine._at_once() == 8


@pytest.fixture
def command(home, capfd):
    """The command line in this process: a process for each would be most of the time."""

    def run(*words: str):
        code = boundary.obey(words)
        out, err = capfd.readouterr()
        return SimpleNamespace(returncode=code, stdout=out, stderr=err)

    return run


def test_the_commands_change_list_and_tell(command, home):
    shipway = command
    made = shipway(
        *("flag", "set", "new.editor", "--create", "--about", "the editor", "--owner", "web"),
        *("--expires", "2020-01-31", "--json"),
    )
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout)["version"] == 1
    rule = shipway("flag", "set", "new.editor", "--when", "role=admin,owner", "--variant", "on")
    assert "role in admin, owner: on" in rule.stdout
    rolled = shipway("flag", "rollout", "new.editor", "12.5", "--why", "carefully", "--json")
    assert json.loads(rolled.stdout)["serve"] == {"variant": "on", "percent": 12.5, "split": None}
    got = json.loads(shipway("flag", "get", "new.editor", "--role", "admin", "--json").stdout)
    assert got["evaluation"] == {"value": True, "variant": "on", "reason": "TARGETING_MATCH"}
    listed = shipway("flag", "list")
    assert "on for 12.5 % (by user), else off" in listed.stdout
    assert "expired, to be decided for good and removed: new.editor" in listed.stderr
    history = json.loads(shipway("flag", "history", "new.editor", "--json").stdout)
    assert [one["flag"]["version"] for one in history] == [3, 2, 1]
    assert history[0]["why"] == "carefully"
    wrong = shipway("flag", "set", "new.editor", "--variant", "maybe")
    assert (wrong.returncode, "there is no variant maybe" in wrong.stderr) == (2, True)
    assert shipway("flag", "get", "nothing").returncode == 6
    assert (home / "shipway.db").exists()


def test_a_file_of_flags_is_used_where_the_settings_name_one(shipway, tmp_path):
    file = tmp_path / "flags.json"
    env = {"SHIPWAY_FLAGS_PATH": str(file)}
    done = shipway("flag", "set", "gates.proof", "--kill", env=env)
    assert done.returncode == 0, done.stderr
    assert not json.loads(file.read_text())["flags"]["gates.proof"]["enabled"]
    assert "killed" in shipway("flag", "list", env=env).stdout
    found = load_settings(flags_path=file)
    assert not flags_now(found, Places(found.home).database).on("gates.proof")
