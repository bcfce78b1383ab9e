"""The values of source ``run``: what a submission gives to the inputs and conditions of a pipeline."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from shipway.contracts.model import ArtifactRef, GitObject, Model
from shipway.contracts.plan import ChangeSource
from shipway.domain.states import Claim


class RunValues(Model):
    """What every run offers; ``repository`` is where the result goes, ``port`` 0 means any."""

    requirement: ArtifactRef
    kind: Literal["specification", "change"]
    claim: Claim | None = None
    base: GitObject | None = None
    target: str
    repository: str
    strategy: Literal["merge", "squash", "rebase", "fast-forward"]
    change: ChangeSource | None = None
    answers: dict[str, str] = Field(default_factory=dict)
    port: int = 0
    priority: int = 0


class SpecificationValues(RunValues):
    """A run that begins with a document."""

    kind: Literal["specification"]


class ChangeValues(RunValues):
    """A run that begins with a repository: the base and the source of the change are there."""

    kind: Literal["change"]
    base: GitObject
    change: ChangeSource


def values_for(takes: str | None) -> type[RunValues]:
    """The model of ``run`` in a pipeline that ``takes`` this kind of requirement."""
    match takes:
        case "specification":
            return SpecificationValues
        case "change":
            return ChangeValues
        case _:
            return RunValues
