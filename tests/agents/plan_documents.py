"""Builds small OpenAPI documents for the planner's tests: a collection of one thing, with changes."""

from __future__ import annotations

import json
from typing import Any

from shipway.agents.planning.service import Planned, plan_service
from shipway.contracts.service_plan import (
    ColumnPlan,
    EntityPlan,
    ModelPlan,
    OperationPlan,
    ParameterPlan,
    ServicePlan,
)
from shipway.specs import read

Json = dict[str, Any]


def body(schema: Any, media_type: str = "application/json") -> Json:
    return {"required": True, "content": {media_type: {"schema": schema}}}


def answer(schema: Any = None, description: str = "ok", **more: Any) -> Json:
    content = {} if schema is None else {"content": {"application/json": {"schema": schema}}}
    return {"description": description, **content, **more}


def ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def query(name: str, schema: Any, **more: Any) -> Json:
    return {"name": name, "in": "query", "schema": schema, **more}


def key(name: str, schema: Any = None) -> Json:
    form = schema or {"type": "string", "format": "uuid"}
    return {"name": name, "in": "path", "required": True, "schema": form}


def things(
    properties: Json,
    required: list[str] | None = None,
    *,
    path: str = "/things",
    name: str = "Thing",
    parameters: list[Json] | None = None,
    conflict: str | None = None,
    **schemas: Any,
) -> Json:
    """Paths and components of one thing that can be listed, created, read and deleted."""
    shown = {
        "type": "object",
        "required": ["id", *(required or [])],
        "properties": {"id": {"type": "string", "format": "uuid", "readOnly": True}, **properties},
    }
    conflicts = {} if conflict is None else {"409": answer(description=conflict)}
    return {
        "paths": {
            path: {
                "get": {
                    "parameters": parameters or [],
                    "responses": {"200": answer({"type": "array", "items": ref(name)})},
                },
                "post": {
                    "requestBody": body(ref(name)),
                    "responses": {"201": answer(ref(name)), **conflicts},
                },
            },
            path + "/{id}": {
                "parameters": [key("id")],
                "get": {"responses": {"200": answer(ref(name)), "404": answer()}},
                "delete": {"responses": {"204": answer(), "404": answer()}},
            },
        },
        "components": {"schemas": {name: shown, **schemas}},
    }


def merged(*documents: Json, **more: Any) -> Json:
    """Several documents in one."""
    result: Json = {"paths": {}, "components": {"schemas": {}}, **more}
    for document in documents:
        result["paths"] |= document["paths"]
        result["components"]["schemas"] |= document["components"]["schemas"]
    return result


def plan_all(document: Json, answers: dict[str, str] | None = None) -> Planned:
    whole = {"openapi": "3.1.0", "info": {"title": "Test", "version": "1"}, **document}
    return plan_service(read(json.dumps(whole).encode(), "test.json"), answers or {})


def plan(document: Json, answers: dict[str, str] | None = None) -> ServicePlan:
    return plan_all(document, answers).plan


def entity(made: ServicePlan, name: str) -> EntityPlan:
    return next(one for one in made.entities if one.name == name)


def column(made: ServicePlan, name: str, of: str = "Thing") -> ColumnPlan:
    return next(one for one in entity(made, of).columns if one.field.name == name)


def operation(made: ServicePlan, name: str) -> OperationPlan:
    """By method and path: ``GET /things``."""
    return next(one for one in made.operations if f"{one.method.upper()} {one.path}" == name)


def model(made: ServicePlan, name: str | None) -> ModelPlan:
    return next(one for one in made.models if one.name == name)


def parameter(made: ServicePlan, name: str, of: str = "GET /things") -> ParameterPlan:
    return next(one for one in operation(made, of).parameters if one.field.name == name)


def questions(made: ServicePlan) -> str:
    """All doubts as one text."""
    return "\n".join(f"{one.where}: {one.question} {one.default}" for one in made.ambiguities)
