"""Configuration that asks for less than it did: thresholds, rules, files left out, steps of CI."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from shipway.gates.cases import read
from shipway.gates.changes import Change
from shipway.gates.comparison import Comparison
from shipway.gates.settings import WHOLE, settings
from shipway.gates.stack import look
from shipway.gates.tamper.trick import Level, Trick
from shipway.gates.trees import parts

# Options by what a smaller demand looks like; the last part of the name, without case.
LOWER = frozenset({"fail_under", "min_confidence", "minversion", "precision"})
HIGHER = frozenset({"max-line-length", "max_complexity", "max-complexity", "line-length"})
LONGER = frozenset({
    "ignore", "extend-ignore", "disable", "exclude", "extend-exclude", "omit", "exclude_lines",
    "exclude_also", "disable_error_code", "per-file-ignores", "skips", "exclude_dirs",
    "norecursedirs", "collect_ignore", "unfixable", "extend-per-file-ignores",
})  # fmt: skip
SHORTER = frozenset({"select", "extend-select", "enable", "enable_error_code", "testpaths",
                     "python_files", "python_functions", "python_classes", "source"})  # fmt: skip
OFF = frozenset({
    "strict", "warn_unused_ignores", "disallow_untyped_defs", "check_untyped_defs", "branch",
    "xfail_strict", "disallow_any_generics", "warn_return_any", "no_implicit_optional",
    "disallow_incomplete_defs", "strict_optional", "strict_equality", "warn_unreachable",
})  # fmt: skip
ON = frozenset(
    {"ignore_errors", "ignore_missing_imports", "skip_covered", "exit-zero", "allow_any"}
)
STYLE = HIGHER
RECIPES = frozenset({"Makefile", "makefile", "GNUmakefile", "tox.ini"})
DESELECTING = re.compile(
    r"(?<![\w-])(-k|-m|--deselect|--ignore(?:-glob)?|--exitfirst|-x|--maxfail|--no-cov|-p\s*no:"
    r"|--co(?:llect-only)?|--lf|--last-failed|--noconftest|--disable-warnings|-c|--confcutdir)\b"
)
EXCUSES = re.compile(
    r"(\|\|\s*(true|:|exit 0)\b|continue-on-error:\s*true|allow_failure:\s*true|\bset \+e\b"
    r"|;\s*exit 0\b|if:\s*(\$\{\{\s*)?false|--exit-zero)"
)
STEPS = re.compile(
    r"\b(pytest|unittest|tox|nox|mypy|ruff|flake8|bandit|coverage|make (?:test|lint|check))\b"
)


def relaxed(comparison: Comparison) -> Iterator[Trick]:
    """Findings on every changed configuration and policy file."""
    known = parts(comparison)
    yield from _started(comparison)
    for one in known.configuration:
        yield from _configuration(comparison, one)
    for one in comparison.changes:
        if one in known.configuration:
            continue
        name = PurePosixPath(one.path).name
        if known.roles.of(one.path) == "policy" or name in {"Makefile", "noxfile.py"}:
            yield from _policy(comparison, one)


def _started(comparison: Comparison) -> Iterator[Trick]:
    """The base's command ran the tests; whoever merges this gets another one."""
    before = look(comparison.base.bench.tree).test
    after = look(comparison.head.bench.tree).test
    changed = {one.before for one in comparison.changes}
    if before is None or before.source not in changed & RECIPES:
        return
    if after is not None and after.argv == before.argv:
        return
    said = f"tests were run by `{' '.join(before.argv)}`, "
    said += f"and would be by `{' '.join(after.argv)}`" if after else "and nothing would run them"
    yield Trick(Level.ASK, "test-command-changed", said, before.source)


def _configuration(comparison: Comparison, change: Change) -> Iterator[Trick]:
    base = settings(comparison.base.bench.tree, change.before)
    head = settings(comparison.head.bench.tree, None if change.is_gone else change.path)
    for tool in sorted(base.keys() | head.keys()):
        before, after = base.get(tool, {}), head.get(tool, {})
        for name in sorted(before.keys() | after.keys()):
            if before.get(name) == after.get(name):
                continue
            said = _loosening(name, before.get(name), after.get(name))
            if said is not None:
                level = Level.NOTE if _last(name) in STYLE else Level.ASK
                said = f"{tool}: {name} {said}"
                yield Trick(level, "configuration-relaxed", said, change.path)
    if change.is_gone and base and change.path != "setup.cfg":
        yield Trick(
            Level.ASK, "configuration-relaxed", f"the configuration of {', '.join(base)} is gone",
            change.path,
        )  # fmt: skip


def _last(name: str) -> str:
    return name.rsplit(".", 1)[-1].lower()


def _loosening(name: str, before: Any, after: Any) -> str | None:
    """How the option asks for less now, None when it does not."""
    last = _last(name)
    if name == WHOLE:
        return None
    if last == "addopts":
        return _addopts(before, after)
    if last in LOWER or last in HIGHER:
        return _number(last, before, after)
    if last in LONGER or "per-file-ignores" in name:
        extra = _words(after) - _words(before)
        return f"also has {_listed(extra)}" if extra else None
    if last in SHORTER and before is not None:
        missing = _words(before) - _words(after)
        return f"lacks {_listed(missing)}" if missing and after is not None else None
    if last in OFF and _truth(before) and not _truth(after):
        return "was switched off"
    if last in ON and _truth(after) and not _truth(before):
        return "was switched on"
    return None


def _addopts(before: Any, after: Any) -> str | None:
    had, has = (set(DESELECTING.findall(" ".join(_list(one)))) for one in (before, after))
    if has - had:
        return f"got {_listed(has - had)}"
    lost = {
        word for word in _list(before) if word.startswith(("--cov-fail-under", "--strict", "-W"))
    } - set(_list(after))
    return f"lost {_listed(lost)}" if lost else None


def _number(last: str, before: Any, after: Any) -> str | None:
    try:
        old = float(before)
        new = float(after) if after is not None else None
    except (TypeError, ValueError):
        return None
    if new is None:
        return f"was removed (it was {before})" if last in LOWER else None
    less = new < old if last in LOWER else new > old
    return f"went from {before} to {after}" if less else None


def _list(value: Any) -> list[str]:
    if isinstance(value, list | tuple):
        return [str(one) for one in value]
    return [] if value is None else re.split(r"[\s,]+", str(value).strip())


def _words(value: Any) -> set[str]:
    return {one for one in _list(value) if one and not one.startswith("#")}


def _listed(words: set[str]) -> str:
    return ", ".join(sorted(words)[:6])


def _truth(value: Any) -> bool:
    return str(value).strip().lower() in {"true", "1", "yes", "on"}


def _policy(comparison: Comparison, change: Change) -> Iterator[Trick]:
    """CI may be kept up; what it no longer does, and who judges, is a person's business."""
    before = read(comparison.base.bench.tree, change.before).decode("utf-8", "replace")
    now = None if change.is_gone else change.path
    after = read(comparison.head.bench.tree, now).decode("utf-8", "replace")
    path = PurePosixPath(change.path)
    if ".shipway" in path.parts or path.name == "CODEOWNERS":
        yield Trick(
            Level.ASK, "policy-touched", "who or what judges changes is written here", change.path
        )
        return
    if change.is_gone and STEPS.search(before):
        yield Trick(Level.ASK, "ci-relaxed", "a file of CI that runs checks is gone", change.path)
        return
    excuses = len(EXCUSES.findall(after)) - len(EXCUSES.findall(before))
    if excuses > 0:
        said = f"a failing step no longer fails ({EXCUSES.findall(after)[-1][0]})"
        yield Trick(Level.ASK, "ci-relaxed", said, change.path)
    lost = set(STEPS.findall(before)) - set(STEPS.findall(after))
    if lost:
        yield Trick(Level.ASK, "ci-relaxed", f"it no longer runs {_listed(lost)}", change.path)
    if not excuses > 0 and not lost and path.name not in {"Makefile", "noxfile.py"}:
        yield Trick(Level.NOTE, "ci-touched", "CI was changed, and runs what it ran", change.path)
