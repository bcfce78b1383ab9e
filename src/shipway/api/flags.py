"""``/api/v1/flags``: who gets what, and changing it without overwriting somebody else's change."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Header, Response
from fastapi import Path as InPath
from pydantic import Field

from shipway.api import wire
from shipway.api.backend import Caller, Here
from shipway.api.problems import refusal
from shipway.api.routing import Route, problems
from shipway.contracts.model import Model, Timestamp, timestamp
from shipway.errors import ConflictError
from shipway.flags.editing import Edit
from shipway.flags.flag import Flag, Serve

router = APIRouter(prefix="/api/v1/flags", tags=["flags"], route_class=Route)

Key = Annotated[str, InPath(pattern=r"^[a-z][a-z0-9_.-]{0,79}$")]
Match = Annotated[
    str | None, Header(alias="if-match", description="the ETag of the version that is edited")
]
_ETAG = {"headers": {"ETag": {"description": "its version", "schema": {"type": "string"}}}}


class FlagEdit(Model):
    """What is to be different; what is left out stays as it is. ``why`` goes into the history."""

    enabled: bool | None = None
    serve: Serve | None = None
    why: Annotated[wire.Remark, Field(min_length=1)]


class FlagChange(Model):
    """One line of a flag's history; ``flag`` is what it became."""

    at: Timestamp
    by: str
    why: str
    flag: Flag


@router.get("", operation_id="listFlags", summary="Every flag", responses=problems())
def list_(here: Here) -> list[Flag]:
    return list(here.system.board.all().values())


@router.get(
    "/{key}",
    operation_id="viewFlag",
    summary="One flag",
    responses=problems(404) | {200: _ETAG},
)
def view(key: Key, here: Here, response: Response) -> Flag:
    found = here.system.board.get(key)
    response.headers["etag"] = f'"{found.version}"'
    return found


@router.get(
    "/{key}/history",
    operation_id="flagHistory",
    summary="Who changed it, when and why",
    responses=problems(404),
)
def history(key: Key, here: Here) -> list[FlagChange]:
    return [
        FlagChange(at=timestamp(one.at), by=one.by, why=one.why, flag=one.flag)
        for one in here.system.board.history(key)
    ]


@router.patch(
    "/{key}",
    operation_id="editFlag",
    summary="Change it, if it is still the version that was read",
    responses=problems(404, 409, 412, 428) | {200: _ETAG},
)
def edit(
    key: Key,
    given: FlagEdit,
    here: Here,
    caller: Caller,
    response: Response,
    if_match: Match = None,
) -> Flag:
    board = here.system.board
    version = _version(if_match)
    if version != board.get(key).version:
        raise refusal(412)
    try:
        changed = board.change(
            key, Edit(enabled=given.enabled, serve=given.serve), caller, given.why, version
        )
    except ConflictError:
        raise refusal(412) from None
    response.headers["etag"] = f'"{changed.version}"'
    return changed


def _version(match: str | None) -> int:
    if match is None:
        raise refusal(428)
    found = re.fullmatch(r'"([0-9]{1,9})"', match.strip())
    if found is None:
        raise refusal(412)
    return int(found[1])
