"""``/api/v1/releases``: what is deployed on this machine, and the way back from it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Query, Response
from fastapi import Path as InPath

from shipway.api import wire
from shipway.api.backend import Here
from shipway.api.routing import Route, problems
from shipway.api.runs import file_response
from shipway.contracts.model import Lasting
from shipway.contracts.views import ReleaseView
from shipway.release.record import Release

router = APIRouter(prefix="/api/v1/releases", tags=["releases"], route_class=Route)

Ref = Annotated[str, InPath(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
Service = Annotated[str, InPath(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]


class Everything(Lasting):
    """Said in so many words, since no service is meant and each of them stops."""

    everything: Literal[True]


_LOG = {"text/plain": {"schema": {"type": "string"}}}


def _view(release: Release) -> ReleaseView:
    """By way of JSON: the record holds tuples, the wire lists."""
    return ReleaseView.model_validate_json(orjson.dumps(release.to_dict()))


@router.get("", operation_id="listReleases", summary="Releases, newest first", responses=problems())
def list_(asked: Annotated[wire.ReleaseQuestion, Query()], here: Here) -> wire.Page[ReleaseView]:
    question = asked.model_dump(mode="json", exclude={"cursor", "limit"})
    found = [one for one in here.system.releases.list() if _meant(one, asked)]
    if asked.cursor is not None:
        last = here.cursors.read(question, asked.cursor)
        found = [one for one in found if _place(one) < last]
    page = found[: asked.limit]
    more = len(found) > len(page)
    cursor = here.cursors.write(question, _place(page[-1])) if more else None
    return wire.Page(items=[_view(one) for one in page], next_cursor=cursor)


def _place(release: Release) -> list[Any]:
    """Where it stands in the list, newest first; a later release has a greater one."""
    return [release.created_at, release.id]


def _meant(release: Release, asked: wire.ReleaseQuestion) -> bool:
    return (
        asked.service in {None, release.service}
        and asked.run in {None, release.run}
        and (not asked.state or release.status.value in asked.state)
    )


@router.get(
    "/{ref}", operation_id="viewRelease", summary="One release", responses=problems(404, 409)
)
def view(ref: Ref, here: Here) -> ReleaseView:
    return _view(here.system.releases.view(ref))


@router.get(
    "/{ref}/log",
    operation_id="releaseLog",
    summary="What it wrote, the newest part",
    response_class=Response,
    responses=problems(404, 409) | {200: {"description": "the log", "content": _LOG}},
)
def log(ref: Ref, here: Here) -> Response:
    return file_response(here.system.releases.log(ref), "text/plain; charset=utf-8", "service.log")


@router.post(
    "/stop",
    operation_id="stopReleases",
    summary="Stop whatever is deployed; the body has to say that everything is meant",
    responses=problems(),
)
def stop_everything(_given: Everything, here: Here) -> list[ReleaseView]:
    return [_view(one) for one in here.system.releases.stop(all=True)]


@router.post(
    "/{ref}/stop",
    operation_id="stopRelease",
    summary="Stop a service or a release",
    responses=problems(404, 409),
)
def stop(ref: Ref, here: Here) -> list[ReleaseView]:
    return [_view(one) for one in here.system.releases.stop(ref)]


@router.post(
    "/{service}/rollback",
    operation_id="rollback",
    summary="Return to the last good release of a service",
    responses=problems(404, 409),
)
def rollback(service: Service, here: Here) -> ReleaseView:
    return _view(here.system.releases.rollback(service))
