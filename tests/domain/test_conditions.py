"""Conditions: read, written back, true or false of what a run knows."""

from __future__ import annotations

from typing import Any

import pytest

from shipway.domain.conditions import ConditionError, comparisons, holds, parse, render

VALUES = {"plan": {"risk": "high", "count": 3, "service": True, "none": None}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plan.service", True),
        ("not plan.service", False),
        ('plan.risk == "high"', True),
        ('plan.risk != "high"', False),
        ("plan.count > 2 and plan.count <= 3", True),
        ("plan.count < 3 or plan.service", True),
        ('plan.risk in ["low", "high"]', True),
        ("not (plan.count >= 3 and plan.service)", False),
        ("plan.gone == null", True),
        ("plan.gone > 1", False),
        ("plan.risk.deeper == null", True),
    ],
)
def test_a_condition_is_true_or_false(text: str, expected: bool) -> None:
    condition = parse(text)
    assert holds(condition, VALUES) is expected
    assert holds(parse(render(condition)), VALUES) is expected


@pytest.mark.parametrize(
    "text",
    ["", "plan.risk ==", "== 3", "plan.a ~ 3", "(plan.a", "plan.a plan.b", "plan.a == high",
     "plan.a in 3", "plan.a == [1]", "not", "plan.a and", "plan.a in [1,,2]"],
)  # fmt: skip
def test_what_is_no_condition_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(ConditionError, match=r".+"):
        parse(text)


def test_every_comparison_is_found() -> None:
    found: list[Any] = list(comparisons(parse("a.b > 1 and not (c.d or e.f == 2)")))
    assert [one.path for one in found] == [("a", "b"), ("c", "d"), ("e", "f")]
