"""Reads from a repository's own files what it is made with and how it is tested; runs nothing."""

from __future__ import annotations

import ast
import configparser
import re
import shlex
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from shipway.contracts.change_plan import Command

_MARKS = ("pyproject.toml", "setup.py", "setup.cfg", "requirements.txt", "tox.ini", "Pipfile")
_OTHERS = ("package.json", "go.mod", "Cargo.toml", "pom.xml", "build.gradle", "CMakeLists.txt")
_DEVELOPMENT = (
    "requirements-dev.txt", "requirements_dev.txt", "dev-requirements.txt", "dev_requirements.txt",
    "requirements.dev.txt", "requirements/dev.txt", "requirements/development.txt",
    "requirements-test.txt", "requirements_test.txt", "test-requirements.txt", "requirements.test.txt",
    "test_requirements.txt", "requirements-tests.txt", "requirements_tests.txt",
    "requirements-testing.txt", "requirements/test.txt", "requirements/tests.txt",
    "requirements/testing.txt", "requirements/pytest.txt", "requirements/ci.txt",
    "tests/requirements.txt", "test/requirements.txt", "requirements/tests.in",
    "requirements/test.in", "requirements/dev.in",
)  # fmt: skip
_RUNTIME = (
    "requirements.txt", "requirements/base.txt", "requirements/runtime.txt",
    "requirements/requirements.txt", "requirements/prod.txt",
)  # fmt: skip
_NOT_PACKAGES = frozenset({"tests", "test", "docs", "doc", "examples", "scripts", "build", "dist"})
_PROTECTED = (
    ".github", ".gitlab-ci.yml", ".ci", ".circleci", "Jenkinsfile", "azure-pipelines.yml",
    ".travis.yml", "bitbucket-pipelines.yml", ".pre-commit-config.yaml", "CODEOWNERS",
    ".gitattributes", ".gitmodules",
)  # fmt: skip
_SHELL = re.compile(r"[$`;&|<>()*?\\]")
# What tox puts in when it is given nothing.
_DEFAULT = re.compile(r"\{(?:posargs|env:[^:{}]*)(?::([^{}]*))?\}")
MAX_FILE = 1_000_000


@dataclass(frozen=True, slots=True)
class Stack:
    """What one tree says about itself; paths are relative to it."""

    name: str | None
    stack: Literal["python", "unknown"]
    layout: Literal["src", "flat", "unknown"]
    requirements: list[str]
    test: Command | None
    lint: Command | None
    types: Command | None
    protected: list[str]
    tests: list[str]
    unread: list[str]


class Tree:
    """The files of a checked-out commit; a link that leads out of it is not followed."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.unread: list[str] = []

    def has(self, name: str) -> bool:
        return self._inside(name).is_file()

    def has_directory(self, name: str) -> bool:
        return self._inside(name).is_dir()

    def text(self, name: str) -> str:
        """A file's text, "" when it is not there; what cannot be read is told in ``unread``."""
        path = self._inside(name)
        if not path.is_file():
            return ""
        try:
            if path.stat().st_size > MAX_FILE:
                raise ValueError
            return path.read_text(encoding="utf-8")
        except (OSError, ValueError):
            self.unread.append(name)
            return ""

    def table(self, name: str) -> dict[str, Any]:
        """A TOML file as a table."""
        text = self.text(name)
        try:
            return tomllib.loads(text)
        except tomllib.TOMLDecodeError:
            self.unread.append(name)
            return {}

    def sections(self, name: str) -> configparser.RawConfigParser:
        """An INI file."""
        return self.ini(name, self.text(name))

    def ini(self, name: str, text: str) -> configparser.RawConfigParser:
        """INI text that stands in a file."""
        parser = configparser.RawConfigParser(strict=False)
        try:
            parser.read_string(text)
        except configparser.Error:
            self.unread.append(name)
        return parser

    def python_here(self, name: str = ".") -> bool:
        return any(self._inside(name).glob("*.py"))

    def directories(self) -> list[str]:
        return sorted(
            one.name for one in self.root.iterdir()
            if one.is_dir() and not one.is_symlink() and not one.name.startswith(".")
        )  # fmt: skip

    def _inside(self, name: str) -> Path:
        path = (self.root / name).resolve()
        return path if path.is_relative_to(self.root) else self.root / "\n"


def look(root: Path) -> Stack:
    """Everything a plan needs to know about a tree."""
    tree = Tree(root)
    project = tree.table("pyproject.toml")
    tests = [name for name in ("tests", "test") if tree.has_directory(name)]
    is_python = any(tree.has(mark) for mark in _MARKS) or tree.python_here()
    if not is_python:
        is_python = any(tree.python_here(name) for name in (*tests, "src"))
    if not is_python and not any(tree.has(mark) for mark in _OTHERS):
        # Scripts beside another stack's project do not make it Python; alone they do.
        is_python = any(tree.python_here(name) for name in tree.directories()) or any(
            tree.has(f"{name}/pyproject.toml") for name in _nested(tree)
        )
    layout = _layout(tree, is_python=is_python)
    return Stack(
        name=_name(tree, project),
        stack="python" if is_python else "unknown",
        layout=layout,
        requirements=_requirements(tree) if is_python else [],
        test=_test(tree, project, tests, is_python=is_python),
        lint=_lint(tree, project) if is_python else None,
        types=_types(tree, project, layout) if is_python else None,
        protected=[".shipway", *(one for one in _PROTECTED if _there(tree, one))],
        tests=tests,
        unread=sorted(set(tree.unread)),
    )


def _nested(tree: Tree) -> list[str]:
    """Directories two levels down, where a repository of several projects keeps them."""
    return [
        f"{outer}/{inner.name}"
        for outer in tree.directories()
        for inner in sorted((tree.root / outer).iterdir())
        if inner.is_dir() and not inner.is_symlink()
    ] + tree.directories()


def _there(tree: Tree, name: str) -> bool:
    return tree.has(name) or tree.has_directory(name)


def _name(tree: Tree, project: dict[str, Any]) -> str | None:
    table = project.get("project")
    name = table.get("name") if isinstance(table, dict) else None
    if not isinstance(name, str):
        name = tree.sections("setup.cfg").get("metadata", "name", fallback=None)
    return name if isinstance(name, str) and name.strip() else None


def _layout(tree: Tree, *, is_python: bool) -> Literal["src", "flat", "unknown"]:
    if not is_python:
        return "unknown"
    if tree.has_directory("src"):
        return "src"
    packages = [
        name for name in tree.directories()
        if name not in _NOT_PACKAGES and tree.has(f"{name}/__init__.py")
    ]  # fmt: skip
    return "flat" if packages or tree.python_here() else "unknown"


def _requirements(tree: Tree) -> list[str]:
    """The files that an environment for the tests is built from."""
    development = next((name for name in _DEVELOPMENT if tree.has(name)), None)
    runtime = next((name for name in _RUNTIME if tree.has(name)), None)
    testing = next((name for name in _DEVELOPMENT if "test" in name and tree.has(name)), None)
    if development and "test" not in development and testing and not _pins(tree, development):
        return [name for name in (runtime, development, testing) if name is not None]
    found = [name for name in (runtime, development) if name is not None]
    if development and runtime and _includes(tree.text(development), runtime):
        return [development]
    if development and runtime and _hashed(tree, development) and _hashed(tree, runtime):
        return [development]  # a locked development file repeats what the service needs
    return found


def _includes(text: str, other: str) -> bool:
    name = re.escape(Path(other).name)
    return bool(re.search(rf"(?m)^\s*(?:-r|--requirement)[ =]\s*\S*{name}\b", text))


def _pins(tree: Tree, name: str) -> bool:
    """Whether the file is the whole of it: it locks, or takes others in."""
    return _hashed(tree, name) or bool(
        re.search(r"(?m)^\s*(?:-r|--requirement)\b", tree.text(name))
    )


def _hashed(tree: Tree, name: str) -> bool:
    return "--hash=" in tree.text(name)


def _test(
    tree: Tree, project: dict[str, Any], tests: list[str], *, is_python: bool
) -> Command | None:
    return (
        _from_makefile(tree, is_python=is_python)
        or _from_tox(tree, project)
        or _from_nox(tree)
        or _from_hatch(tree, project)
        or _from_configuration(tree, project)
        or (_from_files(tree, tests) if is_python else _from_package(tree))
    )


def _from_makefile(tree: Tree, *, is_python: bool) -> Command | None:
    name = next((one for one in ("Makefile", "makefile", "GNUmakefile") if tree.has(one)), None)
    if name is None:
        return None
    match = re.search(
        r"(?m)^test\s*:(?!=)[^\n]*\n((?:[ \t]+[^\n]*\n?|\n)*)", tree.text(name) + "\n"
    )
    if match is None:
        return None
    for line in match[1].splitlines():
        found = _tester(line)
        if found is not None:
            return Command(argv=found, source=name)
    return None if is_python else Command(argv=["make", "test"], source=name)


def _tester(line: str) -> list[str] | None:
    """The pytest or unittest call in one line of a recipe, if it can be run without a shell."""
    match = re.search(r"\b(pytest|py\.test|unittest)\b(.*)", line)
    if match is None:
        return None
    runner = "unittest" if match[1] == "unittest" else "pytest"
    rest = re.split(r"\s(?:&&|\|\||;|\|)\s|;|#", match[2])[0].strip()
    try:
        words = [] if _SHELL.search(rest) else shlex.split(rest)
    except ValueError:
        words = []
    # What the tester would put in there is not known here, nor an option whose value it is.
    return ["python", "-m", runner, *(word for word in words if not {"{", "}"} & set(word))]


def _from_tox(tree: Tree, project: dict[str, Any]) -> Command | None:
    tool = project.get("tool")
    table = tool.get("tox") if isinstance(tool, dict) else None
    legacy = str(table.get("legacy_tox_ini", "")) if isinstance(table, dict) else ""
    parser, source = tree.sections("tox.ini"), "tox.ini"
    if not tree.has("tox.ini"):
        parser, source = tree.ini("pyproject.toml", legacy), "pyproject.toml"
    for section in parser.sections():
        if not section.startswith("testenv"):
            continue
        for line in parser.get(section, "commands", fallback="").splitlines():
            found = _tester(_DEFAULT.sub(r"\1", line))
            if found is not None:
                return Command(argv=found, source=source)
    return None


def _from_nox(tree: Tree) -> Command | None:
    """The first pytest or unittest call of a session, with the words that are written out."""
    try:
        module = ast.parse(tree.text("noxfile.py"))
    except (SyntaxError, ValueError, RecursionError):
        return None
    for node in ast.walk(module):
        if not (isinstance(node, ast.Call) and ast.unparse(node.func).endswith("session.run")):
            continue
        words = [one.value for one in node.args if isinstance(one, ast.Constant)]
        plain = [word for word in words if isinstance(word, str)]
        found = _tester(shlex.join(plain))
        if found is not None:
            return Command(argv=found, source="noxfile.py")
    return None


def _from_hatch(tree: Tree, project: dict[str, Any]) -> Command | None:
    """The first pytest or unittest call of a script, of one that is called ``test`` if there is."""
    tool = project.get("tool")
    hatch = tool.get("hatch") if isinstance(tool, dict) else None
    for source, table in (("pyproject.toml", hatch), ("hatch.toml", tree.table("hatch.toml"))):
        envs = table.get("envs") if isinstance(table, dict) else None
        scripts = [
            (name != "test", line)
            for env in (envs.values() if isinstance(envs, dict) else ())
            for name, said in _scripts(env)
            for line in ([said] if isinstance(said, str) else said)
            if isinstance(line, str)
        ]
        for _, line in sorted(scripts, key=lambda one: one[0]):
            found = _tester(re.sub(r"\{args(?::([^{}]*))?\}", r"\1", line))
            if found is not None:
                return Command(argv=found, source=source)
    return None


def _scripts(env: object) -> list[tuple[str, Any]]:
    scripts = env.get("scripts") if isinstance(env, dict) else None
    found = scripts.items() if isinstance(scripts, dict) else ()
    return [(name, said) for name, said in found if isinstance(said, str | list)]


def _from_configuration(tree: Tree, project: dict[str, Any]) -> Command | None:
    tool = project.get("tool")
    if isinstance(tool, dict) and "pytest" in tool:
        return Command(argv=["python", "-m", "pytest"], source="pyproject.toml")
    if tree.has("pytest.ini"):
        return Command(argv=["python", "-m", "pytest"], source="pytest.ini")
    for name, section in (("setup.cfg", "tool:pytest"), ("tox.ini", "pytest")):
        if tree.has(name) and tree.sections(name).has_section(section):
            return Command(argv=["python", "-m", "pytest"], source=name)
    return None


def _from_files(tree: Tree, tests: list[str]) -> Command | None:
    """A directory of tests, or test files beside the code."""
    for name in tests:
        found = sorted((tree.root / name).rglob("test*.py"))
        if found:
            text = tree.text(str(found[0].relative_to(tree.root)))
            plain = "unittest" in text and "pytest" not in text
            if plain and tree.has(f"{name}/__init__.py"):
                return Command(
                    argv=["python", "-m", "unittest", "discover", "-s", name, "-t", "."],
                    source=name,
                )
            return Command(argv=["python", "-m", "pytest", name], source=name)
    beside = [*tree.root.glob("test_*.py"), *tree.root.glob("*_test.py")]
    if beside:
        return Command(argv=["python", "-m", "pytest"], source=min(one.name for one in beside))
    return None


def _from_package(tree: Tree) -> Command | None:
    known = (
        ("package.json", r'"test"\s*:', ["npm", "test"]),
        ("go.mod", r"(?m)^module ", ["go", "test", "./..."]),
        ("Cargo.toml", r"(?m)^\[(package|workspace)\]", ["cargo", "test"]),
    )  # fmt: skip
    for name, pattern, argv in known:
        if re.search(pattern, tree.text(name)):
            return Command(argv=argv, source=name)
    return None


def _lint(tree: Tree, project: dict[str, Any]) -> Command | None:
    tool = project.get("tool")
    if isinstance(tool, dict) and "ruff" in tool:
        return Command(argv=["ruff", "check", "."], source="pyproject.toml")
    for name in ("ruff.toml", ".ruff.toml"):
        if tree.has(name):
            return Command(argv=["ruff", "check", "."], source=name)
    for name in (".flake8", "setup.cfg", "tox.ini"):
        if tree.has(name) and tree.sections(name).has_section("flake8"):
            return Command(argv=["flake8"], source=name)
    return None


def _types(tree: Tree, project: dict[str, Any], layout: str) -> Command | None:
    tool = project.get("tool")
    tool = tool if isinstance(tool, dict) else {}
    where = "src" if layout == "src" else "."
    if "mypy" in tool:
        told = bool({"files", "packages", "modules"} & set(tool["mypy"] or ()))
        return Command(argv=["mypy", *([] if told else [where])], source="pyproject.toml")
    for name in ("mypy.ini", ".mypy.ini", "setup.cfg"):
        if tree.has(name) and tree.sections(name).has_section("mypy"):
            options = dict(tree.sections(name).items("mypy"))
            told = bool({"files", "packages", "modules"} & set(options))
            return Command(argv=["mypy", *([] if told else [where])], source=name)
    if {"pyright", "basedpyright"} & set(tool) or tree.has("pyrightconfig.json"):
        source = "pyrightconfig.json" if tree.has("pyrightconfig.json") else "pyproject.toml"
        return Command(argv=["pyright"], source=source)
    return None
