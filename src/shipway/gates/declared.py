"""What a Python project says that it needs: gathered from its own files as text, never by running them."""

from __future__ import annotations

import ast
import configparser
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from shipway.errors import RepositoryError
from shipway.gates.candidate import GROUPS, dependencies
from shipway.gates.project import Project

_LOCAL = re.compile(
    r"^(?:-e|--editable)?[ =]*(?:file:)?\.{1,2}(?:/\S*)?(?:\[(?P<extras>[^]]*)\])?\s*(?:[;#].*)?$"
)
_FILE = re.compile(r"^(?P<kind>-r|--requirement|-c|--constraint)[ =]*(?P<name>\S+)")
_SIMPLE = re.compile(r"^[A-Za-z0-9][\w.-]*(\[[^]]*\])?\s*([<>=!~].*)?(;.*)?$")
_EXTRA = re.compile(r"(?i)^(dev|develop|development|test|tests|testing)$")
DEPTH = 8


def requirement_files(project: Project, tree: Path, place: Path) -> list[Path]:
    """Files of ours that hold all that the project and its tests need, to build an environment from.

    The project itself is left out: its source is put on the path. Raises RepositoryError when a
    file that is named is not there.
    """
    files, gathered = [], []
    for number, name in enumerate(project.requirements):
        lines = list(_expanded(tree, tree / name, 0, place))
        gathered += lines
        files.append(_written(place / f"requirements-{number}.txt", lines))
    if any("--hash=" in line for line in gathered):
        return files  # a lock is the whole of it
    declared = sorted(set(needs(tree)))
    if not any(_is_test_file(name) for name in project.requirements):
        declared = sorted({*declared, *_tox(tree)})
    if declared:
        files.append(_written(place / "declared.txt", declared))
    return files


def _written(path: Path, lines: list[str]) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def _is_test_file(name: str) -> bool:
    return any(word in name for word in GROUPS)


def _expanded(tree: Path, path: Path, depth: int, place: Path) -> Iterator[str]:
    """The lines of a requirement file with those it includes, without paths into the project."""
    real = path.resolve()
    if path.is_symlink() or not real.is_relative_to(tree.resolve()) or not real.is_file():
        raise RepositoryError(
            f"the requirement file {path.name} is not in the tree",
            hint="keep the file, or name others under `requirements:` in the base's policy",
        )
    if depth > DEPTH:
        raise RepositoryError(f"requirement files include each other: {path.name}")
    text = real.read_text(encoding="utf-8-sig", errors="replace").replace("\\\n", " ")
    for line in text.splitlines():
        said = line.strip()
        other = _FILE.match(said)
        if other is not None:
            lines = _expanded(tree, real.parent / other["name"], depth + 1, place)
            if not other["kind"].startswith(("-c", "--c")):
                yield from lines
                continue
            narrowing = _written(place / f"constraints-{Path(other['name']).name}", list(lines))
            yield f"-c {narrowing.name}"
        elif said and not said.startswith("#") and _LOCAL.match(said) is None:
            yield said


# -- declarations -----------------------------------------------------------------------------


def needs(tree: Path) -> list[str]:
    """What the project's metadata asks for, to run and to be tested."""
    table = read_toml(tree / "pyproject.toml")
    found = [*dependencies(table), *_poetry(table), *_setup_cfg(tree), *_setup_py(tree)]
    name = _normal(_own_name(tree, table))
    return [one for one in found if _normal(re.split(r"[\s\[<>=!~;@]", one, maxsplit=1)[0]) != name]


def _own_name(tree: Path, table: dict[str, Any]) -> str:
    return str(
        table_of(table.get("project")).get("name")
        or read_ini(tree / "setup.cfg").get("metadata", "name", fallback="")
    )


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # the build and the tools will say what is wrong with it


def read_ini(path: Path) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(path.read_text(encoding="utf-8", errors="replace"))
    except (OSError, configparser.Error):
        parser.clear()
    return parser


def table_of(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _poetry(table: dict[str, Any]) -> Iterator[str]:
    """Poetry's own tables, whose carets are ranges that pip writes otherwise."""
    poetry = table_of(table_of(table.get("tool")).get("poetry"))
    groups = [table_of(poetry.get("dependencies")), table_of(poetry.get("dev-dependencies"))]
    groups += [
        table_of(table_of(group).get("dependencies"))
        for name, group in table_of(poetry.get("group")).items()
        if _EXTRA.match(name)
    ]
    for group in groups:
        for name, said in group.items():
            version = said.get("version", "*") if isinstance(said, dict) else said
            if name != "python" and isinstance(version, str):
                yield name + _range(version)


def _range(version: str) -> str:
    found = re.match(r"^([\^~]?)\s*(\d+(?:\.\d+)*)$", version.strip())
    if found is None:
        return "" if version.strip() in {"", "*"} or "^" in version else version
    if not found[1]:
        return f"=={found[2]}"
    parts = [int(part) for part in found[2].split(".")]
    kept = (
        next((n for n, part in enumerate(parts) if part), len(parts) - 1)
        if found[1] == "^"
        else min(1, len(parts) - 1)
    )
    above = ".".join(map(str, [*parts[:kept], parts[kept] + 1]))
    return f">={found[2]},<{above}"


def _setup_cfg(tree: Path) -> Iterator[str]:
    parser = read_ini(tree / "setup.cfg")
    if parser.has_section("options"):
        for name in ("install_requires", "tests_require"):
            yield from _lines(parser.get("options", name, fallback=""))
    if parser.has_section("options.extras_require"):
        for name, said in parser.items("options.extras_require"):
            if _EXTRA.match(name):
                yield from _lines(said)


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if _SIMPLE.match(line.strip())]


def _setup_py(tree: Path) -> Iterator[str]:
    """The literal lists of a ``setup()`` call."""
    given = setup_call(tree)
    for name in ("install_requires", "tests_require"):
        yield from _texts(given.get(name))
    for name, said in table_of(given.get("extras_require")).items():
        if _EXTRA.match(str(name)):
            yield from _texts(said)


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        value = value.splitlines()
    return [one for one in value if isinstance(one, str)] if isinstance(value, list | tuple) else []


def setup_call(tree: Path) -> dict[str, Any]:
    """The arguments of ``setup()`` that are written out, directly or in a name of the module."""
    path = tree / "setup.py"
    if path.is_symlink() or not path.is_file():
        return {}
    try:
        module = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, RecursionError):
        return {}
    names = {
        target.id: node.value
        for node in module.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("setup"):
            return {
                word.arg: value
                for word in node.keywords
                if word.arg and (value := _literal(word.value, names)) is not None
            }
    return {}


def _literal(node: ast.expr, names: dict[str, ast.expr]) -> Any:
    if isinstance(node, ast.Name) and node.id in names:
        node = names[node.id]
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, RecursionError):
        return None


def _tox(tree: Path) -> list[str]:
    """The plain dependencies of tox's own test environment, where nothing else names any."""
    parser = read_ini(tree / "tox.ini")
    return (
        _lines(parser.get("testenv", "deps", fallback="")) if parser.has_section("testenv") else []
    )
