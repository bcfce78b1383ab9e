"""What a gate saw: the one model of findings, measurements and evidence."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from shipway.contracts.model import ArtifactRef, GitObject, Model, Timestamp
from shipway.domain.gates import Enforcement, Judgement, Selection, Verdict


class Finding(Model):
    """One thing that a tool objects to, at a place a person can open."""

    rule: str
    message: str
    path: str | None = None
    line: int | None = None
    severity: Literal["error", "warning", "note"] = "error"
    reproduce: str | None = None


class Measurement(Model):
    """One number that a gate measured, with its unit and the threshold it was held against."""

    name: str
    value: float
    unit: str
    threshold: float | None = None


class FenceReport(Model):
    """Which walls stood around a command while it ran."""

    mechanism: str
    user: bool
    pids: bool
    mounts: bool
    network: bool
    landlock: bool
    seccomp: bool = False
    limits: dict[str, int] = Field(default_factory=dict)


class GateEvidence(Model):
    """One selected gate: its verdict and everything needed to believe or repeat it.

    ``category`` stands beside the verdict ERROR only: whether trying again may help. ``ask``
    stands beside FAIL only: what a person has to decide, where the gate alone cannot.
    """

    gate: str
    verdict: Verdict
    enforcement: Enforcement = Enforcement.REQUIRED
    summary: str
    examined: int
    command: list[str]
    tool: str
    tool_version: str | None
    exit_code: int | None
    started_at: Timestamp
    ended_at: Timestamp
    tree: GitObject
    fence: FenceReport | None
    counts: dict[str, int] = Field(default_factory=dict)
    measurements: list[Measurement] = Field(default_factory=list)
    findings: list[Finding] = Field(default_factory=list)
    inputs: dict[str, str] = Field(default_factory=dict)
    outputs: dict[str, str] = Field(default_factory=dict)
    log: ArtifactRef | None = None
    reproduce: str | None = None
    category: str | None = None
    ask: str | None = None

    def judgement(self) -> Judgement:
        return Judgement(self.gate, self.verdict, self.examined, self.summary, self.enforcement)


class GateSelection(Model):
    """Whether a gate applies, decided by a recorded rule before anything ran."""

    gate: str
    selected: bool
    reason: str
    enforcement: Enforcement = Enforcement.REQUIRED

    def selection(self) -> Selection:
        return Selection(self.gate, self.selected, self.reason, self.enforcement)


class GateReport(Model):
    """All gates of one stage for one tree."""

    tree: GitObject
    selections: list[GateSelection]
    evidence: list[GateEvidence]
