"""``/api/v1/uploads``: documents and patches, checked by size, name and content before they count."""

from __future__ import annotations

import asyncio
from pathlib import PurePosixPath
from typing import Annotated

import orjson
from fastapi import APIRouter, Query, Request
from pydantic import Field

from shipway.api import wire
from shipway.api.backend import Backend, Here
from shipway.api.problems import FieldFault, refusal
from shipway.api.routing import RawRoute, problems
from shipway.contracts.model import ArtifactRef

PATH = "/api/v1/uploads"
LARGEST = 16 * 1024 * 1024

_YAML = frozenset({"application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml"})
_TEXT = frozenset({"text/plain", "application/octet-stream"})
#: Extension to the types that it may be sent as, and the one that is kept.
_KINDS: dict[str, tuple[frozenset[str], str]] = {
    ".yaml": (_YAML | _TEXT, "application/yaml"),
    ".yml": (_YAML | _TEXT, "application/yaml"),
    ".json": (frozenset({"application/json"}) | _TEXT, "application/json"),
    ".md": (frozenset({"text/markdown"}) | _TEXT, "text/markdown"),
    ".txt": (_TEXT, "text/plain"),
    ".patch": (frozenset({"text/x-diff", "text/x-patch"}) | _TEXT, "text/x-diff"),
    ".diff": (frozenset({"text/x-diff", "text/x-patch"}) | _TEXT, "text/x-diff"),
}
TYPES = sorted({kind for kinds, _ in _KINDS.values() for kind in kinds})

#: For the documentation: who sends something else is told the endings that there are.
_NAME = rf"^[A-Za-z0-9][A-Za-z0-9 ._+-]{{0,93}}\.({'|'.join(kind[1:] for kind in _KINDS)})$"

router = APIRouter(tags=["runs"], route_class=RawRoute)


class UploadQuestion(wire.Question):
    """``name`` says by its extension what is sent; it is not the name that it is kept under."""

    name: Annotated[wire.FileName, Field(json_schema_extra={"pattern": _NAME})]


@router.post(
    PATH,
    status_code=201,
    operation_id="upload",
    summary="Hand in a document or a patch, to be named by its digest",
    responses=problems(),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in TYPES},
        }
    },
)
async def upload(
    request: Request, asked: Annotated[UploadQuestion, Query()], here: Here
) -> wire.Stored:
    given = request.headers.get("content-type", "application/octet-stream").partition(";")[0]
    kinds = _KINDS.get(PurePosixPath(asked.name).suffix.lower())
    if kinds is None:
        raise refusal(422, faults=[_fault("name", f"has to end in one of {' '.join(_KINDS)}")])
    if given.strip().lower() not in kinds[0]:
        raise refusal(415, "the type of content does not go with the extension of the name")
    data = await request.body()
    _looked_into(data, kinds[1])
    stored = await asyncio.to_thread(_keep, here, data, kinds[1])
    return wire.Stored(sha256=stored.sha256, size=stored.size, media_type=stored.media_type)


def _keep(here: Backend, data: bytes, kind: str) -> ArtifactRef:
    return here.system.artifacts.put(data, "upload", kind)


def _looked_into(data: bytes, kind: str) -> None:
    """What is inside has to be what its name says; raises RefusedError."""
    if not data:
        raise refusal(422, faults=[_fault("", "is empty")])
    if b"\0" in data:
        raise refusal(422, faults=[_fault("", "is not text")])
    if kind == "text/x-diff":
        if not any(data.startswith(sign) or b"\n" + sign in data for sign in (b"diff ", b"--- ")):
            raise refusal(422, faults=[_fault("", "is no patch: no line begins with diff or ---")])
        return
    try:
        data.decode()
    except UnicodeDecodeError:
        raise refusal(422, faults=[_fault("", "is not UTF-8 text")]) from None
    if kind == "application/json":
        try:
            orjson.loads(data)
        except orjson.JSONDecodeError:
            raise refusal(422, faults=[_fault("", "is not JSON")]) from None


def _fault(name: str, detail: str) -> FieldFault:
    return FieldFault(pointer=f"/query/{name}" if name else "/body", code="upload", detail=detail)
