"""Whoever installs Shipway gets all of it, pinned by hash, from wherever they install from."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from house_rules import ROOT, project_files

import shipway

RUNTIME, DEV = "requirements/runtime.txt", "requirements/dev.txt"
LOCKS = [
    name
    for name in project_files()
    if name.endswith(".txt") and (ROOT / name).with_suffix(".in").is_file()
]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def pins(text):
    """Each pinned requirement of a lock with what follows it, continued lines joined."""
    lines = re.sub(r"\s*\\\n\s*", " ", text).splitlines()
    return [line for line in lines if line and not line.lstrip().startswith("#")]


def loose(text):
    """What a lock leaves open: no exact version, no hash, or an address."""
    return [
        pin
        for pin in pins(text)
        if not re.match(
            r"[\w.-]+(\[[\w, -]+\])?==[\w.!+-]+(\s*;[^\\]*?)?\s+--hash=sha256:[0-9a-f]{64}", pin
        )
        or "://" in pin
    ]


def test_every_list_of_requirements_has_its_lock():
    ours = [name for name in project_files() if "/templates/service/project/" not in name]
    lists = {name for name in ours if Path(name).suffix == ".in"}
    assert lists == {str(Path(name).with_suffix(".in")) for name in LOCKS}
    assert {RUNTIME, DEV, "src/shipway/gates/tools.txt"} < set(LOCKS)


@pytest.mark.parametrize("lock", LOCKS)
def test_locks_pin_every_version_by_hash_and_name_no_address(lock):
    text = (ROOT / lock).read_text()
    assert pins(text)
    assert not loose(text)
    assert "://" not in text
    assert "make lock" in text.splitlines()[1]


@pytest.mark.parametrize(
    "line",
    [
        "click>=8 --hash=sha256:" + "0" * 64,
        "click==8.5.1",
        "click==8.5.1 --hash=md5:" + "0" * 32,
        "click @ https://example.com/click.whl --hash=sha256:" + "0" * 64,
        "-i https://example.com/simple",
    ],
)
def test_a_loose_lock_is_caught(line):
    assert loose(line)


def test_locks_agree_with_what_they_are_made_from():
    declared = {"runtime": PROJECT["dependencies"], **PROJECT["optional-dependencies"]}
    for name, wanted in declared.items():
        listed = (ROOT / "requirements" / f"{name}.in").read_text().split()
        assert sorted(listed) == sorted(wanted), name
    for lock in LOCKS:
        names = {re.split(r"[\[=]", pin)[0].lower() for pin in pins((ROOT / lock).read_text())}
        for line in (ROOT / lock).with_suffix(".in").read_text().splitlines():
            if line.startswith("-"):
                continue
            assert re.split(r"[\[<>=]", line)[0].lower() in names, f"{line}: run make lock"


def test_runtime_and_development_locks_do_not_contradict_each_other():
    def versions(lock):
        found = (re.match(r"([\w.-]+)\S*==(\S+)", pin) for pin in pins((ROOT / lock).read_text()))
        return dict(match.groups() for match in found)

    runtime, dev = versions(RUNTIME), versions(DEV)
    assert {name: dev[name] for name in runtime.keys() & dev.keys()} == {
        name: runtime[name] for name in runtime.keys() & dev.keys()
    }


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from a copy of what is in the repository and nothing else."""
    source = tmp_path_factory.mktemp("source")
    for name in project_files():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, source / name)
    target = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(target)],
        cwd=source,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(next(target.glob("*.whl"))) as archive:
        yield archive


def test_the_wheel_holds_every_file_of_the_package(wheel):
    there = {name for name in wheel.namelist() if name.startswith("shipway/")}
    wanted = {
        name.removeprefix("src/") for name in project_files() if name.startswith("src/shipway/")
    }
    assert wanted - there == set()
    assert there - wanted == set()
    for data in ("shipway/py.typed", "shipway/gates/tools.txt"):
        assert data in there
    kinds = {name.rsplit(".", 1)[-1] for name in there}
    assert {"py", "yaml", "json", "jinja"} <= kinds, kinds


def test_the_wheel_says_what_it_is_and_offers_the_command(wheel):
    (metadata,) = [name for name in wheel.namelist() if name.endswith("METADATA")]
    text = wheel.read(metadata).decode()
    assert f"Version: {shipway.__version__}\n" in text
    assert "License-Expression: Apache-2.0" in text
    extras = sum(len(wanted) for wanted in PROJECT["optional-dependencies"].values())
    assert text.count("Requires-Dist: ") == len(PROJECT["dependencies"]) + extras
    (entries,) = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
    assert "shipway = shipway.cli.main:main" in wheel.read(entries).decode()
    assert any(name.endswith("licenses/LICENSE") for name in wheel.namelist())
