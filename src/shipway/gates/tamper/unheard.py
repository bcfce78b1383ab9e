"""Tests that still stand in the text but say nothing: never met by the runner, or asking a stand-in."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from shipway.gates.cases import Case, Function, cases, parse, plain, read
from shipway.gates.comparison import Comparison
from shipway.gates.tamper.measured import Measured
from shipway.gates.tamper.trick import Level, Trick


def unheard(comparison: Comparison, seen: Measured) -> Iterator[Trick]:
    """Tests of the base that pass on the head's source, and that the head's own run does not meet.

    Their functions stand there, or stand for something else: renamed, put where nobody collects
    them, taken out of their module again. What is simply gone is told by ``gone``.
    """
    if seen.old is seen.head:
        return
    ran = {_short(node) for node in seen.head.outcomes}
    judged = seen.base.passed if seen.base is not None else frozenset()
    told: set[str] = set()
    for node in sorted(seen.old.passed - judged):
        name = plain(node)
        case, heir = seen.pairs.by_id.get(name, (None, None))
        if name in told or (case is not None and heir is None) or seen.heirs(node):
            continue
        if _short(seen.heir(node)) in ran:
            continue  # a class that inherits it runs it
        if _runs_under_another_file(comparison, seen, seen.heir(node)):
            continue
        told.add(name)
        place = heir or case
        yield Trick(
            Level.ASK,
            "test-unheard",
            f"{name}: passes on the head's source, and the head does not run it",
            place.path if place else name.split("::", maxsplit=1)[0],
            place.node.lineno if place else None,
            f"python -m pytest '{node}'",
        )


def _runs_under_another_file(comparison: Comparison, seen: Measured, name: str) -> bool:
    """Whether a file that nobody touched takes the test from its module, and runs it."""
    file, _, rest = name.partition("::")
    touched = {one.path for one in comparison.changes}
    others = {
        place
        for one in seen.head.passed
        for place, _, what in [plain(one).partition("::")]
        if what == rest and place not in touched
    }
    stem = PurePosixPath(file).stem
    return any(_takes_from(comparison.base.bench.tree, one, stem) for one in others)


def _takes_from(tree: Path, name: str, stem: str) -> bool:
    module = _parsed(tree, name)
    return module is not None and any(
        isinstance(node, ast.ImportFrom) and (node.module or "").rpartition(".")[2] == stem
        for node in ast.walk(module)
    )


def _short(node: str) -> tuple[str, str]:
    """The file of a test and its function's name, whatever class it runs in."""
    name = plain(node)
    return name.split("::", maxsplit=1)[0], name.rsplit("::", maxsplit=1)[-1]


def stand_ins(comparison: Comparison, seen: Measured) -> Iterator[Trick]:
    """What tests of the base imported, and the head's make up themselves."""
    for old, new in seen.pairs.pairs:
        if old.whole == new.whole or not (old.is_test and new.is_test):
            continue
        if seen.discriminates(new.id):
            continue
        for name in sorted(_imported(old.module) & _loaded(old.node) - _bound(old.node)):
            if name in _bound(new.node):
                yield _made_up(new.path, new.node.lineno, f"{new.id}: it makes its own {name}")
    for one in seen.parts.testing:
        if one.before and not one.is_gone and one.path.endswith(".py"):
            yield from _of_module(comparison, one.before, one.path)


def _of_module(comparison: Comparison, before: str, path: str) -> Iterator[Trick]:
    """Names that the tests of a changed module used from elsewhere, and that it defines now."""
    old = _parsed(comparison.base.bench.tree, before)
    new = _parsed(comparison.head.bench.tree, path)
    if old is None or new is None:
        return
    used = set[str]().union(*(_loaded(one.node) for one in _tests(before, old)))
    for name, line in _defined(new.body):
        if name in used and name in _imported(old) and name not in _imported(new):
            yield _made_up(path, line, f"{path} makes its own {name}")


def _made_up(path: str, line: int, said: str) -> Trick:
    what = f"{said}, which the base's tests took from what they test"
    return Trick(Level.ASK, "stand-in", what, path, line)


def _parsed(tree: Path, name: str) -> ast.Module | None:
    return parse(read(tree, name))


def _tests(path: str, module: ast.Module) -> Iterable[Case]:
    return (one for one in cases(path, module) if one.is_test)


def _imported(module: ast.Module) -> set[str]:
    """The names that the imports of a module's top level bind."""
    return {
        one.asname or one.name.split(".", maxsplit=1)[0]
        for node in module.body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for one in node.names
    }


def _defined(body: list[ast.stmt]) -> Iterator[tuple[str, int]]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name, node.lineno
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    yield target.id, node.lineno


def _loaded(node: Function) -> set[str]:
    return {
        one.id
        for one in ast.walk(node)
        if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load)
    }


def _bound(node: Function) -> set[str]:
    """What the function binds itself: parameters, assignments, functions inside it."""
    arguments = node.args
    names = {one.arg for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
    for one in ast.walk(node):
        if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store):
            names.add(one.id)
        elif one is not node and isinstance(one, Function | ast.ClassDef):
            names.add(one.name)
    return names
