"""Whether a condition can be true, and false, given the types of what it compares."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any

from shipway.domain.conditions import Comparison, Condition, comparisons, holds
from shipway.engine.pipelines.fitting import NULL, Kind, Kinds

Path = tuple[str, ...]
_MOST = 50_000


def verdict(condition: Condition, kinds: Mapping[Path, Kinds]) -> bool | None:
    """True or False when it is so whatever the values are; None when it depends on them.

    Every comparison only tells apart the values at, below, between and above its literals, so
    trying one of each is a proof.
    """
    asked: dict[Path, list[Comparison]] = {}
    for comparison in comparisons(condition):
        asked.setdefault(comparison.path, []).append(comparison)
    samples = [_samples(kinds[path], found) for path, found in asked.items()]
    if math.prod(map(len, samples)) > _MOST:
        return None
    outcomes = {
        holds(condition, _nested(zip(asked, chosen, strict=True)))
        for chosen in itertools.product(*samples)
    }
    return outcomes.pop() if len(outcomes) == 1 else None


def literals(comparison: Comparison) -> list[Any]:
    """What it compares with, one by one."""
    return list(comparison.literal) if comparison.op == "in" else [comparison.literal]


def _samples(kinds: Kinds, found: list[Comparison]) -> list[Any]:
    named = [literal for comparison in found for literal in literals(comparison)]
    return [value for kind in kinds for value in _sample(kind, named)]


def _sample(kind: Kind, named: list[Any]) -> Iterator[Any]:
    if kind == NULL:
        yield None
    elif kind.values is not None:
        yield from kind.values
    elif kind.of == "boolean":
        yield from (True, False)
    elif kind.of in {"integer", "number"}:
        yield from _numbers(kind, named)
    elif kind.of == "text":
        texts = [one for one in named if isinstance(one, str)]
        yield from (*texts, "".join(texts) + "?")
    else:
        yield object()


def _numbers(kind: Kind, named: list[Any]) -> Iterator[int | float]:
    numbers = sorted({one for one in named if isinstance(one, int | float)}) or [0]
    if kind.of == "integer":
        around = {math.floor(one) + step for one in numbers for step in (-1, 0, 1, 2)}
        yield from sorted(around)
        return
    yield numbers[0] - 1
    for one, following in itertools.pairwise([*numbers, numbers[-1] + 2]):
        yield from (one, (one + following) / 2)


def _nested(pairs: Iterator[tuple[Path, Any]]) -> dict[str, Any]:
    """Values as ``holds`` looks them up; a path that runs through another's end is rare and harmless."""
    tree: dict[str, Any] = {}
    for path, value in pairs:
        place = tree
        for step in path[:-1]:
            deeper = place.setdefault(step, {})
            place = deeper if isinstance(deeper, dict) else {}
        place[path[-1]] = value
    return tree
