"""How a route reads a body: as strict JSON, bounded in depth and number of values."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, ClassVar

import orjson
from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import Scope

from shipway.api.keyed import once
from shipway.api.problems import refusal
from shipway.telemetry.failures import STATUSES

DEEPEST, MOST_VALUES = 32, 20_000
Handler = Callable[[Request], Coroutine[Any, Any, Response]]
#: As many as may be served at once.
_THREADS = ThreadPoolExecutor(40, "request")


class StrictRequest(Request):
    """A request whose body is JSON and nothing else; a parser never meets what could exhaust it."""

    async def json(self) -> Any:
        """The body; raises RefusedError for what is not JSON, or goes too deep."""
        if not hasattr(self, "_strict"):
            self._strict = read_json(await self.body())
        return self._strict


def read_json(data: bytes) -> Any:
    """UTF-8, no NaN, no half surrogates, no bottomless nesting; raises RefusedError."""
    try:
        value = orjson.loads(data)
    except (orjson.JSONDecodeError, RecursionError):
        raise refusal(400, "the body is not JSON in UTF-8", code="NOT_JSON") from None
    level, count, depth = [value], 0, 0
    while level:
        depth += 1
        count += len(level)
        if depth > DEEPEST or count > MOST_VALUES:
            raise refusal(400, f"the body nests deeper than {DEEPEST} or is too manifold")
        level = [inner for outer in level if isinstance(outer, dict | list) for inner in _of(outer)]
    return value


def _of(outer: Any) -> Any:
    return outer.values() if isinstance(outer, dict) else outer


def _in_a_thread(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """An endpoint that may wait, as one that never holds the loop.

    FastAPI does the same, but by a dearer way, and takes the answer to a thread a second time.
    """

    @functools.wraps(endpoint)
    async def threaded(**given: Any) -> Any:
        work = functools.partial(copy_context().run, endpoint, **given)
        return await asyncio.get_running_loop().run_in_executor(_THREADS, work)

    return threaded


class Route(APIRoute):
    """A route of ours: strict JSON, and a POST is carried out once under a key; FastAPI does the rest."""

    json_only: ClassVar[bool] = True

    def __init__(self, path: str, endpoint: Callable[..., Any], **given: Any) -> None:
        waits = not inspect.iscoroutinefunction(endpoint)
        super().__init__(path, _in_a_thread(endpoint) if waits else endpoint, **given)
        self._beginning = path.partition("{")[0]

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether it serves this address; nearly all others are told by how they begin."""
        if not scope["path"].startswith(self._beginning):
            return Match.NONE, {}
        return super().matches(scope)

    def get_route_handler(self) -> Handler:
        """FastAPI's handler, given a strict request."""
        handle = super().get_route_handler()

        async def strict(request: Request) -> Response:
            if self.json_only and request.method in {"POST", "PUT", "PATCH"}:
                _takes(request)
            asked = StrictRequest(request.scope, request.receive)
            if self.json_only and self.body_field is not None and await asked.body():
                await asked.json()  # here what is wrong with it is told; FastAPI would swallow it
            return await (once(asked, handle) if request.method == "POST" else handle(asked))

        return strict


class RawRoute(Route):
    """One whose body is a file."""

    json_only = False


def _takes(request: Request) -> None:
    """Bodies are JSON unless the route says otherwise."""
    given = request.headers.get("content-type")
    if given is None:
        if (
            request.headers.get("content-length", "0") != "0"
            or "transfer-encoding" in request.headers
        ):
            raise refusal(415, "say what the body is: Content-Type: application/json")
        return
    kind, _, parameters = given.partition(";")
    if kind.strip().lower() != "application/json" or not _utf8(parameters):
        raise refusal(415, "the body has to be application/json in UTF-8")


def _utf8(parameters: str) -> bool:
    name, _, value = parameters.strip().partition("=")
    return not name or (name.lower() == "charset" and value.strip('"').lower() == "utf-8")


#: What any route may answer beside what it is for.
_ANYWHERE = (400, 401, 408, 413, 414, 415, 421, 422, 429, 431, 500, 503, 504)


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The errors of a route, for its documentation."""
    return {
        status: {
            "description": STATUSES[status].detail,
            "content": {
                "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
            },
        }
        for status in sorted({*_ANYWHERE, *statuses})
    }
