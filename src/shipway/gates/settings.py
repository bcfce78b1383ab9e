"""What a project's configuration files say to each tool, as tables that can be compared."""

from __future__ import annotations

import configparser
import tomllib
from pathlib import Path, PurePosixPath
from typing import Any

from shipway.gates.cases import read

Tables = dict[str, dict[str, Any]]

# Which tool a file belongs to wholly, and which tool an INI section belongs to.
FILES = {
    "pytest.ini": "pytest", ".pytest.ini": "pytest", "pytest.toml": "pytest",
    ".pytest.toml": "pytest", ".coveragerc": "coverage", "mypy.ini": "mypy", ".mypy.ini": "mypy",
    "ruff.toml": "ruff", ".ruff.toml": "ruff", ".flake8": "flake8", ".pylintrc": "pylint",
    "pylintrc": "pylint", ".bandit": "bandit", "codecov.yml": "codecov", ".codecov.yml": "codecov",
    "pyrightconfig.json": "pyright", ".secrets.baseline": "secrets",
    ".pre-commit-config.yaml": "pre-commit", "noxfile.py": "nox",
}  # fmt: skip
TOOLS = frozenset({
    "pytest", "coverage", "mypy", "ruff", "flake8", "pylint", "bandit", "pyright", "ty", "tox",
})  # fmt: skip
WHOLE = "(whole)"


def settings(tree: Path, name: str | None) -> Tables:
    """Tool by tool, each option with its value; a file that cannot be read has its bytes as value."""
    if name is None:
        return {}
    data, file = read(tree, name), PurePosixPath(name).name
    text = data.decode("utf-8", "replace")
    whole: Tables = {FILES.get(file, "other"): {WHOLE: text}}
    try:
        if file.endswith(".toml"):
            return _toml(file, tomllib.loads(text))
        if file.endswith((".ini", ".cfg", "rc", ".flake8", ".bandit")):
            return _ini(file, text)
    except (ValueError, configparser.Error):
        return whole
    return whole


def _toml(file: str, table: dict[str, Any]) -> Tables:
    if file != "pyproject.toml":
        return {FILES.get(file, "other"): _flat(table)}
    tools = table.get("tool")
    found = {
        name: _flat(value)
        for name, value in (tools.items() if isinstance(tools, dict) else ())
        if name in TOOLS and isinstance(value, dict)
    }
    project = table.get("project")
    points = project.get("entry-points") if isinstance(project, dict) else None
    if isinstance(points, dict) and "pytest11" in points:
        found.setdefault("pytest", {})["pytest11"] = points["pytest11"]
    return found


def _flat(table: dict[str, Any], above: str = "") -> dict[str, Any]:
    """Nested tables as dotted names."""
    flat: dict[str, Any] = {}
    for name, value in table.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{above}{name}.")
        else:
            flat[above + name] = value
    return flat


def _ini(file: str, text: str) -> Tables:
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
    parser.read_string(text)
    found: Tables = {}
    own = FILES.get(file)
    for section in parser.sections():
        tool = own or _tool(section)
        if tool is not None:
            place = found.setdefault(tool, {})
            for name, value in parser.items(section):
                place[f"{section}.{name}"] = value
    return found


def _tool(section: str) -> str | None:
    """The tool of a section in setup.cfg or tox.ini."""
    first = section.removeprefix("tool:").split(":")[0].split("-")[0].split(".")[0]
    if first == "testenv":
        return "tox"
    return first if first in TOOLS else None
