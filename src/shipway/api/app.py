"""The API as one application: its routes, its errors, and the document that describes both."""

from __future__ import annotations

import re
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException

from shipway import __version__
from shipway.api import (
    about,
    asks,
    events,
    flags,
    fleet,
    installation,
    letters,
    pipelines,
    releases,
    runs,
    uploads,
)
from shipway.api.backend import Backend, asked_of
from shipway.api.problems import (
    Problem,
    RefusedError,
    body,
    field_faults,
    of_error,
    of_refusal,
    of_status,
    refusal,
)
from shipway.api.routing import problems
from shipway.errors import ShipwayError
from shipway.telemetry.failures import MEDIA_TYPE, STATUSES

OPEN = frozenset({"/health", "/health/ready", "/openapi.json"})
"""What is answered without a token."""
ALWAYS = OPEN | {"/health/detailed", "/metrics"}
"""What is answered from memory, also when there is no room for anything else."""

_ROUTERS = (
    about,
    runs,
    events,
    uploads,
    asks,
    letters,
    pipelines,
    releases,
    flags,
    fleet,
    installation,
)


def make_app(backend: Backend) -> FastAPI:
    """The application; nothing of it works in the background."""
    app = FastAPI(
        title="Shipway",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        redirect_slashes=False,
        separate_input_output_schemas=False,
    )
    app.state.backend = backend
    for (
        room
    ) in _ROUTERS:  # as they are: routers that are included are asked twice, each route of each
        app.router.routes.extend(room.router.routes)
    app.exception_handler(ShipwayError)(_of_ours)
    app.exception_handler(RefusedError)(_refused)
    app.exception_handler(RequestValidationError)(_invalid)
    app.exception_handler(HTTPException)(_of_framework)
    app.exception_handler(Exception)(_unexpected)
    app.openapi = lambda: described(app)  # type: ignore[method-assign]  # as FastAPI documents it
    return app


# -- errors -----------------------------------------------------------------------------------


def _answer(problem: Problem, headers: dict[str, str] | None = None) -> Response:
    given = dict(headers or {})
    if problem.retry_after is not None:
        given["retry-after"] = str(max(1, round(problem.retry_after)))
    return Response(body(problem), problem.status, media_type=MEDIA_TYPE, headers=given)


async def _of_ours(request: Request, error: Exception) -> Response:
    assert isinstance(error, ShipwayError)  # noqa: S101 - it is registered for these only
    return _answer(of_error(error, asked_of(request)))


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)  # noqa: S101 - it is registered for these only
    return _answer(of_refusal(error, asked_of(request)), error.headers)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - it is registered for these only
    found = refusal(422, faults=field_faults(error.errors()))
    return _answer(of_refusal(found, asked_of(request)))


async def _of_framework(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - it is registered for these only
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    if error.status_code == 405:
        headers["allow"] = ", ".join(_allowed(request))
    return _answer(of_status(error.status_code, asked_of(request)), headers)


def _allowed(request: Request) -> list[str]:
    """Every method that the address takes; the framework names those of one route only."""
    paths = described(request.app)["paths"]
    address = request.url.path
    if address in paths:
        return sorted(method.upper() for method in paths[address])
    return sorted(
        {
            method.upper()
            for template, methods in paths.items()
            if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), address)
            for method in methods
        }
    )


async def _unexpected(request: Request, _error: Exception) -> Response:
    """What nobody foresaw; the server's edge logs it, with its trace."""
    return _answer(of_status(500, asked_of(request)))


# -- the document -----------------------------------------------------------------------------


def described(app: FastAPI) -> dict[str, Any]:
    """OpenAPI 3.1 of exactly what is answered."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            openapi_version="3.1.0",
            summary="Carries a requirement to a verified, integrated, deployed change.",
            routes=app.routes,
        )
        _complete(document)
        app.openapi_schema = document
    return app.openapi_schema


def _complete(document: dict[str, Any]) -> None:
    """Our one shape of errors in the place of the framework's, and who may call what."""
    parts = document.setdefault("components", {})
    schemas = parts.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    shape = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(shape.pop("$defs", {}))
    schemas["Problem"] = shape
    schemas["Health"] = about.Health.model_json_schema()
    parts["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    document["security"] = [{"token": []}]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if method == "post":
                operation.setdefault("parameters", []).append(_KEY)
                operation["responses"].setdefault("409", problems(409)[409])
            if path in OPEN:
                operation["security"] = []
                operation["responses"].pop("401", None)
            if "requestBody" not in operation:
                operation["responses"].pop("415", None)
            _retry_hints(operation["responses"])


_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "the same request with the same key has the same answer for 24 hours",
    "schema": {"type": "string", "pattern": "^[!-~]{1,200}$"},
}


def _retry_hints(responses: dict[str, Any]) -> None:
    hint = {"description": "seconds to wait", "schema": {"type": "integer"}}
    for status in ("429", "503"):
        if status in responses and int(status) in STATUSES:
            responses[status].setdefault("headers", {})["Retry-After"] = hint
