"""What `shipway check` found: the outcome, each gate's evidence, and what a person has to decide."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field

from shipway.contracts.evidence import GateEvidence, GateSelection
from shipway.contracts.model import GitObject, Model, Timestamp
from shipway.domain.states import Claim


class Outcome(StrEnum):
    """What became of a change that was checked."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    PERSON = "needs a person"
    NOTHING = "nothing to judge"


class Revision(Model):
    """One side of the comparison, and in words what it is."""

    commit: GitObject
    tree: GitObject
    said: str


class Decision(Model):
    """Something that only a person may decide, and how to do it."""

    gate: str
    question: str
    how: list[str]


class WaiverUse(Model):
    """A waiver of the policy: whether it counted for this change, and why not if it did not."""

    gate: str
    approver: str
    reason: str
    expires: str
    counts: bool
    why: str


class PolicyUse(Model):
    """Which policy held."""

    source: str
    digest: str


class CheckReport(Model):
    """Everything that one check found, bound to the two trees that it compared.

    ``cached`` names the gates whose verdict was taken from an earlier check of the same inputs.
    """

    format: Literal[1] = 1
    outcome: Outcome
    summary: str
    repository: str
    base: Revision
    head: Revision
    claim: Claim
    claimed_by: str
    policy: PolicyUse
    selections: list[GateSelection]
    evidence: list[GateEvidence]
    decisions: list[Decision] = Field(default_factory=list)
    waivers: list[WaiverUse] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)
    next: list[str] = Field(default_factory=list)
    machine: dict[str, str] = Field(default_factory=dict)
    cached: list[str] = Field(default_factory=list)
    started_at: Timestamp
    ended_at: Timestamp
    seconds: float
