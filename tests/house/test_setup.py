"""The set-up says in one line what to install, and works wherever the checkout lies."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from house_rules import ROOT

import shipway

CHOOSE = ROOT / "requirements" / "choose-python"
OLD = "#!/bin/sh\ncase $2 in *print*) echo 3.9;; *) exit 1;; esac\n"
BARE = "#!/bin/sh\ncase $2 in *print*) echo 3.11;; *ensurepip*) exit 1;; esac\n"
FIT = "#!/bin/sh\ncase $2 in *print*) echo 3.12;; esac\n"
SHIM = "#!/bin/sh\necho 'no such version' >&2\nexit 127\n"


@pytest.fixture
def choose(tmp_path):
    """Runs the choice on a PATH that holds only what is given."""

    def run(programs, wanted=""):
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        for name, text in programs.items():
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)
        return subprocess.run(
            [shutil.which("sh"), str(CHOOSE), wanted],
            env={"PATH": str(folder)},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.mark.parametrize(
    ("programs", "said"),
    [
        ({"python3": FIT}, "apt install git"),
        ({"git": FIT}, "Python 3.11 or newer is missing: apt install python3 python3-venv"),
        ({"git": FIT, "python3": OLD}, "3.11 or newer is needed, python3 is 3.9: apt install"),
        ({"git": FIT, "python3": BARE}, "no venv or ensurepip: apt install python3-venv"),
        ({"git": FIT, "python3": SHIM}, "Python 3.11 or newer is missing"),
    ],
)
def test_one_line_says_what_to_install(choose, programs, said):
    done = choose(programs)
    assert done.returncode == 78
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert not done.stdout


@pytest.mark.parametrize(
    ("programs", "wanted", "chosen"),
    [
        ({"python3": FIT}, "", "python3"),
        ({"python3": OLD, "python3.12": FIT}, "", "python3.12"),
        ({"python3": SHIM, "python3.11": BARE, "python3.13": FIT}, "", "python3.13"),
        ({"python3": FIT, "mine": FIT}, "mine", "mine"),
    ],
)
def test_the_first_python_that_fits_is_chosen_unless_one_is_named(choose, programs, wanted, chosen):
    done = choose({"git": FIT} | programs, wanted)
    assert (done.returncode, done.stdout) == (0, f"{chosen}\n")


def test_a_named_python_that_does_not_fit_is_not_replaced_in_silence(choose):
    done = choose({"git": FIT, "python3": FIT, "mine": OLD}, "mine")
    assert done.returncode == 78
    assert "mine is 3.9" in done.stderr


def test_the_command_works_from_a_path_with_a_space_and_through_a_link(tmp_path):
    checkout = tmp_path / "a checkout"
    shutil.copytree(ROOT / "requirements", checkout / "requirements")
    (checkout / "src").symlink_to(ROOT / "src")
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", str(checkout / ".venv")], check=True
    )
    python = checkout / ".venv" / "bin" / "python"
    subprocess.run([str(python), str(checkout / "requirements" / "connect.py")], check=True)
    # The libraries are borrowed from the environment that runs this test.
    environment = os.environ | {"PYTHONPATH": sysconfig.get_path("purelib")}
    (tmp_path / "linked").symlink_to(checkout / ".venv" / "bin" / "shipway")
    for command in (checkout / ".venv" / "bin" / "shipway", tmp_path / "linked"):
        done = subprocess.run(
            [str(command), "--version"],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout) == (0, f"shipway {shipway.__version__}\n"), (
            done.stderr
        )


def test_a_package_of_the_same_name_where_the_user_stands_is_not_imported(tmp_path):
    (tmp_path / "shipway").mkdir()
    (tmp_path / "shipway" / "__init__.py").write_text("raise SystemExit('hijacked')\n")
    command = Path(sys.executable).parent / "shipway"
    done = subprocess.run(
        [str(command), "--version"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, f"shipway {shipway.__version__}\n"), done.stderr


def test_help_names_every_target_and_the_two_commands_are_what_ci_runs():
    make = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    for target in (
        "test",
        "demo",
        "check",
        "documents",
        "lint",
        "format",
        "bench",
        "lock",
        "clean",
    ):
        assert f"make {target} " in make.stdout
    script = (ROOT / ".ci" / "run").read_text().splitlines()
    assert script[0] == "#!/usr/bin/env bash"
    assert "set -euo pipefail" in script
    commands = [line.strip() for line in script if line.strip().startswith("make ")]
    assert commands == ["make test", "make demo", "make check"]
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
