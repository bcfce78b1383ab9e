"""``/api/v1/asks``: decisions and clarifications that wait for a person, and their answers."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from fastapi import Path as InPath

from shipway.api import wire
from shipway.api.backend import Backend, Caller, Doing, Here
from shipway.api.problems import FieldFault, refusal
from shipway.api.routing import Route, problems
from shipway.api.runs import Ref
from shipway.contracts.views import AskView, RunSummary
from shipway.errors import ConflictError, NotFoundError

router = APIRouter(prefix="/api/v1", tags=["asks"], route_class=Route)

AskId = Annotated[str, InPath(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


@router.get("/asks", operation_id="listAsks", summary="What waits", responses=problems())
def list_(here: Here) -> list[AskView]:
    return here.system.queries.inbox()


@router.post(
    "/runs/{ref}/asks/{ask}/decision",
    operation_id="decide",
    summary="Make a decision",
    responses=problems(403, 404, 409),
)
def decide(
    ref: Ref, ask: AskId, choice: wire.Choice, here: Here, caller: Caller, doing: Doing
) -> RunSummary:
    run = here.system.queries.resolve(ref)
    found = _open(here, run, ask, "decision")
    if choice.choice not in found.options:
        raise _no_option("choice", found)
    doing.decide(run, ask, choice.choice, caller, choice.comment, choice.subject)
    return here.system.queries.summary(run)


@router.post(
    "/runs/{ref}/asks/{ask}/answer",
    operation_id="answer",
    summary="Answer a clarification",
    responses=problems(404, 409),
)
def answer(
    ref: Ref, ask: AskId, reply: wire.Reply, here: Here, caller: Caller, doing: Doing
) -> RunSummary:
    run = here.system.queries.resolve(ref)
    found = _open(here, run, ask, "clarification")
    if found.options and reply.value not in found.options:
        raise _no_option("value", found)
    doing.answer(run, ask, reply.value, caller)
    return here.system.queries.summary(run)


def _open(here: Backend, run: str, ask: str, kind: str) -> AskView:
    """The ask, if it is of this kind; whether it is still open is the engine's to say."""
    for one in here.system.queries.run(run).asks:
        if one.id == ask:
            if one.kind != kind:
                raise ConflictError(f"this is a {one.kind}, not a {kind}")
            return one
    raise NotFoundError("the run has no such ask", hint="list what waits: /api/v1/asks")


def _no_option(name: str, ask: AskView) -> Exception:
    listed = f"is not one of {', '.join(ask.options)}"
    fault = FieldFault(pointer=f"/body/{name}", code="option", detail=listed)
    return refusal(422, faults=[fault])
