"""Paths that cover each other: fixed words win, whatever the order of the document."""

from __future__ import annotations

import pytest

from shipway.agents.scaffolding.addresses import covers, in_order, swallowed
from shipway.contracts.service_plan import OperationPlan


def operation(method, path):
    name = f"{method} {path}"
    return OperationPlan(
        id=name, attr="x", method=method, path=path, behaviour="unimplemented", success=200
    )


@pytest.mark.parametrize(
    ("wide", "narrow", "expected"),
    [
        ("/pets/{id}", "/pets/search", True),
        ("/{kind}/{id}", "/pets/{id}", True),
        ("/pets/search", "/pets/{id}", False),
        ("/pets/{id}", "/pets/{name}", False),
        ("/pets/{id}", "/pets/search/now", False),
        ("/dogs/{id}", "/pets/search", False),
    ],
)
def test_a_parameter_covers_a_word_in_the_same_place(wide, narrow, expected):
    assert covers(wide, narrow) is expected


def test_modules_with_fixed_words_come_first():
    modules = {
        "any": [operation("get", "/{kind}/{id}")],
        "pet": [operation("get", "/pets/{id}")],
        "other": [operation("get", "/pets/search")],
    }
    assert in_order(modules) == ["other", "pet", "any"]


def test_modules_that_cover_each_other_are_all_kept():
    modules = {
        "a": [operation("get", "/a/{x}"), operation("get", "/b/c")],
        "b": [operation("get", "/b/{x}"), operation("get", "/a/c")],
    }
    assert sorted(in_order(modules)) == ["a", "b"]


def test_a_fixed_path_does_not_lend_methods_from_its_neighbour():
    own = [operation("get", "/pets/search"), operation("delete", "/pets/{id}")]
    assert swallowed([*own, operation("get", "/pets/{id}")]) == {"/pets/search": ["GET"]}
    assert swallowed([operation("get", "/a"), operation("get", "/{x}")]) == {}
