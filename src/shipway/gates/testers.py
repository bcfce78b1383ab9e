"""What tox, nox and hatch would install to test a project: read from their files, never by running them."""

from __future__ import annotations

import ast
import configparser
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_TEST_ENVIRONMENT = re.compile(r"(?i)^(testenv|py[\d.]*|tests?|pytest|unit|coverage)\b|\btests?\b")
_FILE = re.compile(r"^(?:-r|--requirement)[ =]*(?P<name>\S+)$")
_CONDITION = re.compile(r"^(?P<factors>[\w.,!{}-]+)\s*:\s*(?P<said>.+)$")
_USUAL = re.compile(r"(?i)^(!.*|py\d*|py3\d*(,py3?\d*)*|py\{[\d,py]+\}|tests?|cov(erage)?)$")
_OWN = re.compile(r"^(?:-e\s*)?\.(?:\[(?P<extras>[^]]*)\])?$")
_NAMED = re.compile(r"^[A-Za-z0-9][\w.-]*(\[[^]]*\])?\s*([<>=!~@;].*)?$")


@dataclass(slots=True)
class Told:
    """Packages, requirement files, extras and groups of the project's own, and plug-ins of pytest."""

    packages: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    extras: list[str] = field(default_factory=list)
    plugins: list[str] = field(default_factory=list)

    def take(self, word: str) -> None:
        """One thing that a tool would hand to pip."""
        said = word.strip().replace("{toxinidir}/", "").replace("{tox_root}/", "")
        file, own = _FILE.match(said), _OWN.match(said)
        if file is not None:
            self.files.append(file["name"].removeprefix("./"))
        elif own is not None:
            self.extras += re.findall(r"[\w.-]+", own["extras"] or "")
        elif _NAMED.match(said) and "{" not in said:
            self.packages.append(said)


def told(tree: Path) -> Told:
    """All of it together."""
    found = Told()
    table = _toml(tree / "pyproject.toml")
    tool = _table(table.get("tool"))
    legacy = _table(tool.get("tox")).get("legacy_tox_ini")
    for text in (_text(tree / "tox.ini"), legacy if isinstance(legacy, str) else ""):
        _tox(_ini(text), found)
    _tox_table(_table(tool.get("tox")) or _toml(tree / "tox.toml"), found)
    for name, one in _table(_table(tool.get("hatch")).get("envs")).items():
        if name == "default" or _TEST_ENVIRONMENT.search(name):
            settings = _table(one)
            for word in _words(settings.get("dependencies")):
                found.take(word)
            for word in _words(settings.get("extra-dependencies")):
                found.take(word)
            found.extras += _words(settings.get("features"))
    _nox(_text(tree / "noxfile.py"), found)
    _pytest(tree, table, found)
    found.files = [name for name in dict.fromkeys(found.files) if (tree / name).is_file()]
    return found


def _tox(parser: configparser.RawConfigParser, found: Told) -> None:
    for section in parser.sections():
        name = section.removeprefix("testenv:")
        if not section.startswith("testenv") or not _TEST_ENVIRONMENT.search(name):
            continue
        for line in parser.get(section, "deps", fallback="").splitlines():
            found.take(_unconditional(line.strip()))
        for key in ("extras", "dependency_groups"):
            found.extras += re.findall(r"[\w.-]+", parser.get(section, key, fallback=""))


def _unconditional(line: str) -> str:
    """A line that holds for tests on any Python; "" for those of special environments."""
    match = _CONDITION.match(line)
    if match is None or "://" in line:
        return line
    return match["said"] if _USUAL.match(match["factors"]) else ""


def _tox_table(tox: dict[str, Any], found: Told) -> None:
    """tox's own TOML."""
    environments = _table(tox.get("env"))
    chosen = [one for name, one in environments.items() if _TEST_ENVIRONMENT.search(name)]
    for one in (_table(tox.get("env_run_base")), *map(_table, chosen)):
        for word in _words(one.get("deps")):
            found.take(word)
        found.extras += [*_words(one.get("extras")), *_words(one.get("dependency_groups"))]


def _nox(text: str, found: Told) -> None:
    """Literal ``session.install(...)`` calls of sessions that test."""
    try:
        module = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return
    for node in module.body:
        if isinstance(node, ast.FunctionDef) and _TEST_ENVIRONMENT.search(node.name):
            for call in ast.walk(node):
                if isinstance(call, ast.Call) and ast.unparse(call.func).endswith(".install"):
                    _install(list(_literals(call)), found)


_PLUGINS = {
    "--cov": "pytest-cov", "-n": "pytest-xdist", "--numprocesses": "pytest-xdist",
    "--dist": "pytest-xdist", "--timeout": "pytest-timeout", "--asyncio-mode": "pytest-asyncio",
    "--benchmark": "pytest-benchmark", "--doctest-plus": "pytest-doctestplus",
    "--randomly": "pytest-randomly", "--reruns": "pytest-rerunfailures", "--mypy": "pytest-mypy",
    "--black": "pytest-black", "--flake8": "pytest-flake8", "--snapshot": "syrupy",
    "--ds": "pytest-django", "--strict-data-files": "pytest-datafiles", "--html": "pytest-html",
    "--allow-hosts": "pytest-socket", "--disable-socket": "pytest-socket", "--mpl": "pytest-mpl",
    "--typeguard": "typeguard", "--sugar": "pytest-sugar", "--picked": "pytest-picked",
}  # fmt: skip
_SETTINGS = {
    "asyncio_mode": "pytest-asyncio", "timeout": "pytest-timeout",
    "DJANGO_SETTINGS_MODULE": "pytest-django", "django_find_project": "pytest-django",
    "doctest_plus": "pytest-doctestplus",
}  # fmt: skip


def _pytest(tree: Path, table: dict[str, Any], found: Told) -> None:
    """Plug-ins that pytest's own configuration takes for granted: without them it does not start."""
    tool = _table(_table(table.get("tool")).get("pytest"))
    settings = {**_table(tool.get("ini_options"))}
    for name, section in (
        ("pytest.ini", "pytest"),
        ("tox.ini", "pytest"),
        ("setup.cfg", "tool:pytest"),
    ):
        parser = _ini(_text(tree / name))
        if parser.has_section(section):
            settings.update(parser.items(section))
    options = settings.get("addopts", "")
    words = options if isinstance(options, list) else re.split(r"\s+", str(options))
    for word in map(str, words):
        for option, package in _PLUGINS.items():
            if word == option or re.match(rf"{re.escape(option)}(?:[=\d-]|auto)", word):
                found.plugins.append(package)
    found.plugins += [package for key, package in _SETTINGS.items() if key in settings]
    required = settings.get("required_plugins", "")
    found.plugins += required if isinstance(required, list) else str(required).split()


def _literals(call: ast.Call) -> Iterator[str]:
    for one in call.args:
        if isinstance(one, ast.Constant) and isinstance(one.value, str):
            yield one.value


def _install(words: list[str], found: Told) -> None:
    given = iter(words)
    for word in given:
        if word in {"-r", "--requirement"}:
            found.take(f"-r {next(given, '')}")
        elif word in {"-e", "--editable", "--group"}:
            following = next(given, "")
            found.take(following) if word != "--group" else found.extras.append(following)
        elif word in {"-c", "--constraint"}:
            next(given, "")
        else:
            found.take(word)


def _words(value: Any) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(path: Path) -> str:
    if path.is_symlink() or not path.is_file():
        return ""
    return path.read_text(encoding="utf-8", errors="replace")


def _ini(text: str) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(text)
    except configparser.Error:
        parser.clear()
    return parser


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(_text(path))
    except ValueError:
        return {}
