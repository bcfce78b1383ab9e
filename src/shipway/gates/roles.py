"""What each changed file is to its project: source, a test, what tests stand on, configuration or policy."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath

from shipway.domain.policy import matches
from shipway.gates import conventions
from shipway.gates.changes import Change
from shipway.gates.comparison import Comparison
from shipway.gates.project import SKIPPED

MODULE = re.compile(r"(test_.*|.*_test|tests?)\.py")
PLACES = frozenset({"tests", "test"})
SNAPSHOTS = frozenset({"__snapshots__", "snapshots", "golden", "goldens", "approved"})
SNAPSHOT_ENDS = (".snap", ".ambr", ".golden", ".approved.txt", ".approved.json")
CONFIGURATION = frozenset({
    "pytest.ini", "pyproject.toml", "setup.cfg", "tox.ini", "noxfile.py", ".coveragerc", "mypy.ini",
    ".mypy.ini", "ruff.toml", ".ruff.toml", ".flake8", ".pylintrc", "pylintrc", ".bandit",
    "pyrightconfig.json", ".pre-commit-config.yaml", "codecov.yml", ".codecov.yml",
    ".isort.cfg", ".pytest.ini", "pytest.toml", ".pytest.toml", ".secrets.baseline",
})  # fmt: skip
WORDS = frozenset({".md", ".rst", ".txt", ".adoc"})
SOURCE_ENDS = frozenset({".py", ".pyi", ".pyx", ".pxd", ".c", ".h", ".cc", ".cpp", ".rs"})


class Role(StrEnum):
    SOURCE = "source"
    TEST = "test"
    SUPPORT = "support"
    CONFIGURATION = "configuration"
    POLICY = "policy"
    WORDS = "words"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Roles:
    """Says what a path is. ``places`` are the directories that hold tests in either tree.

    ``other`` is True for a stack that is not Python, which has conventions of its own.
    """

    places: frozenset[PurePosixPath]
    tests: tuple[str, ...] = ()
    golden: tuple[str, ...] = ()
    protected: tuple[str, ...] = ()
    other: bool = False

    def of(self, name: str) -> Role:
        path = PurePosixPath(name)
        if matches(name, self.protected):
            return Role.POLICY
        if self._is_test(name, path):
            return Role.TEST
        if path.name == "conftest.py" or self.is_golden(name) or self._is_among_tests(path):
            return Role.SUPPORT
        if path.name in CONFIGURATION or (self.other and conventions.runs_tests(path)):
            return Role.CONFIGURATION
        if path.suffix in SOURCE_ENDS:
            return Role.SOURCE
        return Role.WORDS if path.suffix in WORDS else Role.OTHER

    def is_golden(self, name: str) -> bool:
        """A file that holds what tests expect."""
        path = PurePosixPath(name)
        if matches(name, self.golden) or name.endswith(SNAPSHOT_ENDS):
            return True
        if path.suffix in SOURCE_ENDS:
            return False
        return bool(SNAPSHOTS & set(path.parts[:-1])) or self._is_among_tests(path)

    def _is_test(self, name: str, path: PurePosixPath) -> bool:
        if matches(name, self.tests) and (self.other or path.suffix == ".py"):
            return True
        if self.other:
            return conventions.is_test(path)
        if MODULE.fullmatch(path.name) is None:
            return False
        plain = path.name in {"test.py", "tests.py"}
        return not plain or self._is_among_tests(path) or path.name == "tests.py"

    def _is_among_tests(self, path: PurePosixPath) -> bool:
        if self.other and conventions.is_among_tests(path):
            return True
        return any(parent in self.places for parent in path.parents)


def roles(comparison: Comparison) -> Roles:
    """The roles in this comparison; read once from both trees."""
    policy = comparison.policy

    def read() -> Roles:
        places = _places(comparison.base.bench.tree) | _places(comparison.head.bench.tree)
        other = comparison.head.bench.project.stack != "python"
        return Roles(places, policy.tests, policy.golden, policy.protected, other)

    return comparison.once("roles", read)


def _places(tree: Path) -> frozenset[PurePosixPath]:
    """Directories called tests that do hold test modules: a package may call itself ``test`` too."""
    found: set[PurePosixPath] = set()
    pending = [tree]
    while pending:
        for entry in pending.pop().iterdir():
            if entry.is_symlink() or entry.name in SKIPPED:
                continue
            if entry.is_dir():
                pending.append(entry)
            elif MODULE.fullmatch(entry.name):
                inside = PurePosixPath(entry.relative_to(tree).as_posix()).parents
                found |= {one for one in inside if one.name in PLACES}
    return frozenset(found)


def having(changes: Iterable[Change], known: Roles, *wanted: Role) -> tuple[Change, ...]:
    """The changes to files of these roles; a rename has the role of either name."""
    return tuple(
        one
        for one in changes
        if known.of(one.path) in wanted or (one.before and known.of(one.before) in wanted)
    )


def paths(changes: Iterable[Change]) -> set[str]:
    """Both names of each changed file."""
    return {name for one in changes for name in (one.path, one.before) if name}
