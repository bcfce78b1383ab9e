"""Entities, keys, fields and models come out as the document means them, in both versions."""

from __future__ import annotations

from typing import Any

import pytest
from plan_documents import (
    answer,
    body,
    column,
    entity,
    key,
    model,
    operation,
    plan,
    plan_all,
    query,
    questions,
    ref,
    things,
)

from shipway.errors import UsageError
from shipway.specs import overlaid

TEXT = {"type": "string", "maxLength": 50}


def field(schema: Any, openapi: str = "3.1.0", **schemas: Any) -> Any:
    document = things({"it": schema}, ["it"], **schemas) | {"openapi": openapi}
    made = plan(document)
    return next(
        one
        for one in model(made, operation(made, "POST /things").request_model).fields
        if one.name == "it"
    )


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string"}, "string"), ({"type": "integer"}, "integer"), ({"type": "number"}, "number"),
        ({"type": "boolean"}, "boolean"), ({"type": "string", "format": "date"}, "date"),
        ({"type": "string", "format": "date-time"}, "datetime"),
        ({"type": "string", "format": "time"}, "time"), ({"type": "string", "format": "uuid"}, "uuid"),
        ({"type": "string", "format": "email"}, "email"), ({"type": "string", "format": "uri"}, "uri"),
        ({"enum": ["a", 1]}, "any"), ({"enum": ["a", "b"]}, "enum"), ({"const": "a"}, "enum"),
        ({"type": "array", "items": {"type": "string"}}, "array"), ({"type": "object"}, "object"),
        ({}, "any"), ({"type": ["string", "integer"]}, "any"),
        ({"oneOf": [{"type": "string"}, {"type": "integer"}]}, "any"),
        ({"type": "string", "not": {"const": "x"}}, "any"),
    ],
)  # fmt: skip
def test_field_types(schema: Any, expected: str) -> None:
    found = field(schema)
    assert found.type == expected
    if expected == "any":
        assert (found.json_schema is None) is (schema == {})


def test_limits_defaults_and_formats_are_kept() -> None:
    limits = {"minLength": 2, "maxLength": 5, "pattern": "^a"}
    found = field({"type": "string", **limits, "default": "ab", "format": "hostname"})
    assert found.limits.model_dump(exclude_defaults=True) == {
        "min_length": 2, "max_length": 5, "pattern": "^a",
    }  # fmt: skip
    assert (found.default, found.has_default, found.format) == ("ab", True, "hostname")
    number = field(
        {"type": "number", "minimum": 1, "exclusiveMinimum": True, "multipleOf": 0.5}, "3.0.3"
    )
    assert number.limits.model_dump(exclude_defaults=True) == {
        "exclusive_minimum": 1,
        "multiple_of": 0.5,
    }


def test_maps_nested_objects_and_lists_of_objects() -> None:
    part = {"type": "object", "required": ["a"], "properties": {"a": TEXT}}
    assert (
        field({"type": "object", "additionalProperties": {"type": "integer"}}).values.type
        == "integer"
    )
    assert field(ref("Part"), Part=part).model == "Part"
    assert field({"type": "array", "items": ref("Part")}, Part=part).items.model == "Part"


def test_a_schema_that_contains_itself_is_one_model() -> None:
    made = plan(
        things({"child": ref("Thing"), "children": {"type": "array", "items": ref("Thing")}})
    )
    shown = model(made, operation(made, "GET /things/{id}").response_model)
    by_name = {one.name: one for one in shown.fields}
    assert by_name["child"].model == shown.name
    assert by_name["children"].items is not None
    assert by_name["children"].items.model == shown.name


def test_read_only_is_not_asked_for_and_write_only_is_not_shown() -> None:
    made = plan(things({"secret": {**TEXT, "writeOnly": True}, "seen": {**TEXT, "readOnly": True}}))
    asked = model(made, operation(made, "POST /things").request_model)
    shown = model(made, operation(made, "GET /things/{id}").response_model)
    assert [one.name for one in asked.fields] == ["secret"]
    assert [one.name for one in shown.fields] == ["id", "seen"]
    assert column(made, "secret").field.write_only
    assert "No request can set 'seen'" in questions(made)


@pytest.mark.parametrize(
    ("additional", "extra"), [(None, "ignore"), (False, "forbid"), (True, "allow")]
)
def test_what_else_may_be_sent(additional: bool | None, extra: str) -> None:
    document = things({"name": TEXT})
    if additional is not None:
        document["components"]["schemas"]["Thing"]["additionalProperties"] = additional
    made = plan(document)
    assert model(made, operation(made, "POST /things").request_model).extra == extra


# -- keys ------------------------------------------------------------------------------------


def keyed(schema: Any, *, required: bool, name: str = "id", parameter: str = "id") -> Any:
    document = things({"name": TEXT})
    thing = document["components"]["schemas"]["Thing"]
    del thing["properties"]["id"]
    thing["properties"][name] = schema
    thing["required"] = [name] if required else []
    item = document["paths"].pop("/things/{id}")
    item["parameters"] = [key(parameter, {k: v for k, v in schema.items() if k != "readOnly"})]
    document["paths"][f"/things/{{{parameter}}}"] = item
    return document


@pytest.mark.parametrize(
    ("schema", "required", "name", "parameter", "kind"),
    [
        ({"type": "string", "format": "uuid"}, False, "id", "thingId", "uuid"),
        ({"type": "integer", "readOnly": True}, True, "id", "thing_id", "integer"),
        ({"type": "string", "readOnly": True}, True, "thingId", "id", "uuid"),
        ({"type": "string"}, True, "code", "code", "client"),
        ({"type": "string"}, True, "isbn", "thingIsbn", "client"),
        ({"type": "string"}, True, "slug", "thing", "client"),
        ({"type": "integer"}, False, "id", "id", "integer"),
    ],
)
def test_keys_are_found_and_it_is_clear_who_makes_them(
    schema: Any, required: bool, name: str, parameter: str, kind: str
) -> None:
    made = plan(keyed(schema, required=required, name=name, parameter=parameter))
    thing = entity(made, "Thing")
    assert thing.key_kind == kind
    assert column(made, name).column == thing.key
    assert made.unimplemented == []


def test_a_key_of_a_form_that_nobody_can_make_is_told() -> None:
    schema = {"type": "string", "maxLength": 8, "readOnly": True}
    made = plan(keyed(schema, required=True))
    assert "nobody says how to make a key" in str(operation(made, "GET /things/{id}").reason)


def test_a_key_that_no_property_holds_is_hidden() -> None:
    document = things({"name": TEXT})
    del document["components"]["schemas"]["Thing"]["properties"]["id"]
    document["components"]["schemas"]["Thing"]["required"] = []
    made = plan(document)
    assert "How does a client learn it?" in questions(made)
    assert [one.name for one in model(made, "Thing").fields] == ["name"]
    assert entity(made, "Thing").key == "id"


# -- who fills what --------------------------------------------------------------------------


def test_timestamps_are_the_services_own() -> None:
    moment = {"type": "string", "format": "date-time", "readOnly": True}
    made = plan(things({"createdAt": moment, "last_modified": moment}, ["createdAt"]))
    assert column(made, "createdAt").field.server == "created"
    assert column(made, "last_modified").field.server == "updated"


def answered(properties: dict[str, Any], required: list[str]) -> Any:
    """Answers need more than requests offer."""
    document = things({})
    document["components"]["schemas"]["New"] = {"type": "object", "properties": {"name": TEXT}}
    thing = document["components"]["schemas"]["Thing"]
    thing["properties"] |= {"name": TEXT, **properties}
    thing["required"] = ["id", *required]
    document["paths"]["/things"]["post"]["requestBody"] = body(ref("New"))
    return document


def test_answers_that_need_what_nobody_says_get_a_default_or_are_not_implemented() -> None:
    states = {"enum": ["new", "old"]}
    made = plan(answered({"state": states, "name": TEXT}, ["state", "name"]))
    assert column(made, "state").field.default == "new"
    assert column(made, "name").field.default == ""
    assert "It is 'new' until a client says something else." in questions(made)
    made = plan(answered({"loans": {"type": "integer", "readOnly": True}}, ["loans"]))
    assert "answers must have 'loans'" in str(operation(made, "POST /things").reason)
    assert operation(made, "DELETE /things/{id}").behaviour == "delete"


def test_a_default_of_the_document_is_taken_before_any_other() -> None:
    made = plan(answered({"state": {"enum": ["new", "old"], "default": "old"}}, ["state"]))
    assert column(made, "state").field.default == "old"


# -- operations ------------------------------------------------------------------------------


def test_a_response_that_is_no_json_or_comes_later_is_not_implemented() -> None:
    document = things({"name": TEXT})
    text = {"description": "x", "content": {"text/csv": {"schema": TEXT}}}
    document["paths"]["/things"]["get"]["responses"] = {"200": text}
    document["paths"]["/things"]["post"]["responses"] = {"202": answer()}
    document["paths"]["/things/{id}"]["head"] = {"responses": {"200": answer()}}
    made = plan(document)
    reasons = {one.operation: one.reason for one in made.unimplemented}
    assert "not JSON (text/csv)" in reasons["GET /things"]
    assert "before it is done" in reasons["POST /things"]
    assert "HEAD" in reasons["HEAD /things/{id}"]


def test_a_header_that_must_be_sent_and_is_not_known_prevents_the_operation() -> None:
    document = things({"name": TEXT})
    headers = {"X-Odd": {"required": True, "schema": TEXT}}
    document["paths"]["/things"]["get"]["responses"]["200"]["headers"] = headers
    assert "'X-Odd'" in str(operation(plan(document), "GET /things").reason)


def test_a_choice_of_bodies_is_not_implemented() -> None:
    document = things({"name": TEXT})
    document["paths"]["/things"]["post"]["requestBody"] = body(
        {"oneOf": [ref("Thing"), {"type": "object", "properties": {"b": TEXT}}]}
    )
    assert "is a choice" in str(operation(plan(document), "POST /things").reason)


def test_errors_in_the_documents_own_form_are_filled_by_meaning() -> None:
    error = {
        "type": "object", "required": ["error"],
        "properties": {
            "error": {
                "type": "object", "required": ["code", "message"],
                "properties": {
                    "code": {"type": "string"}, "message": {"type": "string"},
                    "fields": {"type": "array", "items": {"type": "object", "properties": {
                        "path": {"type": "string"}, "reason": {"type": "string"}}}},
                },
            }
        },
    }  # fmt: skip
    document = things({"name": TEXT}, Fault=error)
    document["paths"]["/things/{id}"]["get"]["responses"]["404"] = answer(ref("Fault"))
    made = plan(document)
    found = next(
        one for one in operation(made, "GET /things/{id}").errors if one.reason == "not_found"
    )
    assert found.model == "Fault"
    assert found.fill == {
        "error.code": "code", "error.message": "detail", "error.fields": "errors",
        "error.fields[].path": "field", "error.fields[].reason": "message",
    }  # fmt: skip
    added = overlaid({"paths": document["paths"]}, made.overlay)
    # What the document leaves out looks like what it has.
    assert added["paths"]["/things"]["post"]["responses"]["422"]["content"]["application/json"][
        "schema"
    ] == (ref("Fault"))


def test_an_error_answer_that_needs_what_is_unknown_prevents_the_operation() -> None:
    error = {
        "type": "object",
        "required": ["weather"],
        "properties": {"weather": {"enum": ["sun"]}},
    }
    document = things({"name": TEXT}, Fault=error)
    document["paths"]["/things/{id}"]["get"]["responses"]["404"] = answer(ref("Fault"))
    assert "'weather' of an error" in str(operation(plan(document), "GET /things/{id}").reason)


# -- security --------------------------------------------------------------------------------


def guarded(scheme: Any, **more: Any) -> Any:
    document = things({"name": TEXT}) | {"security": [{"door": []}]}
    document["components"]["securitySchemes"] = {"door": scheme, **more}
    return document


@pytest.mark.parametrize(
    ("scheme", "expected"),
    [
        ({"type": "apiKey", "in": "query", "name": "k"}, ("api_key", "query", "k")),
        ({"type": "http", "scheme": "Basic"}, ("basic", "header", "Authorization")),
        ({"type": "http", "scheme": "bearer"}, ("bearer", "header", "Authorization")),
    ],
)
def test_schemes_with_secrets(scheme: Any, expected: tuple[str, str, str]) -> None:
    made = plan(guarded(scheme))
    (one,) = made.security_schemes
    assert (one.kind, one.location, one.name) == expected
    assert one.setting == "TEST_DOOR"
    assert operation(made, "GET /things").security == [["door"]]
    assert 401 in {error.status for error in operation(made, "GET /things").errors}


OAUTH = {
    "type": "oauth2",
    "flows": {"clientCredentials": {"tokenUrl": "https://x.example/t", "scopes": {}}},
}


def test_a_login_server_is_asked_about_and_the_answer_is_honoured() -> None:
    document = guarded(OAUTH)
    (question,) = plan_all(document).questions
    assert question.id == "security.door"
    assert question.options == ["bearer", "unimplemented"]
    assert question.default in question.options
    assert question.deadline_s > 0
    bearer = plan_all(document, {question.id: "bearer"})
    assert bearer.questions == []
    assert bearer.plan.security_schemes[0].kind == "bearer"
    assert bearer.plan.unimplemented == []
    closed = plan_all(document, {question.id: "unimplemented"})
    assert closed.questions == []
    assert len(closed.plan.unimplemented) == len(closed.plan.operations)
    with pytest.raises(UsageError):
        plan_all(document, {question.id: "whatever"})


def test_a_scheme_that_nobody_uses_is_not_asked_about() -> None:
    document = guarded(OAUTH) | {"security": []}
    assert plan_all(document).questions == []


def test_other_ways_in_stay_open() -> None:
    document = guarded({"type": "mutualTLS"}, key={"type": "apiKey", "in": "header", "name": "K"})
    document["security"] = [{"door": []}, {"key": []}]
    document["paths"]["/things"]["post"]["security"] = [{"door": []}]
    made = plan(document)
    assert operation(made, "GET /things").security == [["key"]]
    assert "mutualTLS" in str(operation(made, "POST /things").reason)


# -- hostile documents -----------------------------------------------------------------------

HOSTILE = [
    "../../etc/passwd", "class", "select", "model_config", "model_fields", "schema", "copy",
    "__class__", "dueOn", "due_on", "due-on", "DUE ON", "名前", "住所", "1st", "", " ", "x" * 300,
    "a'b\"c`d", "a\nb", "{{x}}",
    "{% raw %}", "None", "self", "id_", "metadata",
]  # fmt: skip


def test_hostile_names_become_safe_and_keep_their_wire_name() -> None:
    made = plan(things(dict.fromkeys(HOSTILE, TEXT), HOSTILE))
    columns = [one for one in entity(made, "Thing").columns if one.field.name in HOSTILE]
    assert [one.field.name for one in columns] == HOSTILE
    for names in ([one.field.attr for one in columns], [one.column for one in columns]):
        assert len({name.lower() for name in names}) == len(HOSTILE)
        assert all(name.isidentifier() and name.isascii() and len(name) < 50 for name in names)
    assert made.samples["post /things"][0].keys() == set(HOSTILE)


def test_hostile_paths_and_ids_are_planned() -> None:
    document = things({"name": TEXT}, path="/../select", parameters=[query("class", TEXT)])
    document["info"] = {"title": "../../`rm -rf /`", "version": "1"}
    document["paths"]["/../select"]["get"]["operationId"] = "../../import os"
    document["paths"]["/../select"]["post"]["operationId"] = "class"
    made = plan(document)
    assert made.package.isidentifier()
    assert "/" not in made.name
    assert all(one.attr.isidentifier() for one in made.operations)
    assert all(one.table.isidentifier() for one in made.entities)
