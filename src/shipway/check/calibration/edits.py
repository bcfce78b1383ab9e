"""Bends tests the way a cheat would: a test taken out, skipped, or left with nothing to compare."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from shipway.gates.cases import Case, cases, pair, parse

Edit = Callable[[bytes, list[Case]], bytes]


@dataclass(frozen=True, slots=True)
class Changed:
    """A test file of a change: the tests that it brings or changes, and whether they stood before."""

    path: str
    data: bytes
    altered: tuple[Case, ...]
    new: tuple[Case, ...]


def changed(path: str, before: bytes | None, after: bytes) -> Changed:
    """The tests of a file that a change touches."""
    known = pair(cases(path, parse(before or b"")), cases(path, parse(after)), {})
    altered = tuple(
        new
        for old, new in known.pairs
        if new.is_test and new.path == path and old.whole != new.whole
    )
    return Changed(path, after, altered, tuple(one for one in known.new if one.is_test))


def deleted(data: bytes, chosen: Iterable[Case]) -> bytes:
    """Without these tests; a class that would be empty keeps a `pass`."""
    lines = data.splitlines(keepends=True)
    for case in _last_first(chosen):
        start, end = _span(case)
        alone = bool(case.around) and len(case.around[-1].body) == 1
        indent = b" " * case.node.col_offset
        lines[start:end] = [indent + b"pass\n"] if alone else []
    return b"".join(lines)


def skipped(data: bytes, chosen: Iterable[Case]) -> bytes:
    """With a skip mark on each of these tests; where nothing for it is imported, they skip themselves."""
    lines = data.splitlines(keepends=True)
    for case in _last_first(chosen):
        indent, at = " " * case.node.col_offset, _span(case)[0]
        if _is_unittest(case) and _imports(case.module, "unittest"):
            mark = '@unittest.skip("later")'
        elif _imports(case.module, "pytest"):
            mark = '@pytest.mark.skip(reason="later")'
        else:
            first = case.node.body[0]
            indent, at = " " * first.col_offset, first.lineno - 1
            mark = '__import__("pytest").skip("later")'
        lines.insert(at, f"{indent}{mark}\n".encode())
    return b"".join(lines)


def weakened(data: bytes, chosen: Iterable[Case]) -> bytes:
    """With every assertion of these tests replaced by one that always holds."""
    starts = [0]
    for line in data.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    edits = sorted(
        {
            (starts[node.lineno - 1] + node.col_offset, _end(starts, node), new)
            for case in chosen
            for node, new in _assertions(case)
        },
        reverse=True,
    )
    for start, end, new in edits:
        data = data[:start] + new.encode() + data[end:]
    return data


def _end(starts: list[int], node: ast.stmt | ast.expr) -> int:
    return starts[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)


def _assertions(case: Case) -> Iterator[tuple[ast.stmt | ast.expr, str]]:
    for node in ast.walk(case.node):
        if isinstance(node, ast.Assert) or (
            isinstance(node, ast.Expr) and _is_assertion(node.value)
        ):
            yield node, "assert True"
        elif isinstance(node, ast.With) and len(node.items) == 1:
            expected = node.items[0].context_expr
            if _is_assertion(expected) or _raises(expected):
                yield expected, '__import__("contextlib").suppress(BaseException)'


def _is_assertion(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr.startswith("assert")
    )


def _raises(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("raises", "warns"))


def _last_first(chosen: Iterable[Case]) -> list[Case]:
    return sorted(chosen, key=lambda one: one.node.lineno, reverse=True)


def _span(case: Case) -> tuple[int, int]:
    """The lines of a test with its decorators, counted from 0."""
    first = min([case.node.lineno, *(one.lineno for one in case.node.decorator_list)])
    return first - 1, case.node.end_lineno or case.node.lineno


def _is_unittest(case: Case) -> bool:
    return any("TestCase" in ast.unparse(base) for one in case.around for base in one.bases)


def _imports(module: ast.Module, name: str) -> bool:
    return any(
        isinstance(node, ast.Import)
        and any(one.name == name and not one.asname for one in node.names)
        for node in module.body
    )
