"""Conditions: small typed comparisons over earlier results, written ``plan.risk == "high"``.

Grammar: ``condition := all-of ("or" all-of)*``, ``all-of := term ("and" term)*``,
``term := ["not"] (comparison | "(" condition ")")``,
``comparison := path [op literal]`` with op one of ``== != < <= > >= in``;
a literal is a JSON scalar, or for ``in`` a JSON list of scalars. A bare path must be a boolean.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_TOKEN = re.compile(
    r"""\s*(?:(?P<op>==|!=|<=|>=|<|>)|(?P<bracket>[()])|(?P<list>\[[^\]]*\])"""
    r"""|(?P<string>"(?:[^"\\]|\\.)*")|(?P<number>-?\d+(?:\.\d+)?)"""
    r"""|(?P<word>[A-Za-z_][A-Za-z0-9_-]*(?:\.[A-Za-z_][A-Za-z0-9_-]*)*))"""
)
_ORDERED: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class ConditionError(ValueError):
    """The text is no condition; the message says where it stops making sense."""


@dataclass(frozen=True, slots=True)
class Comparison:
    path: tuple[str, ...]
    op: str
    literal: Any


@dataclass(frozen=True, slots=True)
class Not:
    part: Condition


@dataclass(frozen=True, slots=True)
class Both:
    """``op`` is "and" or "or"."""

    op: str
    parts: tuple[Condition, ...]


Condition = Comparison | Not | Both


def parse(text: str) -> Condition:
    """Read a condition; raises ConditionError."""
    tokens = list(_tokens(text))
    condition, rest = _any_of(tokens)
    if rest:
        raise ConditionError(f"unexpected {rest[0][1]!r}")
    return condition


def holds(condition: Condition, values: Mapping[str, Any]) -> bool:
    """Whether it is true of ``values``; a path that is not there compares as None."""
    match condition:
        case Comparison():
            return _compare(condition, lookup(values, condition.path))
        case Not(part):
            return not holds(part, values)
        case Both("and", parts):
            return all(holds(part, values) for part in parts)
        case Both(_, parts):
            return any(holds(part, values) for part in parts)


def render(condition: Condition) -> str:
    """The condition as a person would write it."""
    match condition:
        case Comparison(path, "==", literal) if literal is True:
            return ".".join(path)
        case Comparison(path, op, literal):
            return f"{'.'.join(path)} {op} {json.dumps(literal, ensure_ascii=False)}"
        case Not(Both() as part):
            return f"not ({render(part)})"
        case Not(part):
            return f"not {render(part)}"
        case Both(op, parts):
            inner = (f"({render(p)})" if isinstance(p, Both) else render(p) for p in parts)
            return f" {op} ".join(inner)


def comparisons(condition: Condition) -> Iterator[Comparison]:
    """Every comparison in it, for checking paths and types when a pipeline is loaded."""
    match condition:
        case Comparison():
            yield condition
        case Not(part):
            yield from comparisons(part)
        case Both(_, parts):
            for part in parts:
                yield from comparisons(part)


def lookup(values: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    """The value at ``path``, or None where a step is missing."""
    current: Any = values
    for step in path:
        # The dictionary first: to ask the other one is a call into Python.
        if not isinstance(current, (dict, Mapping)) or step not in current:
            return None
        current = current[step]
    return current


def _compare(comparison: Comparison, value: Any) -> bool:
    match comparison.op:
        case "==":
            return bool(value == comparison.literal)
        case "!=":
            return bool(value != comparison.literal)
        case "in":
            return value in comparison.literal
        case op:
            return value is not None and _ORDERED[op](value, comparison.literal)


_Tokens = list[tuple[str, str]]


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    position, end = 0, len(text.rstrip())
    if not end:
        raise ConditionError("it is empty")
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            raise ConditionError(f"cannot read {text[position : position + 12].strip()!r}")
        yield match.lastgroup, match.group(match.lastgroup)
        position = match.end()


def _any_of(tokens: _Tokens) -> tuple[Condition, _Tokens]:
    return _joined(tokens, "or", lambda rest: _joined(rest, "and", _term))


def _joined(
    tokens: _Tokens, word: str, part: Callable[[_Tokens], tuple[Condition, _Tokens]]
) -> tuple[Condition, _Tokens]:
    first, rest = part(tokens)
    parts = [first]
    while rest and rest[0] == ("word", word):
        following, rest = part(rest[1:])
        parts.append(following)
    return (first if len(parts) == 1 else Both(word, tuple(parts))), rest


def _term(tokens: _Tokens) -> tuple[Condition, _Tokens]:
    if not tokens:
        raise ConditionError("it ends too early")
    kind, text = tokens[0]
    if (kind, text) == ("word", "not"):
        inner, rest = _term(tokens[1:])
        return Not(inner), rest
    if (kind, text) == ("bracket", "("):
        inner, rest = _any_of(tokens[1:])
        if not rest or rest[0] != ("bracket", ")"):
            raise ConditionError("a bracket is not closed")
        return inner, rest[1:]
    if kind != "word":
        raise ConditionError(f"expected a path like plan.risk, found {text!r}")
    return _comparison(tuple(text.split(".")), tokens[1:])


def _comparison(path: tuple[str, ...], rest: _Tokens) -> tuple[Condition, _Tokens]:
    if rest and (rest[0][0] == "op" or rest[0] == ("word", "in")):
        op = rest[0][1]
        if len(rest) == 1:
            raise ConditionError(f"nothing stands after {op!r}")
        return Comparison(path, op, _literal(op, *rest[1])), rest[2:]
    return Comparison(path, "==", literal=True), rest


def _literal(op: str, kind: str, text: str) -> Any:
    if kind == "word" and text not in {"true", "false", "null"}:
        raise ConditionError(f"{text!r} is no literal; put words in double quotes")
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        raise ConditionError(f"{text!r} is no literal") from None
    if isinstance(value, list) is not (op == "in"):
        raise ConditionError(f"{op!r} does not go with {text!r}")
    return value
