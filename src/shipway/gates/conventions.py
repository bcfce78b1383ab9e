"""Where other stacks keep their tests, and which of their files say how these are run."""

from __future__ import annotations

import json
import re
from pathlib import Path, PurePosixPath
from typing import Any

PLACES = frozenset({"test", "tests", "spec", "specs", "__tests__", "t", "testdata"})
NAMES = re.compile(
    r".+_test\.(go|rs|c|cc|cpp|exs?|dart|sh)|.+[._-](test|spec)\.[cm]?[jt]sx?|.+_spec\.rb"
    r"|.+_test\.rb|tests?\.(sh|rb|c|cc|cpp|[cm]?[jt]sx?)|test_.+\.(sh|rb|c|cc|cpp|js)|.+Tests?\.(java|kt|cs|php|scala|swift)|.+\.(bats|t)"
)
CODE = frozenset({
    ".go", ".rs", ".c", ".cc", ".cpp", ".h", ".hpp", ".js", ".cjs", ".mjs", ".jsx", ".ts", ".tsx",
    ".rb", ".java", ".kt", ".cs", ".php", ".scala", ".swift", ".sh", ".bats", ".t", ".ex", ".exs",
    ".dart", ".lua", ".pl", ".py",
})  # fmt: skip
RUNNERS = frozenset({
    "Makefile", "makefile", "GNUmakefile", "package.json", "tox.ini", "noxfile.py", "justfile",
    "Taskfile.yml", "Rakefile", "build.gradle", "build.gradle.kts", "pom.xml", "CMakeLists.txt",
    ".mocharc.json", ".mocharc.yml", ".mocharc.js", ".mocharc.cjs", ".npmrc",
})  # fmt: skip
_RUNNING = re.compile(r"(jest|vitest|vite|karma|ava|playwright|cypress)\.config\.[cm]?[jt]s(on)?")
_OF_PACKAGE = ("jest", "mocha", "ava", "nyc", "c8", "tap", "vitest")
_SCRIPT = re.compile(r"(pre|post)?test\b.*")


def is_test(path: PurePosixPath) -> bool:
    """A file of code that is a test by its name or its place."""
    if NAMES.fullmatch(path.name):
        return True
    return is_among_tests(path) and path.suffix in CODE


def is_among_tests(path: PurePosixPath) -> bool:
    return bool(PLACES & set(path.parts[:-1]))


def runs_tests(path: PurePosixPath) -> bool:
    """A file that says, among other things, how tests are run."""
    return path.name in RUNNERS or _RUNNING.fullmatch(path.name) is not None


def how(tree: Path, name: str | None) -> object:
    """What a file says of running tests, None where there is none; to be compared only."""
    if name is None:
        return None
    path = tree / name
    if path.is_symlink() or not path.is_file():
        return None
    data = path.read_bytes()
    if path.name != "package.json":
        return data
    try:
        table = json.loads(data)
    except (ValueError, RecursionError):
        return data
    return _of_package(table) if isinstance(table, dict) else data


def _of_package(table: dict[str, Any]) -> dict[str, Any]:
    scripts = table.get("scripts")
    scripts = scripts if isinstance(scripts, dict) else {}
    found = {name: table[name] for name in _OF_PACKAGE if name in table}
    return found | {name: said for name, said in scripts.items() if _SCRIPT.fullmatch(name)}
