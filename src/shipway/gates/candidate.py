"""The candidate's own environment: from its requirement files, or from what its pyproject.toml declares."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from shipway.errors import RepositoryError
from shipway.gates.project import Project

GROUPS = ("dev", "test", "tests", "testing")


def requirement_files(project: Project, tree: Path, work: Path) -> list[Path]:
    """Files that an environment can be built from; raises RepositoryError when a named one is gone.

    What pyproject.toml declares is written to a file of ours in ``work``, and counts unless a
    requirement file for development is there.
    """
    names = project.requirements
    declared = "pyproject.toml"
    if not any(word in name for name in names for word in GROUPS) and (tree / declared).is_file():
        # Nothing else says what the tests need.
        names = (*names, declared)
    files = []
    for name in names:
        path = tree / name
        if path.is_symlink() or not path.is_file():
            raise RepositoryError(
                f"the requirement file {name} is not in the tree",
                hint="keep the file, or submit the change against a base without it",
            )
        files.append(_from_pyproject(path, work) if path.name == declared else path)
    return files


def _from_pyproject(path: Path, work: Path) -> Path:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise RepositoryError(
            "pyproject.toml is not TOML", hint="correct the file and submit the change again"
        ) from None
    wanted = sorted(set(dependencies(table)))
    written = work / "requirements.from-pyproject.txt"
    written.write_text("".join(f"{one}\n" for one in wanted), encoding="utf-8")
    return written


def dependencies(table: dict[str, Any]) -> list[str]:
    """What a project needs to run and to be tested, by its standard metadata."""
    project = table.get("project")
    project = project if isinstance(project, dict) else {}
    found = _texts(project.get("dependencies"))
    for groups in (project.get("optional-dependencies"), table.get("dependency-groups")):
        if isinstance(groups, dict):
            for name in GROUPS:
                found += _texts(groups.get(name))
    return found


def _texts(value: Any) -> list[str]:
    """The plain requirements of a list; a group may also hold tables that include other groups."""
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
