"""What this installation is set to and what it speaks: settings (masked), contracts and agents."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import JsonValue

from shipway.api.backend import Here
from shipway.api.routing import Route, problems
from shipway.config import effective, load
from shipway.contracts.model import Model
from shipway.contracts.registry import CONTRACTS

router = APIRouter(prefix="/api/v1", tags=["installation"], route_class=Route)


class SettingView(Model):
    """One setting as it is in force; a secret is masked."""

    name: str
    variable: str
    value: JsonValue
    source: str
    secret: bool
    reloadable: bool
    description: str


class ContractView(Model):
    """What agents of a capability are asked and have to answer, as JSON Schema."""

    capability: str
    version: int
    request: dict[str, JsonValue]
    result: dict[str, JsonValue]


class AgentsView(Model):
    """The agents of a capability; the first one is its default."""

    capability: str
    agents: list[str]


@router.get("/config", operation_id="config", summary="The settings in force", responses=problems())
def config() -> list[SettingView]:
    return [
        SettingView(
            **{name: row[name] for name in SettingView.model_fields if name != "source"},
            source=str(row["source"]),
        )
        for row in effective(load())
    ]


@router.get("/contracts", operation_id="contracts", summary="Contracts", responses=problems())
def contracts() -> list[ContractView]:
    return [
        ContractView(
            capability=one.capability,
            version=one.version,
            request=_schema(one.request),
            result=_schema(one.result),
        )
        for one in CONTRACTS.values()
    ]


def _schema(model: Any) -> dict[str, JsonValue]:
    found: dict[str, JsonValue] = model.model_json_schema()
    return found


@router.get("/agents", operation_id="agents", summary="Who does what", responses=problems())
def agents(here: Here) -> list[AgentsView]:
    return [
        AgentsView(capability=capability, agents=names)
        for capability, names in here.system.agents.capabilities().items()
    ]
