"""What the selection rules know of a project: its stack, its tools' configuration, its commands."""

from __future__ import annotations

import configparser
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from shipway.contracts.change_plan import ChangePlan
from shipway.contracts.service_plan import ServicePlan
from shipway.gates.shape import is_test

PRE_COMMIT = ".pre-commit-config.yaml"
_RUFF_HOOK = re.compile(r"(?m)^\s*-\s*id:\s*['\"]?ruff(-check)?['\"]?\s*(#.*)?$")
RUFF = ("ruff.toml", ".ruff.toml")
PYRIGHT = "pyrightconfig.json"
FLAKE8 = (".flake8", "setup.cfg", "tox.ini")
MYPY = ("mypy.ini", ".mypy.ini")
PYLINT = ("pylintrc", ".pylintrc")
SKIPPED = frozenset({".git", ".hg", ".tox", ".nox", ".venv", "venv", "node_modules", "__pycache__"})


@dataclass(frozen=True, slots=True)
class Project:
    """Facts, read from files only; nothing of the project is run to learn them.

    ``made`` is True for a project that Shipway scaffolded: every gate applies to it, and every
    finding counts. For a change only findings that are not on the base count. ``sources`` are the
    Python files that are no tests. ``by_flake8`` has flake8 look
    at style instead of ruff; ``ruff_isolated`` leaves the project's ruff configuration aside;
    ``types_of`` are files whose types are checked alone, without the project's configuration, and
    ``style_of`` those that a linter of whole projects looks at.
    """

    name: str
    made: bool
    stack: Literal["python", "unknown"]
    requirements: tuple[str, ...] = ()
    test: tuple[str, ...] | None = None
    types: tuple[str, ...] | None = None
    has_ruff: bool = False
    has_flake8: bool = False
    by_flake8: bool = False
    ruff_isolated: bool = False
    types_of: tuple[str, ...] = ()
    style_of: tuple[str, ...] = ()
    has_mypy: bool = False
    mypy_targets: bool = False
    mypy_plugins: bool = False
    has_pyright: bool = False
    has_pylint: bool = False
    has_bandit: bool = False
    layout: Literal["src", "flat"] = "flat"
    python_files: int = 0
    sources: tuple[str, ...] = ()


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        # A broken file configures nothing here; the tool that reads it will say so itself.
        return {}


def _ini(path: Path, section: str) -> dict[str, str] | None:
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, configparser.Error):
        return None
    return dict(parser.items(section)) if parser.has_section(section) else None


def _mypy(tree: Path, table: dict[str, Any]) -> dict[str, Any] | None:
    """Mypy's own settings in the file it would take first, None if it is not configured."""
    for name in MYPY:
        if (tree / name).is_file():
            return dict(_ini(tree / name, "mypy") or {})
    if isinstance(table.get("mypy"), dict):
        return dict(table["mypy"])
    return _ini(tree / "setup.cfg", "mypy")


def _ruff(tree: Path, table: dict[str, Any]) -> bool:
    """Configured, or run by pre-commit with the rules that it has by itself."""
    if "ruff" in table or any((tree / name).is_file() for name in RUFF):
        return True
    hooks = tree / PRE_COMMIT
    if hooks.is_symlink() or not hooks.is_file():
        return False
    return _RUFF_HOOK.search(hooks.read_text(encoding="utf-8", errors="replace")) is not None


def _pyright(tree: Path, table: dict[str, Any]) -> bool:
    return bool({"pyright", "basedpyright"} & set(table)) or (tree / PYRIGHT).is_file()


def _pylint(tree: Path, table: dict[str, Any]) -> bool:
    if "pylint" in table or any((tree / name).is_file() for name in PYLINT):
        return True
    named = (_ini(tree / "setup.cfg", f"pylint.{part}") for part in ("MASTER", "MAIN", "main"))
    return any(one is not None for one in named)


def python_files(tree: Path) -> list[Path]:
    """Every Python source of the tree, relative to it, in order."""
    found: list[Path] = []
    pending = [tree]
    while pending:
        for entry in pending.pop().iterdir():
            if entry.is_symlink():
                continue
            if entry.is_dir():
                if entry.name not in SKIPPED:
                    pending.append(entry)
            elif entry.suffix in {".py", ".pyi"}:
                found.append(entry.relative_to(tree))
    return sorted(found)


def survey(tree: Path, plan: ServicePlan | ChangePlan) -> Project:
    """The facts about one checked-out tree under the plan it was made for."""
    table = _toml(tree / "pyproject.toml").get("tool", {})
    table = table if isinstance(table, dict) else {}
    mypy = _mypy(tree, table)
    files = python_files(tree)
    change = plan if isinstance(plan, ChangePlan) else None
    return Project(
        name=plan.name,
        made=change is None,
        stack="python" if change is None else change.stack,
        requirements=_requirements(tree, change),
        test=tuple(change.test.argv) if change and change.test else None,
        types=tuple(change.types.argv) if change and change.types else None,
        has_ruff=_ruff(tree, table),
        has_flake8=any(_ini(tree / name, "flake8") is not None for name in FLAKE8),
        has_mypy=mypy is not None,
        mypy_targets=bool(mypy and {"files", "packages", "modules"} & set(mypy)),
        mypy_plugins=bool(mypy and mypy.get("plugins")),
        has_pyright=_pyright(tree, table),
        has_pylint=_pylint(tree, table),
        has_bandit="bandit" in table,
        layout="src" if (tree / "src").is_dir() else "flat",
        python_files=len(files),
        sources=tuple(str(path) for path in files if not is_test(path)),
    )


def _requirements(tree: Path, change: ChangePlan | None) -> tuple[str, ...]:
    if change is not None:
        return tuple(change.requirements)
    names = ("requirements.txt", "requirements-dev.txt")
    return tuple(name for name in names if (tree / name).is_file())
