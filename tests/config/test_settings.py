"""Settings: every fault at once, no value shown, private directories, no network file systems."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from shipway.config import Settings, directories, load, load_settings, prepare
from shipway.errors import ConfigurationError, ExitCode


@pytest.fixture(autouse=True)
def _clean(monkeypatch):
    for name in [name for name in os.environ if name.upper().startswith("SHIPWAY_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SHIPWAY_CONFIG", os.devnull)


def refused():
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    return caught.value


def test_every_fault_is_named_at_once_and_no_value_is_shown(monkeypatch):
    monkeypatch.setenv("SHIPWAY_FENCE", "hunter2")
    monkeypatch.setenv("SHIPWAY_MAX_ATTEMPTS_AT_ONCE", "hunter3")
    monkeypatch.setenv("SHIPWAY_LOG_LEVLE", "hunter4")
    monkeypatch.setenv("SHIPWAY_FROBNICATE", "hunter5")
    monkeypatch.setenv("shipway_python", "hunter6")
    error = refused()
    assert error.exit_code == ExitCode.CONFIGURATION == 78
    assert len(error.details["faults"]) == 5
    assert "SHIPWAY_LOG_LEVLE is no setting; did you mean SHIPWAY_LOG_LEVEL?" in error.message
    assert "shipway_python is no setting; did you mean SHIPWAY_PYTHON?" in error.message
    assert 'SHIPWAY_FROBNICATE is no setting; remove it; "shipway config show"' in error.message
    assert "SHIPWAY_FENCE should be strict or degraded; change it, or remove it" in error.message
    assert "SHIPWAY_MAX_ATTEMPTS_AT_ONCE should be a whole number from 1 to 64" in error.message
    assert "hunter" not in str(error.report()) + repr(error)


def test_each_source_is_stronger_than_the_one_before(monkeypatch, tmp_path):
    file = tmp_path / "shipway.toml"
    assert load().sources["log_level"] == "default"
    monkeypatch.setenv("SHIPWAY_ENVIRONMENT", "test")
    assert load().settings.log_level == "warning"
    assert load().sources["log_level"] == "default for test"
    file.write_text('log_level = "error"\nmax_attempts_at_once = 9\n[command]\nnetwork = true\n')
    monkeypatch.setenv("SHIPWAY_CONFIG", str(file))
    loaded = load()
    assert (loaded.settings.log_level, loaded.settings.max_attempts_at_once) == ("error", 9)
    assert loaded.settings.command_network
    assert loaded.sources["log_level"] == f"file {file}"
    monkeypatch.setenv("SHIPWAY_LOG_LEVEL", "info")
    assert load().settings.log_level == "info"
    assert load().sources["log_level"] == "variable SHIPWAY_LOG_LEVEL"
    loaded = load({"log_level": "debug", "home": None})
    assert loaded.settings.log_level == "debug"
    assert loaded.sources["log_level"] == "option"


def test_the_file_of_the_user_counts_when_none_is_named(monkeypatch, tmp_path):
    (tmp_path / "shipway").mkdir()
    (tmp_path / "shipway" / "config.toml").write_text("max_attempts_at_once = 3\n")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert load_settings().max_attempts_at_once == 4
    monkeypatch.delenv("SHIPWAY_CONFIG")
    assert load_settings().max_attempts_at_once == 3


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("max_attempts_at_once = true", "max_attempts_at_once in FILE should be a whole number"),
        ("[fence]\nmode = 'hunter2'", "fence.mode in FILE is no setting"),
        ("log_levle = 'hunter2'", "log_levle in FILE is no setting; did you mean log_level?"),
        ("log_level = ['hunter2']", "log_level in FILE should be debug, info, warning or error"),
        ("log_level = 'info'\n[log]\nlevel = 'hunter2'", "log.level in FILE is given twice"),
        ("x = hunter2", "the settings file FILE is no TOML at line 1"),
        ("\x00", "the settings file FILE is no TOML"),
    ],
)
def test_a_fault_in_the_file_names_key_and_file(monkeypatch, tmp_path, text, told):
    file = tmp_path / "shipway.toml"
    file.write_text(text)
    monkeypatch.setenv("SHIPWAY_CONFIG", str(file))
    error = refused()
    assert told.replace("FILE", str(file)) in error.message
    assert "hunter" not in error.message
    assert len(error.details["faults"]) == 1


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_file_that_cannot_be_read_is_a_fault(monkeypatch, tmp_path, content):
    file = tmp_path / "shipway.toml"
    if content:
        file.write_bytes(content)
    monkeypatch.setenv("SHIPWAY_CONFIG", str(file))
    assert f"the settings file {file}" in refused().message


def test_variables_defaults_and_relative_places(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SHIPWAY_HOME", "state")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "c"))
    monkeypatch.setenv("SHIPWAY_RELEASE", "told to a service, no setting")
    found = load_settings()
    assert found.home == tmp_path / "state"
    assert found.cache == tmp_path / "c" / "shipway"
    assert found.fence == "strict"


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        ({"FENCE": "degraded"}, "SHIPWAY_FENCE should be strict: "),
        ({"LOG_LEVEL": "debug"}, "SHIPWAY_LOG_LEVEL should not be debug: "),
        ({"REDIS_URL": "redis://127.0.0.1/0"}, "SHIPWAY_DATABASE_URL is missing: "),
        (
            {"DATABASE_URL": "postgresql://shipway:Change%6De@db/shipway"},
            "SHIPWAY_DATABASE_URL should not have a password that everybody knows",
        ),
        (
            {"REDIS_URL": "redis://cache.example.com/0", "DATABASE_URL": "postgresql://s@db/s"},
            "SHIPWAY_REDIS_URL should have a password of its own",
        ),
        (
            {"REDIS_URL": "redis://:redis@127.0.0.1/0", "DATABASE_URL": "postgresql://s@db/s"},
            "SHIPWAY_REDIS_URL should have a password of its own",
        ),
        ({"MODEL_KEY": "changeme"}, "SHIPWAY_MODEL_KEY should not be a placeholder"),
        (
            {"MODEL_URL": "http://models.example.com/v1"},
            "SHIPWAY_MODEL_URL should begin with https",
        ),
    ],
)
def test_production_refuses_what_is_unsafe(monkeypatch, chosen, told):
    for name, value in chosen.items():
        monkeypatch.setenv(f"SHIPWAY_{name}", value)
    load_settings()
    monkeypatch.setenv("SHIPWAY_ENVIRONMENT", "production")
    (fault,) = refused().details["faults"]
    assert told in fault
    assert not any(value in fault for value in chosen.values() if value != "debug")


def test_production_takes_what_is_safe(monkeypatch):
    monkeypatch.setenv("SHIPWAY_ENVIRONMENT", "production")
    monkeypatch.setenv("SHIPWAY_DATABASE_URL", "postgresql://shipway:p7Fq-2zXw@db/shipway")
    monkeypatch.setenv("SHIPWAY_REDIS_URL", "rediss://:k3Vn_9Rb@cache.example.com/0")
    monkeypatch.setenv("SHIPWAY_MODEL_URL", "http://127.0.0.1:8000/v1")
    monkeypatch.setenv("SHIPWAY_MODEL_KEY", "a-key-of-its-own")
    assert load_settings().environment == "production"


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
    monkeypatch.setattr(directories, "filesystem_of", lambda path: "nfs4")
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
