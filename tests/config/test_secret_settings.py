"""Secrets: read from files, refused when they cannot be, and shown nowhere."""

from __future__ import annotations

import json
import os

import pytest

from shipway.cli import boundary
from shipway.config import Settings, load, load_settings
from shipway.config.setting import declared
from shipway.errors import ConfigurationError

SECRETS = {one.name: one for one in declared(Settings) if one.secret}
WORD = "hunter2-correct-horse"
WORKS = {
    "database_url": f"postgresql://shipway:{WORD}@127.0.0.1:5432/shipway",
    "redis_url": f"redis://shipway:{WORD}@127.0.0.1:6379/0",
}
"""For each secret something that is accepted; a new one has to be added here."""


@pytest.fixture(autouse=True)
def _clean(monkeypatch, tmp_path):
    for name in [name for name in os.environ if name.upper().startswith("SHIPWAY_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SHIPWAY_CONFIG", os.devnull)
    monkeypatch.setenv("SHIPWAY_HOME", str(tmp_path / "home"))


def works(name):
    return WORKS.get(name, WORD)


@pytest.fixture
def pointed(monkeypatch, tmp_path):
    """A file with these bytes that the variable of a secret points to."""

    def point(name, content):
        file = tmp_path / "secret"
        if content is not None:
            file.write_bytes(content)
        monkeypatch.setenv(f"{SECRETS[name].variable}_FILE", str(file))
        return file

    return point


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_read_from_a_file_and_its_source_is_told(pointed, name):
    pointed(name, works(name).encode() + b"\n")
    loaded = load()
    assert getattr(loaded.settings, name).reveal() == works(name)
    assert loaded.sources[name] == f"file named by {SECRETS[name].variable}_FILE"


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot be read (no such file or directory)"),
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"\xff\xfe" + WORD.encode(), "is no text"),
        (WORD.encode() * 4000, "is far too long"),
    ],
)
def test_a_file_that_holds_no_secret_is_one_fault(pointed, name, content, told):
    pointed(name, content)
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    (fault,) = caught.value.details["faults"]
    assert fault.startswith(f"{SECRETS[name].variable}_FILE names a file that {told}; point it to")
    assert "hunter2" not in str(caught.value.report())


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_given_twice_is_refused(pointed, monkeypatch, name):
    pointed(name, works(name).encode())
    monkeypatch.setenv(SECRETS[name].variable, works(name))
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    (fault,) = caught.value.details["faults"]
    assert "is given twice" in fault


@pytest.mark.parametrize("name", SECRETS)
def test_no_way_of_showing_the_settings_shows_a_secret(monkeypatch, capfd, name):
    monkeypatch.setenv(SECRETS[name].variable, works(name))
    for words in (("show",), ("show", "--sources"), ("show", "--json"), ("check",), ("env",)):
        assert boundary.obey(["config", *words]) == 0
        out, err = capfd.readouterr()
        assert "hunter2" not in out + err
    found = load_settings()
    assert "hunter2" not in repr(found) + str(found) + found.model_dump_json() + str(
        found.model_dump()
    )
    assert boundary.obey(["config", "show", "--json"]) == 0
    row = next(one for one in json.loads(capfd.readouterr().out) if one["name"] == name)
    assert (row["value"], row["secret"]) == ("[masked]", True)


@pytest.mark.parametrize("name", SECRETS)
def test_a_wrong_secret_is_told_without_it(monkeypatch, tmp_path, name):
    file = tmp_path / "shipway.toml"
    file.write_text(f"{name} = ['{WORD}']\nhttp_port = 'hunter2'\n")
    monkeypatch.setenv("SHIPWAY_CONFIG", str(file))
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    assert len(caught.value.details["faults"]) == 2
    assert "hunter2" not in str(caught.value.report())
