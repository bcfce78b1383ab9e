"""Contract ``integrate``: a verified commit becomes part of a branch, by compare-and-swap only."""

from __future__ import annotations

from typing import Literal

from shipway.contracts.evidence import GateReport
from shipway.contracts.model import ArtifactRef, GitObject, Model
from shipway.domain.states import Claim


class IntegrateRequest(Model):
    """``repository`` is the path of the repository whose ``target`` branch is to move."""

    plan: ArtifactRef
    repository: str
    target: str
    strategy: Literal["merge", "squash", "rebase", "fast-forward"]
    claim: Claim
    title: str
    base: GitObject | None
    commit: GitObject
    tree: GitObject


class IntegrateResult(Model):
    """``previous`` is where the branch was; ``report`` is the run of the tests on the merged tree."""

    repository: str
    target: str
    strategy: Literal["merge", "squash", "rebase", "fast-forward"]
    previous: GitObject | None
    commit: GitObject
    tree: GitObject
    already: bool = False
    report: GateReport
