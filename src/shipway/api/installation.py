"""What this installation is set to and what it speaks: settings (masked) and contracts."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from fastapi import Path as InPath
from pydantic import JsonValue

from shipway.api.routing import Route, problems
from shipway.config import effective, load
from shipway.contracts.golden import described_as
from shipway.contracts.model import Lasting, Model
from shipway.contracts.registry import CONTRACTS
from shipway.errors import NotFoundError

router = APIRouter(prefix="/api/v1", tags=["installation"], route_class=Route)


class SettingView(Model):
    """One setting as it is in force; a secret is masked."""

    name: str
    variable: str
    value: JsonValue
    text: str
    source: str
    secret: bool
    reloadable: bool
    description: str


class Sides(Lasting):
    """A message as JSON Schema: what is accepted of it, and what is written."""

    reads: dict[str, JsonValue]
    writes: dict[str, JsonValue]


Capability = Annotated[str, InPath(pattern=r"^[a-z][a-z0-9-]{0,63}$")]
Version = Annotated[int, InPath(ge=1, le=9_999)]


class ContractView(Model):
    """What agents of a capability are asked and answer; ``oldest`` is understood, less what is ``lost``."""

    capability: str
    version: int
    oldest: int
    request: dict[str, JsonValue]
    result: dict[str, JsonValue]
    lost: dict[str, list[str]]


class ContractText(Model):
    """One version of a contract as its golden file has it."""

    request: Sides
    result: Sides


@router.get("/config", operation_id="config", summary="The settings in force", responses=problems())
def config() -> list[SettingView]:
    return [SettingView(**row | {"source": str(row["source"])}) for row in effective(load())]


@router.get("/contracts", operation_id="contracts", summary="Contracts", responses=problems())
def contracts() -> list[ContractView]:
    return [
        ContractView(
            capability=one.capability,
            version=one.version,
            oldest=one.history.oldest,
            request=_schema(one.request),
            result=_schema(one.result),
            lost=one.history.lost_by_the_oldest(),
        )
        for one in CONTRACTS.values()
    ]


def _schema(model: Any) -> dict[str, JsonValue]:
    found: dict[str, JsonValue] = model.model_json_schema()
    return found


@router.get(
    "/contracts/{capability}/{version}",
    operation_id="contract",
    summary="One version of a contract: what is accepted and what is written",
    responses=problems(404),
)
def contract(capability: Capability, version: Version) -> ContractText:
    if capability not in CONTRACTS:
        raise NotFoundError("there is no such contract", hint="list them: /api/v1/contracts")
    return ContractText.model_validate(described_as(capability, version))
