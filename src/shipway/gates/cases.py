"""The tests and checking functions of a module as syntax, and which of two trees' belong together."""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from shipway.gates.changes import Change

Function = ast.FunctionDef | ast.AsyncFunctionDef
LARGEST = 4_000_000
LEAST = 3


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One function of a test module. ``around`` are the classes it lies in, outermost first."""

    path: str
    scope: tuple[str, ...]
    node: Function
    around: tuple[ast.ClassDef, ...]
    module: ast.Module

    @property
    def name(self) -> str:
        return self.node.name

    @property
    def id(self) -> str:
        """The node id as pytest has it, without parameters."""
        return "::".join((self.path, *self.scope, self.name))

    @property
    def is_test(self) -> bool:
        return self.name.startswith("test")

    @property
    def body(self) -> str:
        """What it does, without its name and docstring; the same text for the same code."""
        return _dump(self.node)

    @property
    def whole(self) -> str:
        return self.body + "|" + "|".join(ast.dump(one) for one in self.node.decorator_list)

    @property
    def content(self) -> frozenset[str]:
        """The literals and the names that it uses: what must not get lost when a test is moved."""
        return frozenset(_content(self.node))


def _dump(node: Function) -> str:
    body = node.body
    first = body[0] if body else None
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        body = body[isinstance(first.value.value, str) :]
    return ast.dump(node.args) + "|" + "|".join(ast.dump(one) for one in body)


def idle(node: Function) -> list[Function]:
    """Functions inside a function that it never uses: what they hold is never run."""
    used = {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
    return [
        one
        for one in ast.walk(node)
        if isinstance(one, Function)
        and one is not node
        and one.name not in used
        and not one.decorator_list
    ]


def _content(node: Function) -> Iterator[str]:
    never = {id(part) for inner in idle(node) for part in ast.walk(inner)}
    for part in (*node.body, *node.decorator_list):
        for one in ast.walk(part):
            if id(one) in never:
                continue
            if isinstance(one, ast.Constant):
                yield f"={one.value!r}"
            elif isinstance(one, ast.Attribute):
                yield f".{one.attr}"
            elif isinstance(one, ast.Call) and isinstance(one.func, ast.Name):
                yield f".{one.func.id}"


def parse(text: bytes | str) -> ast.Module | None:
    """The module's syntax, None when it has none that this Python reads."""
    try:
        return _parsed(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


@functools.lru_cache(maxsize=256)
def _parsed(text: bytes | str) -> ast.Module:
    return ast.parse(text)


def read(tree: Path, name: str | None) -> bytes:
    """A file's bytes; b"" for what is no plain file, or too large to be a source."""
    if name is None:
        return b""
    path = tree / name
    if path.is_symlink() or not path.is_file() or path.stat().st_size > LARGEST:
        return b""
    return path.read_bytes()


def cases(path: str, module: ast.Module | None) -> list[Case]:
    """Every function of the module's top level and of its classes."""
    if module is None:
        return []
    return list(_functions(path, module, module.body, ()))


def _functions(
    path: str, module: ast.Module, body: list[ast.stmt], around: tuple[ast.ClassDef, ...]
) -> Iterator[Case]:
    last = {node.name: node for node in body if isinstance(node, Function)}
    for node in body:
        if isinstance(node, Function):
            if last[node.name] is node:  # one that is defined again below is never run
                yield Case(path, tuple(one.name for one in around), node, around, module)
        elif isinstance(node, ast.ClassDef):
            yield from _functions(path, module, node.body, (*around, node))
        elif isinstance(node, ast.If | ast.Try | ast.With):
            inner = [one for one in ast.iter_child_nodes(node) if isinstance(one, ast.stmt)]
            yield from _functions(path, module, inner, around)


@dataclass
class Pairing:
    """Which functions of the base became which of the head in the changed files."""

    pairs: list[tuple[Case, Case]] = field(default_factory=list)
    gone: list[Case] = field(default_factory=list)
    new: list[Case] = field(default_factory=list)

    @functools.cached_property
    def by_id(self) -> dict[str, tuple[Case, Case | None]]:
        """Each function of the base by its id, and what it became."""
        known: dict[str, tuple[Case, Case | None]] = {one.id: (one, None) for one in self.gone}
        return known | {old.id: (old, new) for old, new in self.pairs}

    @functools.cached_property
    def fresh(self) -> frozenset[str]:
        """Ids of the head's functions that are new or not what they were."""
        changed = {new.id for old, new in self.pairs if old.whole != new.whole}
        return frozenset(changed | {one.id for one in self.new})


def plain(node: str) -> str:
    """A node id without its parameters."""
    return node.split("[", 1)[0]


def pair(base: Iterable[Case], head: Iterable[Case], moved: Mapping[str, str]) -> Pairing:
    """Match by id, then by name, then by what they do; ``moved`` are renamed files, old to new.

    A function that holds everything another one held, literals and names, counts as its successor,
    unless it stood there before.
    """
    left, right = list(base), list(head)
    found = Pairing()
    for key in (
        lambda one: (moved.get(one.path, one.path), one.scope, one.name),
        lambda one: (one.scope[-1:], one.name),
        lambda one: (one.name,),
        lambda one: (one.is_test, one.body),
    ):
        left, right = _by_key(left, right, key, found)
    _by_content(left, right, found)
    return found


def _by_key(
    left: list[Case], right: list[Case], key: Callable[[Case], object], found: Pairing
) -> tuple[list[Case], list[Case]]:
    """Pair those whose key is the same on both sides, in their order."""
    waiting: dict[object, list[Case]] = {}
    for one in right:
        waiting.setdefault(key(one), []).append(one)
    over = []
    for one in left:
        same = waiting.get(key(one))
        if same:
            found.pairs.append((one, same.pop(0)))
        else:
            over.append(one)
    return over, [one for same in waiting.values() for one in same]


def _by_content(left: list[Case], right: list[Case], found: Pairing) -> None:
    changed = [new for old, new in found.pairs if old.whole != new.whole and new.is_test]
    called = {name for new in (*right, *changed) if new.is_test for name in new.content}
    # What no test is and no test calls is never run, whatever it holds.
    run = [new for new in (*right, *changed) if new.is_test or f".{new.name}" in called]
    taken = set()
    for one in left:
        content = one.content
        heirs = (new for new in run if len(content) >= LEAST and content <= new.content)
        heir = next(heirs, None) if one.is_test else None
        if heir is None:
            found.gone.append(one)
        else:
            found.pairs.append((one, heir))
            taken.add(heir.id)
    found.new = [one for one in right if one.id not in taken]


def pairing(
    base: Path, head: Path, changes: Iterable[Change], is_test: Callable[[str], bool]
) -> Pairing:
    """The functions of all changed test files of two trees."""
    old: list[Case] = []
    new: list[Case] = []
    moved = {}
    for one in changes:
        before = one.before
        if before and before.endswith(".py") and is_test(before):
            old += cases(before, parse(read(base, before)))
            moved[before] = one.path
        if not one.is_gone and one.path.endswith(".py") and is_test(one.path):
            new += cases(one.path, parse(read(head, one.path)))
    return pair(old, new, moved)
