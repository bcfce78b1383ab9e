"""Settings: every fault at once, no value shown, private directories, no network file systems."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from shipway import config
from shipway.config import Settings, load_settings, prepare
from shipway.errors import ConfigurationError, ExitCode


@pytest.fixture(autouse=True)
def _clean(monkeypatch):
    for name in [name for name in os.environ if name.upper().startswith("SHIPWAY_")]:
        monkeypatch.delenv(name)


def test_every_fault_is_named_at_once_and_no_value_is_shown(monkeypatch):
    monkeypatch.setenv("SHIPWAY_FENCE", "hunter2")
    monkeypatch.setenv("SHIPWAY_MAX_ATTEMPTS_AT_ONCE", "hunter3")
    monkeypatch.setenv("SHIPWAY_LOG_LEVLE", "hunter4")
    monkeypatch.setenv("SHIPWAY_FROBNICATE", "hunter5")
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    error = caught.value
    assert error.exit_code == ExitCode.CONFIGURATION == 78
    assert len(error.details["faults"]) == 4
    assert "SHIPWAY_LOG_LEVLE is no setting; did you mean SHIPWAY_LOG_LEVEL?" in error.message
    assert "SHIPWAY_FROBNICATE is no setting; there are HOME, CACHE" in error.message
    assert "SHIPWAY_FENCE should be 'strict' or 'degraded'" in error.message
    assert "SHIPWAY_MAX_ATTEMPTS_AT_ONCE should be a valid integer" in error.message
    assert "hunter" not in str(error.to_dict()) + repr(error)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("SHIPWAY_MAX_ATTEMPTS_AT_ONCE", "0", "greater than or equal to 1"),
        ("SHIPWAY_MAX_ATTEMPTS_AT_ONCE", "65", "less than or equal to 64"),
        ("SHIPWAY_HOME", "/", "a directory of its own"),
        ("SHIPWAY_LOG_LEVEL", "loud", "'debug', 'info', 'warning' or 'error'"),
    ],
)
def test_each_setting_says_what_it_takes(monkeypatch, name, value, told):
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=name) as caught:
        load_settings()
    assert told in caught.value.message


def test_variables_defaults_and_relative_places(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SHIPWAY_HOME", "state")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "c"))
    monkeypatch.setenv("SHIPWAY_RELEASE", "told to a service, no setting")
    found = load_settings()
    assert found.home == tmp_path / "state"
    assert found.cache == tmp_path / "c" / "shipway"
    assert found.fence == "strict"
    assert all(field.description for field in Settings.model_fields.values())


def test_directories_are_made_private_with_everything_above_them(tmp_path):
    home, cache = tmp_path / "a" / "b" / "home", tmp_path / "cache"
    previous = os.umask(0o000)
    try:
        prepare(Settings(home=home, cache=cache))
    finally:
        os.umask(previous)
    for place in (home, home.parent, home.parent.parent, cache):
        assert stat.S_IMODE(place.stat().st_mode) == 0o700
    prepare(Settings(home=home, cache=cache))


def test_a_file_in_the_way_is_told_with_what_to_do(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="SHIPWAY_HOME cannot be used") as caught:
        prepare(Settings(home=tmp_path / "file", cache=tmp_path / "cache"))
    assert "SHIPWAY_HOME" in caught.value.hint
    with pytest.raises(ConfigurationError, match="SHIPWAY_CACHE"):
        prepare(Settings(home=tmp_path / "home", cache=tmp_path / "file" / "below"))


def test_a_home_on_a_network_file_system_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(config, "filesystem_of", lambda path: "nfs4")
    with pytest.raises(ConfigurationError, match="network file system"):
        prepare(Settings(home=tmp_path / "home", cache=tmp_path / "cache"))
    assert not (tmp_path / "home").exists()


def test_a_home_that_may_not_be_written_is_refused(tmp_path):
    if os.geteuid() == 0:
        locked = Path("/proc/self")  # not even root can make a directory here
        with pytest.raises(ConfigurationError, match="SHIPWAY_HOME cannot be used"):
            prepare(Settings(home=locked / "home", cache=tmp_path))
        return
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    with pytest.raises(ConfigurationError, match="SHIPWAY_HOME cannot be used"):
        prepare(Settings(home=locked, cache=tmp_path))
