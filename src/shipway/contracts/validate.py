"""Contract ``validate``: the gates that look at a candidate's tree."""

from __future__ import annotations

from shipway.contracts.evidence import GateReport
from shipway.contracts.model import ArtifactRef, GitObject, Model


class ValidateRequest(Model):
    plan: ArtifactRef
    base: GitObject | None = None
    commit: GitObject
    tree: GitObject


class ValidateResult(Model):
    """The report decides: a result is a success only if its gates pass (``domain.gates.passes``)."""

    report: GateReport
