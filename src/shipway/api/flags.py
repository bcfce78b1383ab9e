"""``/api/v1/flags``: who gets what, and changing it without overwriting somebody else's change."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Header, Response
from fastapi import Path as InPath
from pydantic import BeforeValidator, Field

from shipway.api import wire
from shipway.api.backend import Caller, Here
from shipway.api.problems import refusal
from shipway.api.routing import Route, problems
from shipway.contracts.model import Lasting, Model, Timestamp, timestamp
from shipway.errors import ConflictError
from shipway.flags.editing import Edit
from shipway.flags.flag import Attribute, Flag, Name, Rule, Serve, Value

router = APIRouter(prefix="/api/v1/flags", tags=["flags"], route_class=Route)

Key = Annotated[str, InPath(pattern=r"^[a-z][a-z0-9_.-]{0,79}$")]
Match = Annotated[
    str | None, Header(alias="if-match", description="the ETag of the version that is edited")
]
_ETAG = {"headers": {"ETag": {"description": "its version", "schema": {"type": "string"}}}}


def _day(value: Any) -> Any:
    """As JSON has days: text, and no number of seconds that would be taken for one."""
    if not (isinstance(value, str) and value):
        raise ValueError("should be a day such as 2027-01-31")
    return value


Day = Annotated[date, Field(strict=False), BeforeValidator(_day)]
Variants = Annotated[
    dict[Name, Value],
    Field(min_length=1, max_length=100, json_schema_extra={"additionalProperties": False}),
]


class FlagEdit(Lasting):
    """What is to be different; what is left out stays as it is. ``why`` goes into the history."""

    enabled: bool | None = None
    serve: Serve | None = None
    rules: Annotated[list[Rule], Field(max_length=100)] | None = None
    variants: Variants | None = None
    default: Name | None = None
    unit: Attribute | None = None
    about: Annotated[wire.Line, Field(max_length=200)] | None = None
    owner: Annotated[wire.Line, Field(max_length=100)] | None = None
    expires: Day | None = None
    why: wire.Remark = ""

    def edit(self) -> Edit:
        given = {name: getattr(self, name) for name in FlagEdit.model_fields if name != "why"}
        return Edit(**given | {"rules": None if self.rules is None else tuple(self.rules)})


class NewFlag(FlagEdit):
    """A flag that code asks for by its key; it needs ``about``, ``owner`` and ``expires``."""

    key: Name


class FlagChange(Model):
    """One line of a flag's history; ``flag`` is what it became."""

    at: Timestamp
    by: str
    why: str
    flag: Flag


@router.get("", operation_id="listFlags", summary="Every flag", responses=problems())
def list_(here: Here) -> list[Flag]:
    return list(here.system.board.all().values())


@router.post(
    "",
    operation_id="createFlag",
    summary="A new flag, off for everybody unless it says otherwise",
    status_code=201,
    responses=problems(409) | {201: _ETAG},
)
def create(given: NewFlag, here: Here, caller: Caller, response: Response) -> Flag:
    made = here.system.board.create(given.key, given.edit(), caller, given.why)
    response.headers["location"] = f"/api/v1/flags/{made.key}"
    response.headers["etag"] = f'"{made.version}"'
    return made


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
    """Sent again because the answer was lost, it is answered with what it came to."""
    board = here.system.board
    version = _version(if_match)
    found = board.get(key)
    if version == found.version:
        try:
            found = board.change(key, given.edit(), caller, given.why, version)
        except ConflictError:
            raise refusal(412) from None
    elif not board.was_made(key, given.edit(), caller, given.why, version):
        raise refusal(412)
    response.headers["etag"] = f'"{found.version}"'
    return found


def _version(match: str | None) -> int:
    if match is None:
        raise refusal(428)
    found = re.fullmatch(r'"([0-9]{1,9})"', match.strip())
    if found is None:
        raise refusal(412)
    return int(found[1])
