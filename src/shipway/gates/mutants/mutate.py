"""Small faults planted into a source, one at a time, on the lines that a change touched."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeGuard

SWAPPED: dict[type[ast.cmpop], str] = {
    ast.Eq: "!=", ast.NotEq: "==", ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">",
    ast.In: "not in", ast.NotIn: "in", ast.Is: "is not", ast.IsNot: "is",
}  # fmt: skip
ARITHMETIC: dict[type[ast.operator], str] = {
    ast.Add: "-", ast.Sub: "+", ast.Mult: "+", ast.Div: "*", ast.FloorDiv: "*", ast.Mod: "*",
    ast.Pow: "*", ast.LShift: ">>", ast.RShift: "<<", ast.BitAnd: "|", ast.BitOr: "&",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mutant:
    """One fault: the bytes from ``start`` to ``end`` become ``new``."""

    path: str
    line: int
    start: int
    end: int
    old: str
    new: str
    kind: str

    def apply(self, source: bytes) -> bytes:
        return source[: self.start] + self.new.encode() + source[self.end :]

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: `{self.old}` became `{self.new}`"


def mutants(path: str, source: bytes, lines: frozenset[int]) -> list[Mutant]:
    """Every fault on these lines that still is Python, in the order of the source."""
    try:
        module = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return []
    place = _Place(path, source)
    found = {}
    for node in _code(module):
        if getattr(node, "lineno", 0) in lines:
            for mutant in _of(node, place):
                if mutant.old != mutant.new and _is_python(mutant.apply(source)):
                    found[mutant.start, mutant.end, mutant.new] = mutant
    return sorted(found.values(), key=lambda one: (one.start, one.end, one.new))


def spread(found: list[Mutant], most: int) -> list[Mutant]:
    """At most so many, from everywhere in the list rather than from its beginning."""
    if len(found) <= most:
        return found
    return [found[at * len(found) // most] for at in range(most)]


class _Place:
    """Where nodes lie in the bytes of a source."""

    def __init__(self, path: str, source: bytes) -> None:
        self.path = path
        self.source = source
        self.starts = [0]
        for line in source.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))

    def span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        start = self.starts[node.lineno - 1] + node.col_offset
        end = self.starts[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)
        return start, end

    def text(self, node: ast.expr | ast.stmt) -> str:
        start, end = self.span(node)
        return self.source[start:end].decode("utf-8", "replace")

    def mutant(self, node: ast.expr | ast.stmt, new: str, kind: str) -> Mutant:
        start, end = self.span(node)
        return Mutant(self.path, node.lineno, start, end, self.text(node), new, kind)


def _code(module: ast.Module) -> Iterator[ast.AST]:
    """Everything but docstrings, annotations and what only types read."""
    pending: list[ast.AST] = [module]
    while pending:
        node = pending.pop()
        yield node
        for name, value in ast.iter_fields(node):
            if name in {"annotation", "returns", "type_params", "decorator_list"}:
                continue
            children = value if isinstance(value, list) else [value]
            pending += [one for one in children if isinstance(one, ast.AST) and not _is_prose(one)]


def _is_prose(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    ) or (isinstance(node, ast.JoinedStr))


def _of(node: ast.AST, place: _Place) -> Iterator[Mutant]:
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        new = f"{place.text(node.left)} {SWAPPED[type(node.ops[0])]} {place.text(node.comparators[0])}"
        yield place.mutant(node, new, "comparison")
    elif isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC:
        new = f"{place.text(node.left)} {ARITHMETIC[type(node.op)]} {place.text(node.right)}"
        yield place.mutant(node, new, "arithmetic")
    elif isinstance(node, ast.BoolOp):
        word = " or " if isinstance(node.op, ast.And) else " and "
        yield place.mutant(node, word.join(place.text(one) for one in node.values), "logic")
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield place.mutant(node, place.text(node.operand), "logic")
    elif isinstance(node, ast.Constant):
        yield from _constant(node, place)
    elif isinstance(node, ast.If | ast.While | ast.IfExp):
        yield place.mutant(node.test, f"not ({place.text(node.test)})", "condition")
    elif isinstance(node, ast.Return) and node.value is not None and not _is_none(node.value):
        yield place.mutant(node.value, "None", "result")
    elif _is_effect(node):
        yield place.mutant(node, "pass", "statement")


def _is_effect(node: ast.AST) -> TypeGuard[ast.stmt]:
    """A statement that is there for what it does: raising, or calling for no result."""
    call = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call | ast.Await)
    return call or isinstance(node, ast.Raise)


def _constant(node: ast.Constant, place: _Place) -> Iterator[Mutant]:
    value = node.value
    if isinstance(value, bool):
        yield place.mutant(node, str(not value), "constant")
    elif isinstance(value, int | float):
        yield place.mutant(node, repr(value + 1), "constant")
    elif isinstance(value, str) and value:
        yield place.mutant(node, repr(f"x{value}"), "constant")


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _is_python(source: bytes) -> bool:
    try:
        compile(source, "mutant", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError):
        return False
    return True
