"""Adds to a document the error answers that it leaves out, and refuses to change what it says."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from shipway.errors import SpecificationError

_STEP = re.compile(r'\["(?:[^"\\]|\\.)*"\]')


def target(*keys: str) -> str:
    """The JSONPath of a place, as an overlay action's ``target``."""
    return "$" + "".join(f"[{json.dumps(key, ensure_ascii=False)}]" for key in keys)


def overlaid(document: Mapping[str, Any], overlay: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """A copy of the document with every action applied.

    An action has a ``target`` (made by ``target``) and an ``update``, whose members are added to
    the mapping found there. Raises SpecificationError if the target is not there or has one of the
    members already.
    """
    result = copy.deepcopy(dict(document))
    for action in overlay:
        _add(_mapping_at(result, str(action["target"])), action)
    return result


def _mapping_at(document: dict[str, Any], path: str) -> dict[str, Any]:
    steps = [json.loads(step[1:-1]) for step in _STEP.findall(path)]
    value: Any = document
    for step in steps:
        value = value.get(step) if isinstance(value, dict) else None
    if target(*steps) != path or not isinstance(value, dict):
        raise SpecificationError(
            f"the overlay's target {path} is not in the document",
            hint="Use the overlay of the plan that was made from this document.",
        )
    return value


def _add(place: dict[str, Any], action: Mapping[str, Any]) -> None:
    for key, value in action["update"].items():
        if key in place:
            raise SpecificationError(
                f"the overlay would change {action['target']}[{json.dumps(key)}]",
                hint="An overlay only adds what the document leaves out.",
            )
        place[key] = copy.deepcopy(value)
