"""Values that tests of the project try on each kind of field: what is read, and what is refused."""

from __future__ import annotations

from collections.abc import Collection

from shipway.agents.scaffolding.layout import Call, Part, lay
from shipway.agents.scaffolding.words import literal

_TRIED: dict[str, tuple[list[str], list[str]]] = {
    "Integer": (["0", "-5", "2.0", "2**70"], ["1.5", '"1"', "True"]),
    "Date": (['"2024-02-29"'], ['"2023-02-29"', '"2024-2-9"', '"20240229"', '"today"', "5"]),
    "Moment": (
        ['"2024-02-29T12:00:00Z"', '"2024-02-29t12:00:00.5+02:00"'],
        ['"2024-02-29T12:00:00"', '"2024-02-29"', '"0001-01-01T00:00:00+05:00"', "5"],
    ),
    "Time": (['"12:00:00Z"', '"23:59:59.5+01:00"'], ['"12:00"', '"24:00:00Z"', "5"]),
    "Uuid": (['"0b7c9f0e-54a5-4f0c-9a3f-6f2f4f3b9d11"'], ['"0b7c9f0e-54a5"', '"x"', "5"]),
    "Email": (['"a@example.org"'], ['"a"', '"a@b@c"', '"a b@c"', "5"]),
    "Uri": (['"https://example.org/a?b#c"', '"urn:isbn:1"'], ['"example.org"', '"a b:c"', "5"]),
    "IntegerText": (['"0"', '"-12"'], ['"1.0"', '"+1"', '" 1"', '"1_0"', '"\\u0661"', '""']),
    "NumberText": (['"0"', '"-1.5"', '"1e3"'], ['""', '"nan"', '"1_0"', '".5"']),
    "BooleanText": (['"true"', '"false"'], ['"True"', '"1"', '"yes"', '""']),
}


def table(used: Collection[str]) -> str:
    """The constant that lists, for each kind that is used, good and bad values; empty when none is."""
    rows: list[Part] = []
    for name, (good, bad) in _TRIED.items():
        if name in used:
            rows.append(Call("(", [literal(name), Call("[", good, "]"), Call("[", bad, "]")], ")"))
    if not rows:
        return ""
    return lay(Call("KINDS: list[tuple[str, list[Any], list[Any]]] = [", rows, "]"))
