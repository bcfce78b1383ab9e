"""The doctor's checks find what is wrong, say what to do, and never break themselves."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from shipway.config import Settings
from shipway.health import ground
from shipway.health.check import Status
from shipway.health.ground import Check, doctor_checks, examine, filesystem_of


def found(results, name):
    return next(one for one in results if one.name == name)


def test_this_machine_is_healthy_and_nothing_is_left_behind(settings):
    before = set(settings.home.iterdir())
    results = doctor_checks(settings)
    failed = [one for one in results if one.status is Status.FAIL]
    assert not failed
    assert {one.name for one in results} >= {"python", "git", "environments", "clock", "disk space"}
    assert all(one.remedy is None for one in results if one.status is Status.PASS)
    assert set(settings.home.iterdir()) == before


def test_what_is_missing_fails_with_a_remedy(settings, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    results = doctor_checks(settings.model_copy(update={"python": Path("/nowhere/python")}))
    for name in ("python", "environments", "git"):
        one = found(results, name)
        assert one.status is Status.FAIL
        assert "not installed" in one.summary
        assert "apt install" in one.remedy


def test_old_tools_fail(settings, tmp_path, monkeypatch):
    for name, answer in (("git", "git version 2.20.1"), ("python", "3.9.2")):
        (tmp_path / name).write_text(f"#!/bin/sh\necho {answer}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    results = doctor_checks(settings.model_copy(update={"python": tmp_path / "python"}))
    assert found(results, "git").status is Status.FAIL
    assert found(results, "python").status is Status.FAIL


def test_a_python_without_venv_is_told_by_its_own_words(settings, tmp_path):
    bare = tmp_path / "python"
    bare.write_text("#!/bin/sh\necho \"No module named 'ensurepip'\" >&2\nexit 1\n")
    bare.chmod(0o755)
    one = found(doctor_checks(settings.model_copy(update={"python": bare})), "environments")
    assert one.status is Status.FAIL
    assert "ensurepip" in one.summary
    assert "python3-venv" in one.remedy


def test_a_home_that_is_no_directory_or_on_a_network_is_told(settings, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    bad = Settings(home=tmp_path / "file" / "below", cache=settings.cache)
    assert found(doctor_checks(bad), "state directory").status is Status.FAIL
    monkeypatch.setattr(ground, "filesystem_of", lambda path: "cifs")
    one = found(doctor_checks(settings), "state directory")
    assert one.status is Status.FAIL
    assert "network file system (cifs)" in one.summary


def test_a_home_that_others_can_write_is_a_warning(settings):
    settings.home.chmod(0o777)
    assert found(doctor_checks(settings), "state directory").status is Status.WARN


def test_a_full_disk_fails(settings, monkeypatch):
    real = shutil.disk_usage("/")
    monkeypatch.setattr(ground.shutil, "disk_usage", lambda path: real._replace(free=1024))
    assert found(doctor_checks(settings), "disk space").status is Status.FAIL
    monkeypatch.setattr(ground.shutil, "disk_usage", lambda path: real._replace(free=2**30))
    assert found(doctor_checks(settings), "disk space").status is Status.WARN


def test_a_clock_from_the_past_fails(settings, monkeypatch):
    monkeypatch.setattr(ground.time, "gmtime", lambda: __import__("time").struct_time((1970,) * 9))
    assert found(doctor_checks(settings), "clock").status is Status.FAIL


def test_checks_of_other_rooms_come_last_and_may_break(settings):
    def broken():
        raise RuntimeError("no user namespaces")

    check = Check("fence", broken, "allow user namespaces")
    one = doctor_checks(settings, [check])[-1]
    assert (one.status, one.summary) == (Status.FAIL, "no user namespaces")
    assert one.remedy == "allow user namespaces"
    assert examine(replace(check, probe=lambda: (Status.PASS, "strict"))).remedy is None


def test_file_systems_are_told_apart():
    assert filesystem_of(Path("/proc/self/nowhere")) == "proc"
    assert filesystem_of(Path("/nowhere/at/all")) == filesystem_of(Path("/"))


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs"])
def test_network_file_systems_are_known(kind):
    assert kind in ground.NETWORK
