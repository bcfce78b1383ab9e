"""Contract ``plan``: from a requirement to a plan that a person can read and agents can follow."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from shipway.contracts.model import ArtifactRef, GitObject, Model, Sha256
from shipway.domain.states import Claim


class ChangeSource(Model):
    """Where a change to a repository comes from.

    A patch; a command run in the workspace; a coding agent that speaks ACP (``command`` starts
    it); or a language model (``model`` is its name).
    """

    kind: Literal["patch", "command", "acp", "model"]
    patch: ArtifactRef | None = None
    command: list[str] = Field(default_factory=list)
    model: str | None = None


class PlanRequest(Model):
    """``base`` is the commit of ``target`` at submission; both are None for a new service."""

    requirement: ArtifactRef
    kind: Literal["specification", "change"]
    claim: Claim | None = None
    base: GitObject | None = None
    target: str = "main"
    answers: dict[str, str] = Field(default_factory=dict)


class Unimplemented(Model):
    """An operation that will answer 501, and why."""

    operation: str
    reason: str


class PlanResult(Model):
    """``plan`` is the machine-readable plan (ServicePlan or ChangePlan JSON), ``readable`` Markdown."""

    kind: Literal["specification", "change"]
    plan: ArtifactRef
    readable: ArtifactRef
    digest: Sha256
    name: str
    title: str
    claim: Claim
    operations: int = 0
    unimplemented: list[Unimplemented] = Field(default_factory=list)
    unimplemented_count: int = 0
    ambiguities: int = 0
    checks: int = 0
    risk: Literal["low", "medium", "high"] = "low"
    has_service: bool = False
    has_deployment: bool = False
