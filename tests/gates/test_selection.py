"""Which gates apply is decided by recorded rules before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from candidates import change_plan, write

from shipway.contracts.change_plan import ChangePlan
from shipway.gates.project import Project, survey
from shipway.gates.selection import select, select_e2e
from shipway.gates.testing import arguments


def plan(**given: object) -> ChangePlan:
    return change_plan("0" * 40, **given)


def selected(project: Project, base: Project | None = None) -> set[str]:
    return {one.gate for one in select(project, base) if one.selected}


def test_a_scaffolded_service_meets_all_five() -> None:
    made = Project(name="shop", made=True, stack="python", python_files=3, sources=("a.py",))
    assert selected(made) == {"lint", "types", "tests", "security", "secrets"}


@pytest.mark.parametrize(
    "files",
    [
        {"mypy.ini": "[mypy]\n"},
        {".mypy.ini": "[mypy]\n"},
        {"setup.cfg": "[mypy]\nstrict = true\n"},
        {"pyproject.toml": "[tool.mypy]\nstrict = true\n"},
    ],
)
def test_types_are_checked_where_the_project_configures_it(
    tmp_path: Path, files: dict[str, str]
) -> None:
    write(tmp_path, {"a.py": "x = 1\n", **files})
    assert "types" in selected(survey(tmp_path, plan()))


def test_a_change_does_not_lose_type_checks_by_removing_their_configuration(tmp_path: Path) -> None:
    write(tmp_path, {"base/a.py": "", "base/mypy.ini": "[mypy]\n", "now/a.py": ""})
    now, base = survey(tmp_path / "now", plan()), survey(tmp_path / "base", plan())
    assert "types" in selected(now, base)
    assert "types" not in selected(now, now)


def test_what_does_not_apply_says_why(tmp_path: Path) -> None:
    write(tmp_path, {"main.go": "package main\n"})
    found = {one.gate: one for one in select(survey(tmp_path, plan(stack="unknown")))}
    assert {gate for gate, one in found.items() if one.selected} == {"tests", "secrets"}
    assert found["lint"].reason == "no Python project"
    assert all(one.reason for one in found.values())


def test_broken_configuration_configures_nothing(tmp_path: Path) -> None:
    write(tmp_path, {"a.py": "", "pyproject.toml": "[tool", "setup.cfg": "no section\n"})
    project = survey(tmp_path, plan())
    assert not project.has_mypy
    assert not project.has_ruff


def test_folders_of_tools_and_links_are_not_the_project(tmp_path: Path) -> None:
    write(tmp_path, {"a.py": "", ".venv/lib/b.py": "", "node_modules/c.py": ""})
    (tmp_path / "loop").symlink_to(tmp_path)
    assert survey(tmp_path, plan()).python_files == 1


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (None, []),
        (["make", "test"], []),
        (["pytest", "-q", "tests/unit"], ["-q", "tests/unit"]),
        (["python", "-m", "pytest", "-k", "fast"], ["-k", "fast"]),
        ([".venv/bin/py.test", "tests"], ["tests"]),
        (["python", "-m", "unittest"], ["-o", "python_files=test*.py"]),
        (
            ["python3", "-m", "unittest", "discover", "-s", "checks", "-p", "check_*.py"],
            ["-o", "python_files=check_*.py", "checks"],
        ),
    ],
)
def test_the_projects_own_test_command_becomes_ours(
    command: list[str] | None, words: list[str]
) -> None:
    assert arguments(tuple(command) if command else None) == words


def test_an_undocumented_or_unimplemented_service_is_not_judged_by_a_document() -> None:
    assert [one.selected for one in select_e2e(0, documented=True, checks=0)] == [False, True]
    assert [one.selected for one in select_e2e(3, documented=False, checks=2)] == [False, True]
    assert [one.selected for one in select_e2e(3, documented=True, checks=2)] == [True, True]
