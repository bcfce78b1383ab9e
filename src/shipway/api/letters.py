"""``/api/v1/dead-letters``: orders that nobody could do, and what becomes of them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi import Path as InPath

from shipway.api import wire
from shipway.api.backend import Caller, Doing, Here
from shipway.api.routing import Route, problems
from shipway.contracts.views import DeadLetterDetail, DeadLetterView, ItemResult
from shipway.store.dead import Which

router = APIRouter(prefix="/api/v1/dead-letters", tags=["dead letters"], route_class=Route)

Number = Annotated[int, InPath(ge=1, le=2**31 - 1)]


@router.get(
    "", operation_id="listDeadLetters", summary="Oldest first", responses=problems(404, 409)
)
def list_(asked: Annotated[wire.LetterQuestion, Query()], here: Here) -> list[DeadLetterView]:
    state = None if asked.state == "any" else asked.state
    run = None if asked.run is None else here.system.queries.resolve(asked.run)
    which = Which(state, run, asked.stage, asked.code, asked.capability)
    return here.system.letters.list(which, limit=asked.limit, after=asked.after)


@router.get(
    "/{number:int}",
    operation_id="viewDeadLetter",
    summary="One, with what was asked for and what became of each attempt",
    responses=problems(404),
)
def view(number: Number, here: Here) -> DeadLetterDetail:
    return here.system.letters.view(number)


@router.post(
    "/replay",
    operation_id="replayDeadLetters",
    summary="Do their orders again, each on its own",
    responses=problems(),
)
def replay(given: wire.Letters, caller: Caller, doing: Doing) -> list[ItemResult]:
    return doing.replay(given.numbers, caller, given.reason)


@router.post(
    "/discard",
    operation_id="discardDeadLetters",
    summary="Put them aside for good",
    responses=problems(),
)
def discard(given: wire.Letters, caller: Caller, doing: Doing) -> list[ItemResult]:
    return doing.discard(given.numbers, caller, given.reason)
