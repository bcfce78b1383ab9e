"""What kind of file a path is: code, a test, or something that is neither."""

from __future__ import annotations

from pathlib import PurePosixPath

from shipway.gates.project import is_test

_CODE = frozenset(
    ".py .pyi .pyx .js .jsx .ts .tsx .mjs .cjs .go .rs .c .h .cc .cpp .hpp .java .kt .rb .php .cs "
    ".swift .scala .sh .sql .lua .ex .exs .erl .hs .ml .clj .vue .svelte".split()
)
_BESIDE = frozenset({"docs", "doc", "examples", "example", ".github", "benchmarks"})


def is_code(path: str) -> bool:
    """Whether the file is source code that users run: neither a test nor an example."""
    place = PurePosixPath(path)
    if place.suffix not in _CODE or is_test(place) or place.name in {"setup.py", "noxfile.py"}:
        return False
    return not _BESIDE & set(place.parts[:-1])
