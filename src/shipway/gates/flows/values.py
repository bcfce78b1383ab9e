"""Values for requests: fresh ones that still fit their field, unknown keys, and the same value twice."""

from __future__ import annotations

import random
import re
import string
import uuid
from datetime import date, datetime, timedelta
from typing import Any

Json = dict[str, Any]
TRIES = 200
CLASSES = (string.digits, string.ascii_lowercase, string.ascii_uppercase)


def fresh(field: Json, value: Any, chance: random.Random, used: set[Any] | None = None) -> Any:
    """Another value of the field's kind that fits its limits and is not among the ``used`` ones.

    The value itself when there is no other.
    """
    taken = used if used is not None else set()
    if field["type"] in {"boolean", "object", "array", "any"} or field["enum"]:
        return value
    for _ in range(TRIES):
        made = _another(field, value, chance)
        if made != value and made not in taken:
            taken.add(made)
            return made
    return value


def _another(field: Json, value: Any, chance: random.Random) -> Any:
    kind = field["type"]
    if kind == "uuid":
        return str(uuid.UUID(int=chance.getrandbits(128), version=4))
    if kind in {"integer", "number"}:
        return _number(field, value, chance)
    if kind in {"date", "datetime"} and isinstance(value, str):
        return _moved(value, chance)
    return _text(field, value, chance) if isinstance(value, str) else value


def _number(field: Json, value: Any, chance: random.Random) -> Any:
    limits = field["limits"]
    low = next((x for x in (limits["minimum"], limits["exclusive_minimum"]) if x is not None), 1)
    high = next(
        (x for x in (limits["maximum"], limits["exclusive_maximum"]) if x is not None), None
    )
    step = limits["multiple_of"] or 1
    top = int(high) if high is not None else int(low) + 10**6
    if not isinstance(value, int | float) or top - int(low) < 2 * step:
        return value
    made = int(low) + int(step) * chance.randint(1, max(1, int((top - int(low)) / step) - 1))
    return made if field["type"] == "integer" else float(made)


def _moved(value: str, chance: random.Random) -> str:
    days = timedelta(days=chance.randint(1, 300))
    try:
        if "T" in value:
            then = datetime.fromisoformat(value) - days
            return then.isoformat().replace("+00:00", "Z")
        return (date.fromisoformat(value) - days).isoformat()
    except ValueError:
        return value


def _text(field: Json, value: str, chance: random.Random) -> str:
    """Longer by some letters, or with letters and digits changed to others of their kind."""
    if field["type"] == "uri":
        return value.rstrip("/") + "/" + _letters(chance)
    local, at, domain = value.partition("@") if field["type"] == "email" else (value, "", "")
    ways = (
        _letters(chance) + local,
        "".join(_other(one, chance) for one in local),
        local + _letters(chance),
        local + str(chance.randint(10**5, 10**6)),
    )
    for way in ways if chance.random() < 0.5 else ways[:2]:
        if _allowed(field, way + at + domain):
            return way + at + domain
    return value


def _allowed(field: Json, value: str) -> bool:
    limits = field["limits"]
    most, pattern = limits["max_length"], limits["pattern"]
    return (most is None or len(value) <= most) and (pattern is None or _fits(pattern, value))


def _fits(pattern: str, value: str) -> bool:
    try:
        return re.search(pattern, value) is not None
    except re.error:
        # A pattern that only other languages read: the value must not leave what the plan gave.
        return False


def _letters(chance: random.Random) -> str:
    return "".join(chance.choices(string.ascii_lowercase, k=6))


def _other(one: str, chance: random.Random) -> str:
    kind = next((letters for letters in CLASSES if one in letters), None)
    return chance.choice(kind) if kind and chance.random() < 0.7 else one


def unknown(field: Json, known: Any, chance: random.Random, used: set[Any] | None = None) -> Any:
    """A well-formed key that no row has, and that is not among the ``used`` ones."""
    if field["type"] in {"integer", "number"}:
        most = field["limits"]["maximum"]
        return int(most) if most is not None else 2_000_000_000 + chance.randint(0, 99_999)
    return fresh(field, known if known is not None else "unknown-key", chance, used)


def same(field: Json | None, sent: Any, got: Any) -> bool:
    """Whether the service gave back what was sent, in whatever notation JSON allows for it."""
    if isinstance(sent, bool) or isinstance(got, bool) or sent is None or got is None:
        return sent is got
    if isinstance(sent, int | float) and isinstance(got, int | float):
        return abs(sent - got) <= 1e-9 * max(1.0, abs(sent))
    if isinstance(sent, dict) and isinstance(got, dict):
        return all(name in got and same(None, value, got[name]) for name, value in sent.items())
    if isinstance(sent, list) and isinstance(got, list):
        return len(sent) == len(got) and all(
            same(None, one, other) for one, other in zip(sent, got, strict=True)
        )
    if field is not None and field["type"] in {"datetime", "email", "uuid", "time"}:
        return bool(_canonical(field["type"], sent) == _canonical(field["type"], got))
    return bool(sent == got)


def _canonical(kind: str, value: Any) -> Any:
    if kind == "datetime":
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            return value
        return moment.timestamp() if moment.tzinfo else moment.isoformat()
    return str(value).lower()


def fits(comparison: str, held: Any, asked: Any) -> bool:
    """Whether a row's value belongs into a list that was filtered by the asked one."""
    if held is None:
        return comparison == "ne"
    if isinstance(held, list):
        return any(fits(comparison, one, asked) for one in held)
    if comparison in {"contains", "prefix"}:
        left, right = str(held).casefold(), str(asked).casefold()
        return right in left if comparison == "contains" else left.startswith(right)
    left, right = _ordered(held), _ordered(asked)
    if comparison in {"eq", "in"}:
        return bool(left == right)
    if comparison == "ne":
        return bool(left != right)
    if type(left) is not type(right):
        return False
    return _compare(comparison, left, right)


def _compare(comparison: str, left: Any, right: Any) -> bool:
    if comparison in {"lt", "le"}:
        return bool(left < right or (comparison == "le" and left == right))
    return bool(left > right or (comparison == "ge" and left == right))


def _ordered(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return float(value)
    return _canonical("datetime", value) if isinstance(value, str) and "T" in value[8:12] else value
