"""What a Python project says that it needs: gathered from its own files as text, never by running them."""

from __future__ import annotations

import configparser
import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from shipway.errors import RepositoryError
from shipway.gates.project import Project
from shipway.gates.setupcall import setup_call
from shipway.gates.testers import told

_LOCAL = re.compile(
    r"^(?:-e|--editable)?[ =]*(?:file:)?\.{1,2}(?:/\S*)?(?:\[(?P<extras>[^]]*)\])?\s*(?:[;#].*)?$"
)
_FILE = re.compile(r"^(?P<kind>-r|--requirement|-c|--constraint)[ =]*(?P<name>\S+)")
_SIMPLE = re.compile(r"^[A-Za-z0-9][\w.-]*(\[[^]]*\])?\s*([<>=!~].*)?(;.*)?$")
_EXTRA = re.compile(
    r"(?i)^(dev|develop|developer|development|ci)$|(^|[-_])(unit)?tests?($|[-_])|^(testing|pytest)$"
)
DEPTH = 8
GROUPS = ("dev", "test", "tests", "testing")


def requirement_files(
    project: Project,
    tree: Path,
    place: Path,
    *,
    loosened: bool = False,
    without: frozenset[str] = frozenset(),
) -> list[Path]:
    """Files of ours that hold all that the project and its tests need, to build an environment from.

    The project itself is left out: its source is put on the path. Raises RepositoryError when a
    file that is named is not there. With ``loosened`` exact versions become any;
    packages in ``without`` are left out.
    """
    files, gathered = [], []
    said = told(tree)
    extras = set(said.extras)
    named = list(project.requirements)
    if any(word in name for name in named for word in GROUPS):
        said.packages.clear()  # what testers install beside it has been said
    else:
        named += [one for one in said.files if one not in named]
    for number, name in enumerate(named):
        lines = [
            line
            for line in _expanded(tree, tree / name, 0, place, extras)
            if name_of(line) not in without
        ]
        gathered += lines
        files.append(_written(place / f"requirements-{number}.txt", lines, loosened=loosened))
    if any("--hash=" in line for line in gathered) and not loosened:
        return files  # a lock is the whole of it
    declared = {*needs(tree, extras), *said.packages}
    known = {name_of(line) for line in gathered}
    own = _normal(_own_name(tree, read_toml(tree / "pyproject.toml")))
    told_of = known | {name_of(one) for one in declared}
    declared |= {one for one in said.plugins if name_of(one) not in told_of}
    wanted = sorted(
        one for one in declared
        if name_of(one) not in {own, *without} and (one not in said.packages or name_of(one) not in known)
    )  # fmt: skip
    if wanted:
        files.append(_written(place / "declared.txt", wanted, loosened=loosened))
    return files


def _written(path: Path, lines: list[str], *, loosened: bool = False) -> Path:
    if loosened:
        lines = [loose for line in lines if (loose := _loosened(line))]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def _loosened(line: str) -> str:
    """A requirement that names one version asks for any; hashes and constraints go."""
    if line.startswith("-"):
        return ""
    exact = re.match(r"^([A-Za-z0-9][\w.-]*(?:\[[^]]*\])?)\s*={2,3}[^;]*(;.*)?$", line)
    said = re.split(r"\s+--hash=", line)[0]
    return f"{exact[1]} {_marker(exact[2])}".strip() if exact else said


def _marker(text: str | None) -> str:
    return re.split(r"\s+--hash=", text)[0] if text else ""


def name_of(requirement: str) -> str:
    """The package that a requirement names, as packages are compared."""
    return _normal(re.split(r"[\s\[<>=!~;@]", requirement.strip(), maxsplit=1)[0])


def _expanded(tree: Path, path: Path, depth: int, place: Path, extras: set[str]) -> Iterator[str]:
    """The lines of a requirement file with those it includes, without paths into the project.

    What such a path asks for besides, as ``-e .[full]`` does, is added to ``extras``.
    """
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
            lines = _expanded(tree, real.parent / other["name"], depth + 1, place, extras)
            if not other["kind"].startswith(("-c", "--c")):
                yield from lines
                continue
            narrowing = _written(place / f"constraints-{Path(other['name']).name}", list(lines))
            yield f"-c {narrowing.name}"
        elif own := _LOCAL.match(said):
            extras.update(re.findall(r"[\w.-]+", own["extras"] or ""))
        elif said and not said.startswith("#"):
            yield from _fetched(said)


def _fetched(said: str) -> list[str]:
    """A requirement on a repository becomes one on the package: only an index can be reached."""
    if "://" not in said or said.startswith(("--index", "--extra-index", "-i ", "--find", "-f ")):
        return [said]
    named = re.match(r"^([A-Za-z0-9][\w.-]*(?:\[[^]]*\])?)\s*@", said)
    egg = re.search(r"#(?:.*&)?egg=([A-Za-z0-9][\w.-]*(?:\[[^]]*\])?)", said)
    found = named or egg
    return [found[1]] if found else []


# -- declarations -----------------------------------------------------------------------------


def needs(tree: Path, extras: Iterable[str] = ()) -> list[str]:
    """What the project's metadata asks for, to run and to be tested; ``extras`` are asked for by name.

    An extra of the project that another one names counts along with it.
    """
    table = read_toml(tree / "pyproject.toml")
    always, optional = _declarations(tree, table)
    own = _normal(_own_name(tree, table))
    asked = [*extras, *(name for name in optional if _EXTRA.search(name))]
    found, done = list(always), set()
    while asked:
        name = _normal(asked.pop())
        if name in done:
            continue
        done.add(name)
        for one in optional.get(name, []):
            found.append(one)
            if name_of(one) == own:
                asked += re.findall(r"[\w.-]+", one.partition("[")[2].partition("]")[0])
    return [fetched for one in found if name_of(one) != own for fetched in _fetched(one)]


def _declarations(tree: Path, table: dict[str, Any]) -> tuple[list[str], dict[str, list[str]]]:
    """What is needed anyway, and what under a name: extras and dependency groups together."""
    project, given, ini = table_of(table.get("project")), setup_call(tree), tree / "setup.cfg"
    always = [*_texts(project.get("dependencies")), *_poetry(table), *_setup_cfg(ini)]
    always += [
        one for name in ("install_requires", "tests_require") for one in _texts(given.get(name))
    ]
    optional: dict[str, list[str]] = {}
    extras = [
        *table_of(project.get("optional-dependencies")).items(),
        *table_of(table_of(table_of(table.get("tool")).get("pdm")).get("dev-dependencies")).items(),
        *table_of(given.get("extras_require")).items(), *_setup_cfg_extras(ini),
    ]  # fmt: skip
    for name, said in extras:
        optional.setdefault(_normal(str(name)), []).extend(_texts(said))
    groups = table_of(table.get("dependency-groups"))
    for name in groups:
        optional.setdefault(_normal(name), []).extend(_group(groups, name, 0))
    return always, optional


def _group(groups: dict[str, Any], name: str, depth: int) -> list[str]:
    """A dependency group with those that it includes."""
    found = _texts(groups.get(name))
    for one in groups.get(name) or [] if depth < DEPTH else []:
        if isinstance(one, dict) and isinstance(one.get("include-group"), str):
            found += _group(groups, one["include-group"], depth + 1)
    return found


def requires_python(tree: Path) -> str:
    """The project's own word on which Pythons it runs with; "" when it has none."""
    table = read_toml(tree / "pyproject.toml")
    poetry = table_of(table_of(table.get("tool")).get("poetry"))
    said = (
        table_of(table.get("project")).get("requires-python")
        or table_of(poetry.get("dependencies")).get("python")
        or setup_call(tree).get("python_requires")
        or read_ini(tree / "setup.cfg").get("options", "python_requires", fallback="")
    )
    return said if isinstance(said, str) else ""


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
        if _EXTRA.search(name)
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


def _setup_cfg(path: Path) -> Iterator[str]:
    parser = read_ini(path)
    for name in ("install_requires", "tests_require"):
        if parser.has_section("options"):
            yield from _lines(parser.get("options", name, fallback=""))


def _setup_cfg_extras(path: Path) -> list[tuple[str, list[str]]]:
    parser = read_ini(path)
    section = "options.extras_require"
    if not parser.has_section(section):
        return []
    return [(name, _lines(said)) for name, said in parser.items(section)]


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if _SIMPLE.match(line.strip())]


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        value = value.splitlines()
    return [one for one in value if isinstance(one, str)] if isinstance(value, list | tuple) else []
