"""Schemas of both versions come to the same shape, and to the same self-contained JSON Schema."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from jsonschema import Draft202012Validator

from shipway.specs import Document
from shipway.specs.contained import contained
from shipway.specs.document import find
from shipway.specs.shapes import Shape, shape

Schema = Callable[..., Document]


def of(document: Document) -> Shape:
    return shape(document, find(document.data, "#/components/schemas/Subject"))


@pytest.mark.parametrize(
    ("version", "subject"),
    [
        ("3.0.3", {"type": "string", "nullable": True}),
        ("3.0.3", {"allOf": [{"$ref": "#/components/schemas/Word"}], "nullable": True}),
        ("3.1.0", {"type": ["string", "null"]}),
        ("3.1.0", {"oneOf": [{"type": "null"}, {"$ref": "#/components/schemas/Word"}]}),
        ("3.1.0", {"anyOf": [{"$ref": "#/components/schemas/Word"}, {"enum": [None]}]}),
    ],
)
def test_every_way_to_say_null_is_understood(schema: Schema, version: str, subject: object) -> None:
    found = of(schema(subject, version, Word={"type": "string"}))
    assert (found.types, found.nullable, found.alternatives) == (("string",), True, ())


def test_all_of_merges_the_tightest_of_everything(schema: Schema) -> None:
    found = of(
        schema(
            {
                "allOf": [
                    {"$ref": "#/components/schemas/Part"},
                    {"required": ["b"], "properties": {"a": {"maxLength": 5}, "b": {"type": "integer"}}},
                ],
                "description": "own words",
            },
            Part={
                "type": "object", "required": ["a"],
                "properties": {"a": {"type": "string", "minLength": 2, "maxLength": 9}},
            },
        )
    )  # fmt: skip
    assert found.required == ("a", "b")
    assert list(found.properties) == ["a", "b"]
    assert found.description == "own words"
    document = schema({"type": "string"})
    inner = shape(document, found.properties["a"])
    assert inner.limits == {"minLength": 2, "maxLength": 5}
    assert inner.type == "string"


def test_all_of_around_one_reference_keeps_its_name(schema: Schema) -> None:
    subject = {"allOf": [{"$ref": "#/components/schemas/W"}], "default": "a"}
    found = of(schema(subject, W={"enum": ["a", "b"]}))
    assert (found.name, found.default, found.enum) == ("W", "a", ("a", "b"))


def test_siblings_of_a_reference_count_in_31_only(schema: Schema) -> None:
    subject = {"$ref": "#/components/schemas/Word", "description": "beside", "maxLength": 3}
    word = {"type": "string"}
    assert of(schema(subject, "3.1.0", Word=word)).limits == {"maxLength": 3}
    assert of(schema(subject, "3.0.3", Word=word)).limits == {}


def test_exclusive_bounds_of_30_become_those_of_31(schema: Schema) -> None:
    old = {
        "type": "number", "minimum": 1, "exclusiveMinimum": True, "maximum": 9,
        "exclusiveMaximum": False,
    }  # fmt: skip
    assert of(schema(old, "3.0.3")).limits == {"exclusiveMinimum": 1, "maximum": 9}


def test_what_cannot_be_merged_is_kept_as_alternatives(schema: Schema) -> None:
    found = of(schema({"oneOf": [{"type": "string"}, {"type": "integer"}], "not": {"const": "x"}}))
    assert len(found.alternatives) == 2
    assert found.unsupported == ("not",)


def test_a_schema_within_itself_ends(schema: Schema) -> None:
    found = of(schema({"allOf": [{"$ref": "#/components/schemas/Subject"}, {"type": "object"}]}))
    assert found.type == "object"


@pytest.mark.parametrize(
    ("version", "subject", "good", "bad"),
    [
        ("3.0.3", {"type": "integer", "nullable": True}, [None, 3], ["3"]),
        ("3.0.3", {"$ref": "#/components/schemas/Node"}, [{"next": {"next": {}}}], [{"next": 1}]),
        ("3.1.0", {"oneOf": [{"const": 1}, {"$ref": "#/components/schemas/Node"}]}, [1, {}], [2]),
        ("3.0.3", {"type": "number", "minimum": 0, "exclusiveMinimum": True}, [1], [0]),
        ("3.1.0", {"properties": {"$ref": {"type": "string"}}}, [{"$ref": "x"}], [{"$ref": 1}]),
    ],
)
def test_contained_schemas_validate_the_same(
    schema: Schema, version: str, subject: object, good: list[object], bad: list[object]
) -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#/components/schemas/Node"}}}
    document = schema(subject, version, Node=node)
    made = contained(document, find(document.data, "#/components/schemas/Subject"))
    validator = Draft202012Validator(made)
    assert all(validator.is_valid(value) for value in good)
    assert not any(validator.is_valid(value) for value in bad)
