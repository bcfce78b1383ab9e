"""Contract ``implement``: from a plan and a source of change to a candidate commit."""

from __future__ import annotations

from shipway.contracts.model import ArtifactRef, GitObject, Model
from shipway.contracts.plan import ChangeSource


class ImplementRequest(Model):
    plan: ArtifactRef
    requirement: ArtifactRef
    base: GitObject
    change: ChangeSource


class ImplementResult(Model):
    """``commit`` has been fetched from the workspace and checked; ``diff`` is its patch."""

    base: GitObject
    commit: GitObject
    tree: GitObject
    files: int
    insertions: int
    deletions: int
    diff: ArtifactRef
