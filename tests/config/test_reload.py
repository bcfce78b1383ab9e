"""SIGHUP takes over what may change, names what needs a restart, and a fault changes nothing."""

from __future__ import annotations

import os

import pytest

from shipway.config import Settings, load_settings
from shipway.config.reload import Live
from shipway.config.setting import declared


@pytest.fixture
def file(tmp_path, monkeypatch):
    path = tmp_path / "shipway.toml"
    path.write_text('log_level = "info"\n')
    monkeypatch.setenv("SHIPWAY_CONFIG", str(path))
    for name in [
        name for name in os.environ if name.startswith("SHIPWAY_") and "CONFIG" not in name
    ]:
        monkeypatch.delenv(name)
    return path


def test_what_may_change_changes_and_the_rest_waits_for_a_restart(file):
    live, told = Live(load_settings()), []
    live.when_changed("log_level", lambda settings: told.append(settings.log_level))
    file.write_text('log_level = "error"\nmax_attempts_at_once = 9\nfence = "degraded"\n')
    found = live.reload()
    assert set(found.changed) == {"log_level", "max_attempts_at_once"}
    assert found.needs_restart == ("fence",)
    assert told == ["error"]
    assert live.settings.max_attempts_at_once == 9
    assert live.settings.fence == "strict"
    assert live.reload().changed == ()


def test_one_fault_and_everything_stays(file):
    live = Live(load_settings())
    file.write_text('log_level = "hunter2"\nmax_attempts_at_once = 9\n')
    found = live.reload()
    assert len(found.faults) == 1
    assert "hunter2" not in found.faults[0]
    assert live.settings.max_attempts_at_once == 4


def test_options_stay_strongest(file):
    live = Live(load_settings(log_level="debug"), {"log_level": "debug"})
    file.write_text('log_level = "error"\n')
    assert live.reload().changed == ()


def test_only_what_somebody_acts_on_is_called_reloadable():
    assert {one.name for one in declared(Settings) if one.facts.reloadable} == {
        "log_level",
        "max_attempts_at_once",
    }
