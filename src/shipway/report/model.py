"""The evidence of a run: the one model of evidence.json, and what the page shows beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import Field, JsonValue

from shipway.contracts.deploy import DeployResult
from shipway.contracts.envelope import ErrorReport
from shipway.contracts.evidence import GateReport
from shipway.contracts.integrate import IntegrateResult
from shipway.contracts.model import ArtifactRef, GitObject, Model, Sha256, Timestamp
from shipway.contracts.plan import PlanResult
from shipway.contracts.views import AskView, AttemptView, StopView
from shipway.domain.states import Claim, RunStatus, StageStatus


class RunFacts(Model):
    """Which run it is, and what became of it."""

    id: str
    number: int
    status: RunStatus
    title: str
    claim: Claim | None
    repository: str | None
    target: str
    trace: str
    created_at: Timestamp
    ended_at: Timestamp | None
    seconds: float
    reason: str | None


class PipelineFacts(Model):
    name: str
    version: int
    digest: str


class Requirement(Model):
    """What was asked; ``submission`` holds everything that was handed in with it."""

    document: ArtifactRef
    kind: str
    submission: dict[str, JsonValue]


class Spent(Model):
    """Where the time of a stage went, in seconds; ``waited`` is for people."""

    queued: float = 0.0
    worked: float = 0.0
    retrying: float = 0.0
    waited: float = 0.0


class StageEvidence(Model):
    """One stage: its attempts, its gates' evidence and its result (without that report)."""

    id: str
    capability: str
    agent: str
    fallbacks: list[str] = Field(default_factory=list)
    status: StageStatus
    needs: list[str]
    started_at: Timestamp | None
    ended_at: Timestamp | None
    spent: Spent
    doing: str | None
    reason: str | None
    error: ErrorReport | None
    attempts: list[AttemptView]
    report: GateReport | None
    result: dict[str, JsonValue] | None


class Candidate(Model):
    """The change that was made, by the stage that made it."""

    stage: str
    base: GitObject | None
    commit: GitObject
    tree: GitObject
    diff: ArtifactRef


class Evidence(Model):
    """Everything that supports the verdict on a run; all artifacts by their sha256."""

    format: Literal["shipway.evidence/1"] = "shipway.evidence/1"
    generated_at: Timestamp
    versions: dict[str, str]
    run: RunFacts
    pipeline: PipelineFacts
    requirement: Requirement
    plan: PlanResult | None
    stages: list[StageEvidence]
    asks: list[AskView]
    candidate: Candidate | None
    integration: IntegrateResult | None
    deployment: DeployResult | None
    stop: StopView | None
    artifacts: list[ArtifactRef]
    diff_sha256: Sha256 | None = None
    remarks: list[str] = Field(default_factory=list)


@dataclass(frozen=True, slots=True)
class RunRecord:
    """The evidence, and the texts that a person reads with it; a text may be missing."""

    evidence: Evidence
    requirement: str | None
    plan: str | None
    diff: bytes | None
