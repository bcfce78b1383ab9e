"""``/api/v1/workers`` and ``/api/v1/agents``: who is there to do the work, and letting them rest."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from fastapi import Path as InPath

from shipway.api.backend import Here
from shipway.api.routing import Route, problems
from shipway.contracts.fleet import AgentView, WorkerView

router = APIRouter(prefix="/api/v1", tags=["fleet"], route_class=Route)

Ref = Annotated[
    str,
    InPath(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,99}$",
        description="a worker by its id or name, or a capability: all workers that serve it",
    ),
]


@router.get(
    "/workers",
    operation_id="listWorkers",
    summary="Engines and workers of the fleet, the longest serving first",
    responses=problems(),
)
def workers(here: Here) -> list[WorkerView]:
    return here.system.crew.workers()


@router.get(
    "/agents",
    operation_id="listAgents",
    summary="Every agent that would be given work now",
    responses=problems(),
)
def agents(here: Here) -> list[AgentView]:
    return here.system.crew.agents()


@router.post(
    "/agents/{ref}/drain",
    operation_id="drainAgents",
    summary="Let workers take nothing new; what they have in hand goes on to its end",
    responses=problems(404, 409),
)
def drain(ref: Ref, here: Here) -> list[WorkerView]:
    return here.system.crew.drain(ref, draining=True)


@router.post(
    "/agents/{ref}/resume",
    operation_id="resumeAgents",
    summary="Let workers that drain take work again",
    responses=problems(404, 409),
)
def resume(ref: Ref, here: Here) -> list[WorkerView]:
    return here.system.crew.drain(ref, draining=False)
