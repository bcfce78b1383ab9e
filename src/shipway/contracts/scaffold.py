"""Contract ``scaffold``: from a service plan to a commit with a working project."""

from __future__ import annotations

from shipway.contracts.model import ArtifactRef, GitObject, Model


class ScaffoldRequest(Model):
    """``requirement`` is the document that the plan was made from: the project keeps it as it is.

    ``base`` is the commit to build on; None starts a repository from nothing.
    """

    plan: ArtifactRef
    requirement: ArtifactRef | None = None
    base: GitObject | None = None


class ScaffoldResult(Model):
    """``commit`` has been fetched from the workspace and checked; ``diff`` is its patch."""

    base: GitObject | None
    commit: GitObject
    tree: GitObject
    template: str
    template_version: str
    files: int
    diff: ArtifactRef
