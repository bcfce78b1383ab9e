"""``/api/v1/version`` and the two questions of a load balancer: alive, and may I have traffic."""

from __future__ import annotations

import platform
from typing import Any, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict

from shipway import __version__
from shipway.api.backend import Here
from shipway.api.routing import Route, problems
from shipway.contracts.model import Model
from shipway.contracts.registry import CONTRACTS
from shipway.health.check import Answer
from shipway.store.opening import REVISION
from shipway.telemetry.metrics import CONTENT_TYPE, exposition

router = APIRouter(tags=["about"], route_class=Route)


class Version(Model):
    """What runs here: the release, the revision it was made from, and what it reads and writes."""

    version: str
    revision: str
    python: str
    api: str
    schema_revision: str
    contracts: dict[str, int]


class Alive(Model):
    """Whether the process answers; nothing else is looked at."""

    status: Literal["pass", "fail"]
    output: str | None = None


@router.get(
    "/api/v1/version", operation_id="version", summary="What runs here", responses=problems()
)
def version(here: Here) -> Version:
    return Version(
        version=__version__,
        revision=here.revision,
        python=platform.python_version(),
        api="v1",
        schema_revision=REVISION,
        contracts={name: contract.version for name, contract in CONTRACTS.items()},
    )


_HEALTH = "application/health+json"
_DOCUMENT = {_HEALTH: {"schema": {"$ref": "#/components/schemas/Health"}}}
_BOTH: dict[int | str, dict[str, Any]] = {
    200: {"description": "yes", "content": _DOCUMENT},
    503: {"description": "no", "content": _DOCUMENT},
}


class Health(BaseModel):
    """A document of health+json; what it tells beside its status depends on the question."""

    model_config = ConfigDict(extra="allow")

    status: Literal["pass", "warn", "fail"]


def _told(answer: Answer) -> Response:
    return Response(answer.body, answer.status_code, headers=dict(answer.headers))


@router.get(
    "/health",
    operation_id="alive",
    summary="Alive: the process and its event loop, never what they depend on",
    response_class=Response,
    responses=problems() | _BOTH,
)
async def alive(here: Here) -> Response:
    return _told(here.monitor.live())


@router.get(
    "/health/ready",
    operation_id="ready",
    summary="May I have traffic",
    response_class=Response,
    responses=problems() | _BOTH,
)
async def ready(here: Here) -> Response:
    return _told(here.monitor.ready())


@router.get(
    "/health/detailed",
    operation_id="health",
    summary="Every check, and the figures of the last minute",
    response_class=Response,
    responses=problems() | _BOTH,
)
async def detailed(here: Here) -> Response:
    return _told(here.monitor.detailed())


@router.get(
    "/metrics",
    operation_id="metrics",
    summary="Everything that is counted, for Prometheus",
    response_class=Response,
    responses=problems()
    | {200: {"description": "text", "content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def metrics() -> Response:
    return Response(exposition(), media_type=CONTENT_TYPE)
