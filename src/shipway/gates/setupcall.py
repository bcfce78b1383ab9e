"""What a ``setup.py`` says to ``setup()``, worked out from its text where that takes no running."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

# A text that somebody else wrote may neither take long nor grow.
STEPS, LONGEST = 5_000, 50_000
_SIMPLE = re.compile(r"(?:[^%]|%s|%%)*")


class _UnknownError(Exception):
    """Only running it would tell."""


_NOT_KNOWN = (_UnknownError, TypeError, ValueError, KeyError, IndexError, RecursionError)


def setup_call(tree: Path) -> dict[str, Any]:
    """The arguments of ``setup()`` that are written out, or put together of what the module writes out.

    What is not known of a list or a table is left out of it.
    """
    path = tree / "setup.py"
    if path.is_symlink() or not path.is_file():
        return {}
    try:
        module = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, RecursionError):
        return {}
    said = _Said(_names(module))
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("setup"):
            return dict(said.arguments(node))
    return {}


def _names(module: ast.Module) -> dict[str, ast.expr]:
    """What the module's names stand for; of one that is added to, both parts."""
    found: dict[str, ast.expr] = {}
    for node in module.body:
        if isinstance(node, ast.Assign):
            found |= {one.id: node.value for one in node.targets if isinstance(one, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and node.value and isinstance(node.target, ast.Name):
            found[node.target.id] = node.value
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            before = found.get(node.target.id, ast.Constant(None))
            found[node.target.id] = ast.BinOp(before, node.op, node.value)
    return found


class _Said:
    """Works out expressions of one module; each answer is a text, a number, a list or a table."""

    def __init__(self, names: dict[str, ast.expr]) -> None:
        self._names = names
        self._left = STEPS

    def arguments(self, call: ast.Call) -> Iterator[tuple[str, Any]]:
        """What is known of a call's named arguments."""
        for word in call.keywords:
            for value in self._known([word.value]):
                if word.arg is not None:
                    yield word.arg, value
                elif isinstance(value, dict):
                    yield from value.items()

    def _value(self, node: ast.AST) -> Any:
        self._left -= 1
        if self._left < 0:
            raise _UnknownError
        found = (
            self._whole(node)
            if isinstance(node, ast.List | ast.Tuple | ast.Set | ast.Dict)
            else self._part(node)
        )
        if isinstance(found, str | list) and len(found) > LONGEST:
            raise _UnknownError
        return found

    def _whole(self, node: ast.List | ast.Tuple | ast.Set | ast.Dict) -> Any:
        if isinstance(node, ast.Dict):
            return dict(self._items(node))
        return list(self._known(node.elts))

    def _part(self, node: ast.AST) -> Any:
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Name) and node.id in self._names:
            return self._value(self._names[node.id])
        if isinstance(node, ast.Subscript):
            return self._value(node.value)[self._value(node.slice)]
        if isinstance(node, ast.BinOp):
            return self._joined(node)
        if isinstance(node, ast.JoinedStr):
            return "".join(str(self._value(one)) for one in node.values)
        if isinstance(node, ast.FormattedValue) and node.format_spec is None:
            return self._value(node.value)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "dict" and not node.args:
            return dict(self.arguments(node))
        raise _UnknownError

    def _known(self, nodes: Iterable[ast.expr]) -> Iterator[Any]:
        """The values of those that have one."""
        for one in nodes:
            try:
                starred = isinstance(one, ast.Starred)
                value = self._value(one.value if isinstance(one, ast.Starred) else one)
            except _NOT_KNOWN:
                continue
            yield from value if starred and isinstance(value, list) else [value]

    def _items(self, node: ast.Dict) -> Iterator[tuple[Any, Any]]:
        for key, one in zip(node.keys, node.values, strict=True):
            for value in self._known([one]):
                if key is None:
                    yield from value.items() if isinstance(value, dict) else ()
                else:
                    yield from ((name, value) for name in self._known([key]))

    def _joined(self, node: ast.BinOp) -> Any:
        """Texts and lists put one after the other; of lists that are half known, that half."""
        parts = list(self._known([node.left, node.right]))
        both = len(parts) == 2
        if isinstance(node.op, ast.Mod) and both and isinstance(parts[0], str):
            filled = tuple(parts[1]) if isinstance(parts[1], list) else parts[1]
            if _SIMPLE.fullmatch(parts[0]):
                return parts[0] % filled
        elif isinstance(node.op, ast.Add) and parts and all(isinstance(one, list) for one in parts):
            return [part for one in parts for part in one]
        elif isinstance(node.op, ast.Add) and both:
            return parts[0] + parts[1]
        raise _UnknownError
