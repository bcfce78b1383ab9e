"""``Idempotency-Key``: the same request again has the same answer, and no second effect."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable

from fastapi import Request, Response

from shipway.api.backend import ONCE, Backend, backend_of, caller_of
from shipway.api.problems import FieldFault, RefusedError, refusal
from shipway.contracts.views import RunSummary
from shipway.engine.once import AnsweredError, Once
from shipway.store.keys import KeptAnswer

HEADER = "idempotency-key"
_KEY = re.compile(r"[\x21-\x7e]{1,200}")
_JSON = "application/json"

Handle = Callable[[Request], Awaitable[Response]]


async def once(request: Request, handle: Handle) -> Response:
    """What ``handle`` answers, or what the same request was answered before."""
    key = request.headers.get(HEADER)
    if key is None:
        return await handle(request)
    if not _KEY.fullmatch(key):
        fault = FieldFault(pointer=f"/header/{HEADER}", code="key", detail="1 to 200 visible signs")
        raise refusal(400, faults=[fault])
    here = backend_of(request)
    scope = f"{caller_of(request)} {request.method} {request.url.path}"
    if (scope, key) in here.keyed:
        raise RefusedError(
            409,
            "IN_PROGRESS",
            "a request with this key is under way",
            hint="wait, then send it again: it will have its answer",
            retry_after=1.0,
        )
    here.keyed.add((scope, key))
    try:
        return await _first_or_again(request, handle, here, scope, key)
    finally:
        here.keyed.discard((scope, key))


async def _first_or_again(
    request: Request, handle: Handle, here: Backend, scope: str, key: str
) -> Response:
    fingerprint = _fingerprint(request, await request.body())
    found = await here.system.answers.find(scope, key)
    if found is not None:
        return _again(found, fingerprint)
    request.scope[ONCE] = Once(
        scope, key, fingerprint, lambda summary: _of_run(summary, fingerprint)
    )
    try:
        response = await handle(request)
    except AnsweredError:
        found = await here.system.answers.find(scope, key)
        if found is None:
            raise
        return _again(found, fingerprint)
    if response.status_code >= 300:
        return response
    location = response.headers.get("location")
    given = KeptAnswer(fingerprint, response.status_code, location, bytes(response.body))
    kept = await here.system.answers.keep(scope, key, given)
    return response if kept is given else _answer(kept, again=False)


def _fingerprint(request: Request, body: bytes) -> str:
    asked = f"{request.method} {request.url.path}?{request.url.query}\0".encode()
    return hashlib.sha256(asked + body).hexdigest()


def _of_run(summary: RunSummary, fingerprint: str) -> KeptAnswer:
    location = f"/api/v1/runs/{summary.id}"
    return KeptAnswer(fingerprint, 201, location, summary.model_dump_json().encode())


def _again(kept: KeptAnswer, fingerprint: str) -> Response:
    if kept.fingerprint != fingerprint:
        raise RefusedError(
            422,
            "KEY_REUSED",
            "this key was used for another request",
            hint="take a new key for each request, and the same one only to repeat it",
            faults=[FieldFault(pointer=f"/header/{HEADER}", code="key", detail="was used before")],
        )
    return _answer(kept, again=True)


def _answer(kept: KeptAnswer, *, again: bool) -> Response:
    headers = {"idempotent-replayed": "true"} if again else {}
    if kept.location is not None:
        headers["location"] = kept.location
    return Response(kept.body, kept.status, headers=headers, media_type=_JSON)
