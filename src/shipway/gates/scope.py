"""Which tests are run where there are too many for the time there is: those that a change can concern."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from shipway.domain.policy import matches
from shipway.gates.cases import read
from shipway.gates.changes import Change
from shipway.gates.comparison import Comparison
from shipway.gates.project import SKIPPED

MOST_TESTS = 6000
"""A suite of more test functions than this is not tried whole."""
MOST_FILES = 40
_TEST = re.compile(rb"(?m)^[ \t]*(?:async[ \t]+)?def[ \t]+test")
_MODULE = re.compile(r"test_.*\.py|.*_test\.py|tests?\.py")
_COMMON = frozenset({"__init__", "__main__", "utils", "core", "base", "main", "types", "models"})


def tests_of(tree: Path) -> dict[str, int]:
    """Every test module of a tree with its number of test functions."""
    found = {}
    pending = [tree]
    while pending:
        for entry in pending.pop().iterdir():
            if entry.is_symlink() or entry.name in SKIPPED:
                continue
            if entry.is_dir():
                pending.append(entry)
            elif _MODULE.fullmatch(entry.name):
                count = len(_TEST.findall(read(entry.parent, entry.name)))
                if count:
                    found[entry.relative_to(tree).as_posix()] = count
    return found


def modules(comparison: Comparison, tree: Path) -> dict[str, int]:
    """Those of a tree that the base's policy says can be run."""
    within = comparison.policy.within
    return {
        name: count for name, count in tests_of(tree).items() if not within or matches(name, within)
    }


def chosen(comparison: Comparison) -> tuple[str, ...] | None:
    """The modules that the policy and the size of the suite leave; None for the whole suite."""
    policy = comparison.policy
    known = modules(comparison, comparison.head.bench.tree)
    if policy.suite == "concerned" or too_many(known):
        found = concerned(comparison)
        if found:
            return found
    return tuple(sorted(known)) if policy.within else None


def outside(comparison: Comparison, names: Iterable[str]) -> list[str]:
    """Changed test modules that the policy does not let be run."""
    within = comparison.policy.within
    return [name for name in names if within and not matches(name, within)]


def too_many(known: dict[str, int]) -> bool:
    return sum(known.values()) > MOST_TESTS


def concerned(comparison: Comparison) -> tuple[str, ...]:
    """The test modules that a change can concern, the nearest first: changed ones, those called
    after a changed module, those beside it, and those that name it."""
    trees = comparison.base.bench.tree, comparison.head.bench.tree
    known = sorted({name for tree in trees for name in modules(comparison, tree)})
    changed = {name for one in comparison.changes for name in (one.path, one.before) if name}
    sources = [one for one in comparison.changes if one.path.endswith(".py")]
    stems = {PurePosixPath(one.path).stem for one in sources if one.path not in known}
    stems -= _COMMON
    homes = {str(PurePosixPath(one.path).parent) for one in sources if one.path not in known}
    dotted = _dotted(sources)

    def distance(name: str) -> int:
        path = PurePosixPath(name)
        words = set(re.split(r"_|\.", path.stem))
        if name in changed:
            return 0
        if any(path.stem in {f"test_{one}", f"{one}_test"} for one in stems):
            return 1
        if str(path.parent) in homes or str(path.parent.parent) in homes:
            return 2
        if words & stems:
            return 3
        return 4 if dotted and dotted.search(read(trees[1], name)) else 5

    ranked = sorted((distance(name), name) for name in known)
    return tuple(name for rank, name in ranked if rank < 5)[:MOST_FILES]


def _dotted(sources: Iterable[Change]) -> re.Pattern[bytes] | None:
    """Finds where a source names a changed module: by its dotted name, or as taken from its package."""
    found = set()
    for one in sources:
        parts = PurePosixPath(one.path).with_suffix("").parts
        parts = parts[1:] if parts[0] in {"src", "lib"} else parts
        if len(parts) > 1 and parts[-1] not in _COMMON:
            package, name = re.escape(".".join(parts[:-1])), re.escape(parts[-1])
            found |= {
                rf"\b{package}\.{name}\b",
                rf"\bfrom\s+{package}\s+import\s[^\n(]*\b{name}\b",
                rf"\bfrom\s+{package}\s+import\s*\([^)]*\b{name}\b",
            }
    return re.compile("|".join(sorted(found)).encode()) if found else None
