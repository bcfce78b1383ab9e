"""``/api/v1/runs``: start, list and view runs, their events and files, and steer them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query, Response
from fastapi import Path as InPath

from shipway.api import wire
from shipway.api.backend import Backend, Caller, Doing, Here
from shipway.api.routing import Route, problems
from shipway.contracts.model import ArtifactRef
from shipway.contracts.views import EventView, RunDetail, RunSummary
from shipway.domain.states import Claim
from shipway.engine.commands import Changes, Maker, Submission
from shipway.engine.pipelines.loader import located
from shipway.errors import NotFoundError, UsageError
from shipway.store.listing import Filter

router = APIRouter(prefix="/api/v1/runs", tags=["runs"], route_class=Route)

Ref = Annotated[
    str, InPath(pattern=r"^(@last|[0-9A-Za-z]{1,40})$", description="a number, an id, or @last")
]
Digest = Annotated[str, InPath(pattern=r"^[0-9a-f]{64}$")]
Reason = Annotated[wire.Because | None, Body()]
_PLAIN = "text/plain; charset=utf-8"


def _bytes(*kinds: str) -> dict[str, Any]:
    """The documentation of an answer that is a file."""
    schema = {"schema": {"type": "string", "format": "binary"}}
    return {"description": "the bytes", "content": dict.fromkeys(kinds, schema)}


_EVIDENCE = {
    "description": "the document, as a file",
    "content": {"application/json": {"schema": {"type": "object"}}},
}


@router.post(
    "",
    status_code=201,
    operation_id="submitRun",
    summary="Start a run",
    responses=problems(403, 404, 409, 501)
    | {
        201: {
            "headers": {
                "Location": {"description": "where the run is", "schema": {"type": "string"}}
            }
        }
    },
)
def submit(new: wire.NewRun, here: Here, doing: Doing, response: Response) -> RunSummary:
    run = doing.submit(submission_of(new, here))
    here.system.detach(run)
    response.headers["location"] = f"/api/v1/runs/{run}"
    return here.system.queries.summary(run)


@router.get("", operation_id="listRuns", summary="Runs, filtered and sorted", responses=problems())
def list_(asked: Annotated[wire.RunQuestion, Query()], here: Here) -> wire.Page[RunSummary]:
    question = asked.model_dump(mode="json", exclude={"cursor", "limit"})
    after = None
    if asked.cursor is not None:
        (after,) = here.cursors.read(question, asked.cursor)
    wanted = Filter(tuple(dict.fromkeys(asked.state)), asked.pipeline, asked.text)
    found, more = here.system.queries.page(
        wanted, sort=wire.SORTS[asked.sort], limit=asked.limit, after=after
    )
    cursor = None if more is None else here.cursors.write(question, [more])
    return wire.Page(items=found, next_cursor=cursor)


@router.get(
    "/{ref}", operation_id="viewRun", summary="Everything about a run", responses=problems(404, 409)
)
def view(ref: Ref, here: Here) -> RunDetail:
    return here.system.queries.run(ref)


@router.get(
    "/{ref}/history",
    operation_id="runHistory",
    summary="What happened, in order, a page at a time",
    responses=problems(404, 409),
)
def history(ref: Ref, asked: Annotated[wire.EventQuestion, Query()], here: Here) -> list[EventView]:
    return here.system.queries.events(ref, asked.after, asked.limit)


@router.get(
    "/{ref}/logs",
    operation_id="runLogs",
    summary="What a stage's attempt, or all of them, said",
    response_class=Response,
    responses=problems(404, 409) | {200: _bytes(_PLAIN)},
)
def logs(ref: Ref, asked: Annotated[wire.LogQuestion, Query()], here: Here) -> Response:
    return file_response(
        here.system.queries.log(ref, asked.stage, asked.attempt), _PLAIN, "run.log"
    )


@router.get(
    "/{ref}/diff",
    operation_id="runDiff",
    summary="What the run changed, as a patch",
    response_class=Response,
    responses=problems(404, 409) | {200: _bytes(_PLAIN)},
)
def diff(ref: Ref, here: Here) -> Response:
    return file_response(here.system.queries.diff(ref), _PLAIN, "change.patch")


@router.get(
    "/{ref}/evidence",
    operation_id="runEvidence",
    summary="The evidence of a run, as its report holds it",
    response_class=Response,
    responses=problems(404, 409) | {200: _EVIDENCE},
)
def evidence(ref: Ref, here: Here) -> Response:
    data = here.system.queries.evidence(ref)
    return file_response(data, "application/json", "evidence.json")


@router.get(
    "/{ref}/artifacts",
    operation_id="listArtifacts",
    summary="The files of a run",
    responses=problems(404, 409),
)
def artifacts(ref: Ref, here: Here) -> list[ArtifactRef]:
    return here.system.queries.run(ref).artifacts


@router.get(
    "/{ref}/artifacts/{sha256}",
    operation_id="readArtifact",
    summary="One file of a run",
    response_class=Response,
    responses=problems(404, 409) | {200: _bytes("application/octet-stream")},
)
def artifact(ref: Ref, sha256: Digest, here: Here) -> Response:
    for one in here.system.queries.run(ref).artifacts:
        if one.sha256 == sha256:
            data = here.system.artifacts.read(one)
            return file_response(data, "application/octet-stream", one.sha256)
    raise NotFoundError("the run has no such file", hint="list them: /api/v1/runs/{ref}/artifacts")


def file_response(data: bytes, kind: str, name: str) -> Response:
    """A file to be kept, not shown: a browser must not take it for a page of ours."""
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(data, media_type=kind, headers=headers)


@router.post(
    "/{ref}/cancel",
    operation_id="cancelRun",
    summary="Stop a run for good",
    responses=problems(404, 409),
)
def cancel(ref: Ref, here: Here, caller: Caller, doing: Doing, why: Reason = None) -> RunSummary:
    run = here.system.queries.resolve(ref)
    doing.cancel(run, by=caller, reason=_said(why, "asked to"))
    return here.system.queries.summary(run)


@router.post(
    "/{ref}/pause",
    operation_id="pauseRun",
    summary="Start no further stage of a run",
    responses=problems(404, 409),
)
def pause(
    ref: Ref,
    here: Here,
    caller: Caller,
    doing: Doing,
    why: Annotated[wire.Paused | None, Body()] = None,
) -> RunSummary:
    run = here.system.queries.resolve(ref)
    grace = 0.0 if why is None else why.grace
    doing.pause(run, by=caller, reason=_said(why, "paused"), grace=grace)
    return here.system.queries.summary(run)


@router.post(
    "/{ref}/resume",
    operation_id="resumeRun",
    summary="Carry a paused run on",
    responses=problems(404, 409),
)
def resume(ref: Ref, here: Here, caller: Caller, doing: Doing) -> RunSummary:
    run = here.system.queries.resolve(ref)
    doing.resume(run, by=caller)
    return here.system.queries.summary(run)


@router.post(
    "/{ref}/retry",
    operation_id="retryRun",
    summary="Do again what failed or was cancelled, or everything from a stage on",
    responses=problems(404, 409),
)
def retry(
    ref: Ref,
    here: Here,
    caller: Caller,
    doing: Doing,
    again: Annotated[wire.Again | None, Body()] = None,
) -> RunSummary:
    run = here.system.queries.resolve(ref)
    stage = None if again is None else again.stage
    doing.retry(run, caller, _said(again, "asked to"), stage)
    return here.system.queries.summary(run)


@router.post(
    "/{ref}/rewind",
    operation_id="rewindRun",
    summary="Go back to a stage, with changed input",
    responses=problems(404, 409),
)
def rewind(ref: Ref, back: wire.Rewound, here: Here, caller: Caller, doing: Doing) -> RunSummary:
    run = here.system.queries.resolve(ref)
    changes = Changes(
        requirement=None if back.requirement is None else _content(back.requirement, here),
        requirement_name=back.requirement_name,
        patch=None if back.patch is None else _content(back.patch, here),
        makers=_makers(back),
        claim=None if back.claim is None else Claim(back.claim),
        strategy=back.strategy,
        port=back.port,
        answers=back.answers,
    )
    changed = back.model_fields_set - {"stage", "reason"}
    given = changes if changed else None
    doing.rewind(run, back.stage, caller, _said(back, "asked to"), given)
    return here.system.queries.summary(run)


@router.post(
    "/{ref}/repair",
    operation_id="repairRun",
    summary="Rebuild a quarantined run from its events",
    responses=problems(404, 409),
)
def repair(ref: Ref, here: Here, caller: Caller, doing: Doing, why: Reason = None) -> RunSummary:
    run = here.system.queries.resolve(ref)
    doing.repair(run, caller, _said(why, "repaired"))
    return here.system.queries.summary(run)


@router.post(
    "/{ref}/discard",
    operation_id="discardRun",
    summary="End a quarantined run",
    responses=problems(404, 409),
)
def discard(ref: Ref, why: wire.Reasoned, here: Here, caller: Caller, doing: Doing) -> RunSummary:
    run = here.system.queries.resolve(ref)
    doing.give_up(run, caller, why.reason)
    return here.system.queries.summary(run)


def _said(why: wire.Because | None, otherwise: str) -> str:
    return why.reason if why is not None and why.reason else otherwise


# -- what is handed in ------------------------------------------------------------------------


def submission_of(new: wire.NewRun, here: Backend) -> Submission:
    """What the engine takes; raises NotFoundError for an upload that is not there."""
    repository = None if new.repository is None else Path(new.repository)
    return Submission(
        kind=new.kind,
        requirement=_content(new.requirement, here),
        requirement_name=new.requirement_name,
        pipeline=None if new.pipeline is None else located(new.pipeline, repository or Path()),
        title=new.title,
        claim=None if new.claim is None else Claim(new.claim),
        repository=repository,
        target=new.target,
        strategy=new.strategy,
        patch=None if new.patch is None else _content(new.patch, here),
        makers=_makers(new),
        port=new.port,
        accept_unimplemented=new.accept_unimplemented,
        answers=new.answers,
    )


def _content(given: wire.Content, here: Backend) -> bytes:
    if isinstance(given, wire.Text):
        return given.text.encode()
    ref = ArtifactRef(name="upload", sha256=given.upload, size=0, media_type="unknown")
    return here.system.artifacts.read(ref)


def _makers(given: wire.NewRun | wire.Rewound) -> tuple[Maker, ...]:
    """Who makes the change, and who takes over; raises UsageError for one that is not one agent."""
    first = _maker(given)
    if first is None:
        if given.fallbacks:
            raise UsageError(
                "nobody makes the change whom others could stand in for",
                hint="name the first agent as command, acp or model",
            )
        return ()
    others = [_maker(one) for one in given.fallbacks]
    if None in others:
        raise UsageError("a fallback names no agent", hint="each is one of command, acp and model")
    return (first, *(one for one in others if one is not None))


def _maker(given: wire.Source) -> Maker | None:
    """The agent of one source; raises UsageError when more than one is named."""
    named = [
        *([] if given.command is None else [Maker("command", tuple(given.command))]),
        *([] if given.acp is None else [Maker("acp", tuple(given.acp))]),
        *([] if given.model is None else [Maker("model", model=given.model)]),
    ]
    if len(named) > 1:
        raise UsageError(
            "a change comes from one of command, acp and model", hint="name only one of them"
        )
    return named[0] if named else None
