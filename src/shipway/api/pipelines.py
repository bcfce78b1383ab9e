"""``/api/v1/pipelines``: the built-in definitions that runs follow, and a check of one's own."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from fastapi import Path as InPath
from pydantic import JsonValue

from shipway.api import wire
from shipway.api.routing import Route, problems
from shipway.contracts.model import Lasting, Model
from shipway.engine.pipelines import loader
from shipway.engine.pipelines.builtin import Builtin
from shipway.engine.pipelines.codec import to_json

router = APIRouter(prefix="/api/v1/pipelines", tags=["pipelines"], route_class=Route)

_BUILTIN = Builtin()


class PipelineLine(Model):
    """One pipeline in a list."""

    name: str
    version: int
    title: str
    takes: str | None
    stages: int
    digest: str


class PipelineView(Model):
    """A pipeline with every default filled in, and as it is written."""

    definition: dict[str, JsonValue]
    source: str


class PipelineText(Lasting):
    """A definition as YAML."""

    text: wire.Prose


class FaultView(Model):
    """What is wrong with a definition, and where."""

    line: int
    column: int
    message: str
    remedy: str


class Verdict(Model):
    """Whether a definition can be used."""

    valid: bool
    faults: list[FaultView]


@router.get("", operation_id="listPipelines", summary="Built-in pipelines", responses=problems())
def list_() -> list[PipelineLine]:
    return [PipelineLine(**line) for line in _BUILTIN.lines()]


@router.get("/{name}", operation_id="viewPipeline", summary="One pipeline", responses=problems(404))
def view(name: Annotated[str, InPath(pattern=r"^[a-z][a-z0-9-]{0,63}$")]) -> PipelineView:
    definition: dict[str, Any] = to_json(_BUILTIN.loaded(name))
    return PipelineView(definition=definition, source=_BUILTIN.source(name))


@router.post(
    "/validate",
    operation_id="validatePipeline",
    summary="Check a definition",
    responses=problems(),
)
def validate(given: PipelineText) -> Verdict:
    faults = [
        FaultView(line=fault.line, column=fault.column, message=fault.message, remedy=fault.remedy)
        for fault in loader.validate(given.text, "pipeline.yaml")
    ]
    return Verdict(valid=not faults, faults=faults)
