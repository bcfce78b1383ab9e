"""What kind of file a path is: code, a test, or something that is neither."""

from __future__ import annotations

from pathlib import PurePath, PurePosixPath

_CODE = frozenset(
    ".py .pyi .pyx .js .jsx .ts .tsx .mjs .cjs .go .rs .c .h .cc .cpp .hpp .java .kt .rb .php .cs "
    ".swift .scala .sh .sql .lua .ex .exs .erl .hs .ml .clj .vue .svelte".split()
)
_BESIDE = frozenset({"docs", "doc", "examples", "example", ".github", "benchmarks"})


def is_test(path: PurePath) -> bool:
    """Tests assert, start processes and hold made-up passwords by their nature."""
    name = path.name
    placed = bool({"tests", "test"} & set(path.parts[:-1]))
    return placed or name == "conftest.py" or name.startswith("test_") or name.endswith("_test.py")


def is_code(path: str) -> bool:
    """Whether the file is source code that users run: neither a test nor an example."""
    place = PurePosixPath(path)
    if place.suffix not in _CODE or is_test(place) or place.name in {"setup.py", "noxfile.py"}:
        return False
    return not _BESIDE & set(place.parts[:-1])
