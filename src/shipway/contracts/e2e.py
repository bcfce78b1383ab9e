"""Contract ``e2e``: the gates that talk to the running candidate."""

from __future__ import annotations

from shipway.contracts.evidence import GateReport
from shipway.contracts.model import ArtifactRef, GitObject, Model


class E2eRequest(Model):
    plan: ArtifactRef
    requirement: ArtifactRef
    commit: GitObject
    tree: GitObject


class E2eResult(Model):
    report: GateReport
