"""Contract ``deploy``: an integrated commit becomes the release that takes traffic."""

from __future__ import annotations

from shipway.contracts.model import ArtifactRef, GitObject, Model, Timestamp


class DeployRequest(Model):
    """``port`` 0 lets the system choose; a later release of the same service keeps its port."""

    plan: ArtifactRef
    repository: str
    commit: GitObject
    tree: GitObject
    service: str
    port: int = 0


class HealthSeen(Model):
    """Positive evidence of health: which URL answered what, when, by which process."""

    url: str
    status: int
    body_sha256: str
    pid: int
    at: Timestamp


class DeployResult(Model):
    release: str
    service: str
    url: str
    port: int
    commit: GitObject
    tree: GitObject
    health: HealthSeen
    previous: str | None
