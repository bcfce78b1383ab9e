"""Rules, references and filters are recognised from standard means, or become doubts that are told."""

from __future__ import annotations

from typing import Any

import pytest
from plan_documents import (
    answer,
    body,
    column,
    entity,
    key,
    merged,
    operation,
    parameter,
    plan,
    query,
    questions,
    ref,
    things,
)

TEXT = {"type": "string", "maxLength": 50}
DAY = {"type": "string", "format": "date"}
UUID = {"type": "string", "format": "uuid"}


def rules(
    document: dict[str, Any], of: str = "Thing"
) -> list[tuple[list[str], str | None, list[Any]]]:
    found = entity(plan(document), of).unique
    assert all(rule.reason.startswith("#/") for rule in found)
    return [(rule.columns, rule.while_field, rule.while_values) for rule in found]


# -- uniqueness ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("properties", "conflict", "expected"),
    [
        ({"serial": TEXT}, "A thing with this serial already exists.", [["serial"]]),
        ({"serialNumber": TEXT}, "The serial number is already taken", [["serial_number"]]),
        ({"name": TEXT, "short_name": TEXT}, "short_name is in use", [["short_name"]]),
        (
            {"street": TEXT, "city": TEXT},
            "The same street and city exists already",
            [["street", "city"]],
        ),
        (
            {"mail": TEXT, "phone": TEXT},
            "This mail or phone is already registered",
            [["mail"], ["phone"]],
        ),
        ({"serial": {**TEXT, "x-unique": True}}, None, [["serial"]]),
        ({"serial": {**TEXT, "description": "Unique serial of the thing"}}, None, [["serial"]]),
        ({"serial": {**TEXT, "description": "Need not be unique... not unique"}}, None, []),
        ({"serial": TEXT}, "The thing is locked", []),
        (
            {"serial": TEXT, "mail": TEXT},
            "This serial exists, or the mail is unknown",
            [["serial"]],
        ),
    ],
)
def test_uniqueness_is_recognised_from_words_and_extensions(
    properties: dict[str, Any], conflict: str | None, expected: list[list[str]]
) -> None:
    assert [rule[0] for rule in rules(things(properties, conflict=conflict))] == expected


def test_a_conflict_that_names_nothing_is_a_doubt() -> None:
    made = plan(things({"serial": TEXT}, conflict="The thing is locked"))
    assert "When does it?" in questions(made)


def test_rules_of_several_columns_and_conditions_can_be_written_down() -> None:
    document = things({"a": TEXT, "b": TEXT, "state": {"enum": ["open", "shut"]}})
    document["components"]["schemas"]["Thing"]["x-unique"] = [
        ["a", "b"], {"properties": ["a"], "while": {"state": ["open"]}}, "gone",
    ]  # fmt: skip
    assert rules(document) == [(["a", "b"], None, []), (["a"], "state", ["open"])]
    assert "x-unique names something that is no property" in questions(plan(document))


def renting(conflict: str, **more: Any) -> dict[str, Any]:
    car = things({"plate": TEXT}, path="/cars", name="Car")
    rent = things(
        {"carId": UUID, "status": {"enum": ["open", "closed"]}, "returnedOn": DAY, **more},
        ["carId", "status"],
        path="/rents",
        name="Rent",
        conflict=conflict,
    )
    return merged(car, rent)


@pytest.mark.parametrize(
    ("conflict", "expected"),
    [
        ("The car is already rented (it has a rent with the status `open`)", ("status", ["open"])),
        ("The car already has a rent whose status is open", ("status", ["open"])),
        ("The car is already rented and was not returned", ("returned_on", [None])),
    ],
)
def test_a_rule_may_hold_only_for_a_while(conflict: str, expected: tuple[str, list[Any]]) -> None:
    assert rules(renting(conflict), "Rent") == [(["car_id"], *expected)]


def test_a_condition_that_is_not_stated_is_a_doubt_and_no_rule() -> None:
    document = renting("The car is already rented")
    assert rules(document, "Rent") == []
    assert "POST /rents answers 409" in questions(plan(document))


# -- references ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "schema"),
    [
        ("carId", UUID), ("car_id", UUID), ("rentedCarId", UUID), ("carRef", UUID),
        ("vehicleId", {**UUID, "description": "The identifier of the car that is rented."}),
        ("vehicle", {**UUID, "x-references": "Car"}),
    ],
)  # fmt: skip
def test_references_are_recognised(name: str, schema: dict[str, Any]) -> None:
    car = things({"plate": TEXT}, path="/cars", name="Car")
    made = plan(merged(car, things({name: schema}, [name])))
    reference = column(made, name).reference
    assert reference is not None
    assert (reference.entity, reference.field) == ("Car", "id")
    assert reference.reason
    assert any(check.kind == "reference" for check in made.checks)


@pytest.mark.parametrize(
    ("name", "schema"),
    [
        ("carId", {"type": "integer"}),
        ("carName", TEXT),
        ("driverId", UUID),
        ("carIds", {"type": "array", "items": UUID}),
    ],
)
def test_what_is_no_reference_is_left_alone(name: str, schema: dict[str, Any]) -> None:
    car = things({"plate": TEXT}, path="/cars", name="Car")
    assert column(plan(merged(car, things({name: schema}, [name]))), name).reference is None


def deleting(*, required: bool, description: str = "", conflict: bool = False) -> str:
    car = things({"plate": TEXT}, path="/cars", name="Car")
    delete = car["paths"]["/cars/{id}"]["delete"]
    delete["description"] = description
    if conflict:
        delete["responses"]["409"] = answer(description="It has things")
    made = plan(merged(car, things({"carId": UUID}, ["carId"] if required else [])))
    reference = column(made, "carId").reference
    assert reference is not None
    statuses = {error.status for error in operation(made, "DELETE /cars/{id}").errors}
    assert (409 in statuses) is (reference.on_delete == "refuse")
    return reference.on_delete


def test_what_deleting_does_to_others() -> None:
    assert deleting(required=True) == "refuse"
    assert deleting(required=True, conflict=True) == "refuse"
    assert deleting(required=False) == "clear"
    assert deleting(required=True, description="Its things are deleted as well.") == "cascade"


def test_a_reference_that_leads_nowhere_gets_the_status_that_the_document_has() -> None:
    car = things({"plate": TEXT}, path="/cars", name="Car")

    def status(**responses: Any) -> int:
        thing = things({"carId": UUID}, ["carId"])
        thing["paths"]["/things"]["post"]["responses"] |= {
            code.strip("_"): answer(description=text) for code, text in responses.items()
        }
        errors = operation(plan(merged(car, thing)), "POST /things").errors
        return next(error.status for error in errors if error.reason == "reference")

    assert status(_422="The car does not exist") == 422
    assert status(_422="Invalid", _404="no such car") == 404
    assert status(_404="x") == 404
    assert status(_409="x") == 409
    assert status() == 409


# -- parameters ------------------------------------------------------------------------------

COLUMNS = {
    "name": TEXT, "price": {"type": "number"}, "dueOn": DAY, "startDate": DAY, "fresh": {"type": "boolean"},
    "tags": {"type": "array", "items": TEXT}, "kind": {"enum": ["a", "b"]},
}  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (query("name", TEXT), ("filter", "name", "eq")),
        (query("name", TEXT, description="Contains this text"), ("filter", "name", "contains")),
        (query("name", TEXT, description="Names starting with this"), ("filter", "name", "prefix")),
        (query("kind", {"type": "array", "items": {"enum": ["a", "b"]}}), ("filter", "kind", "in")),
        (query("tags", TEXT), ("filter", "tags", "contains")),
        (query("fresh", {"type": "boolean"}), ("filter", "fresh", "eq")),
        (query("price_min", {"type": "number"}), ("filter", "price", "ge")),
        (query("maxPrice", {"type": "number"}), ("filter", "price", "le")),
        (query("due_from", DAY), ("filter", "due_on", "ge")),
        (query("dueBefore", DAY), ("filter", "due_on", "lt")),
        (query("dueAfter", DAY, description="On or after"), ("filter", "due_on", "ge")),
        (query("start_to", DAY), ("filter", "start_date", "le")),
        (query("price_min", TEXT), ("ignored", None, "eq")),
        (query("overdue", {"type": "boolean"}), ("ignored", None, "eq")),
        (query("limit", {"type": "integer"}), ("limit", None, "eq")),
        (query("per_page", {"type": "integer"}), ("limit", None, "eq")),
        (query("skip", {"type": "integer"}), ("offset", None, "eq")),
        (query("pageNumber", {"type": "integer"}), ("page", None, "eq")),
        (query("page_token", TEXT), ("cursor", None, "eq")),
        (query("sort", {"enum": ["name", "-price"]}), ("sort", None, "eq")),
        (query("sort", {"enum": ["popularity"]}), ("ignored", None, "eq")),
    ],
)
def test_what_a_parameter_is_for(
    asked: dict[str, Any], expected: tuple[str, str | None, str]
) -> None:
    made = plan(things(COLUMNS, parameters=[asked]))
    found = parameter(made, asked["name"])
    assert (found.role, found.column, found.comparison) == expected
    if found.role == "ignored":
        assert f"GET /things {asked['name']}" in questions(made)


def test_what_has_no_effect_is_never_silent() -> None:
    odd = [
        {"name": "X-Trace", "in": "header", "schema": TEXT},
        {"name": "session", "in": "cookie", "schema": TEXT},
        query("filter", {"type": "object"}),
        query("dueAfter", DAY),
        query("sort", TEXT),
        query("q", TEXT),
    ]
    told = questions(plan(things(COLUMNS, parameters=odd)))
    for one in odd:
        assert f"GET /things {one['name']}" in told


def test_a_required_parameter_without_a_meaning_is_not_implemented() -> None:
    made = plan(things(COLUMNS, parameters=[query("region", TEXT, required=True)]))
    one = operation(made, "GET /things")
    assert (one.behaviour, one.success) == ("unimplemented", 501)
    assert "'region'" in str(one.reason)
    assert made.unimplemented[0].operation == "GET /things"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("-price", ("price", True)), ("+price", ("price", False)), ("price:desc", ("price", True)),
        ("due_on_asc", ("due_on", False)), ("Name DESC", ("name", True)),
    ],
)  # fmt: skip
def test_sort_values(value: str, expected: tuple[str, bool]) -> None:
    found = parameter(plan(things(COLUMNS, parameters=[query("sort", {"enum": [value]})])), "sort")
    assert [(one.value, one.column, one.descending) for one in found.sort] == [(value, *expected)]


# -- pages -----------------------------------------------------------------------------------


def paged(members: dict[str, Any], required: list[str], parameters: list[dict[str, Any]]) -> Any:
    document = things({"name": TEXT}, parameters=parameters)
    wrapper = {
        "type": "object", "required": required,
        "properties": {"rows": {"type": "array", "items": ref("Thing")}, **members},
    }  # fmt: skip
    document["paths"]["/things"]["get"]["responses"]["200"] = answer(wrapper)
    return document


def test_what_stands_around_the_items() -> None:
    number = {"type": "integer"}
    made = plan(
        paged(
            {
                "meta": {"type": "object", "properties": {"total": number, "offset": number}},
                "count": number,
            },
            ["rows"],
            [query("limit", {"type": "integer", "maximum": 30}), query("offset", number)],
        )
    )
    page = operation(made, "GET /things").page
    assert page is not None
    assert (page.style, page.items, page.total, page.max_limit) == (
        "offset",
        "rows",
        "meta.total",
        30,
    )
    assert page.echo == {"meta.offset": "offset", "count": "count"}


def test_a_member_without_a_meaning_is_left_out_or_prevents_the_list() -> None:
    text = {"type": "string"}
    optional = plan(paged({"facets": text}, ["rows"], []))
    assert operation(optional, "GET /things").behaviour == "list"
    assert "'facets'" in questions(optional)
    needed = plan(paged({"facets": text}, ["rows", "facets"], []))
    assert "'facets'" in str(operation(needed, "GET /things").reason)


# -- nesting ---------------------------------------------------------------------------------


def nested(*, property_of_parent: bool) -> dict[str, Any]:
    car = things({"plate": TEXT}, path="/cars", name="Car")
    own = {"carId": UUID} if property_of_parent else {}
    wheel = things(
        {"size": {"type": "integer"}, **own}, ["size"], path="/cars/{carId}/wheels", name="Wheel"
    )
    for path in list(wheel["paths"]):
        wheel["paths"][path].setdefault("parameters", []).append(key("carId"))
    return merged(car, wheel)


@pytest.mark.parametrize("property_of_parent", [True, False])
def test_nested_rows_belong_to_their_parent(property_of_parent: bool) -> None:
    made = plan(nested(property_of_parent=property_of_parent))
    wheel = entity(made, "Wheel")
    assert wheel.parent is not None
    assert (wheel.parent.entity, wheel.parent_column) == ("Car", "car_id")
    roles = {
        one.field.name: one.role
        for one in operation(made, "GET /cars/{carId}/wheels/{id}").parameters
    }
    assert roles == {"id": "key", "carId": "parent"}
    assert any(check.kind == "nested" for check in made.checks)


def test_a_nested_list_of_what_belongs_to_nobody_is_not_implemented() -> None:
    car = things({"plate": TEXT}, path="/cars", name="Car")
    driver = things({"name": TEXT}, path="/drivers", name="Driver")
    below = {
        "/cars/{id}/drivers": {
            "parameters": [key("id")],
            "get": {"responses": {"200": answer({"type": "array", "items": ref("Driver")})}},
        }
    }
    made = plan(merged(car, driver, {"paths": below, "components": {"schemas": {}}}))
    assert "which Car a Driver belongs to" in str(operation(made, "GET /cars/{id}/drivers").reason)


def test_deeper_nesting_and_actions_are_not_implemented() -> None:
    document = nested(property_of_parent=False)
    document["paths"] |= {
        "/cars/{a}/wheels/{b}/bolts": {
            "parameters": [key("a"), key("b")],
            "get": {"responses": {"200": answer({"type": "array", "items": ref("Car")})}},
        },
        "/cars/{id}/start": {
            "parameters": [key("id")], "post": {"responses": {"204": answer()}},
        },
        "/cars/search": {"get": {"responses": {"200": answer({"type": "array", "items": ref("Car")})}}},
        "/status": {
            "get": {"responses": {"200": answer({"type": "object", "properties": {"up": {}}})}}
        },
        "/photos": {
            "post": {
                "requestBody": body({"type": "string", "format": "binary"}, "image/png"),
                "responses": {"201": answer()},
            }
        },
    }  # fmt: skip
    made = plan(document)
    reasons = {one.operation: one.reason for one in made.unimplemented}
    assert "more than one level" in reasons["GET /cars/{a}/wheels/{b}/bolts"]
    assert set(reasons) == {
        "GET /cars/{a}/wheels/{b}/bolts", "POST /cars/{id}/start", "GET /cars/search", "GET /status",
        "POST /photos",
    }  # fmt: skip
    assert "not JSON (image/png)" in reasons["POST /photos"]
    assert [check.kind for check in made.checks].count("unimplemented") == 5


def test_samples_differ_in_what_must_be_unique() -> None:
    document = things({"serial": {**TEXT, "x-unique": True}, "name": TEXT}, ["serial"])
    twice = [{"serial": "same", "name": name} for name in ("a", "b")]
    content = document["paths"]["/things"]["post"]["requestBody"]["content"]["application/json"]
    content["examples"] = {value["name"]: {"value": value} for value in twice}
    samples = plan(document).samples["post /things"]
    assert len(samples) == 3
    assert samples[0] == twice[0]
    assert samples[1]["name"] == "b"
    assert len({str(sample["serial"]) for sample in samples}) == 3
