"""Contract ``implement``: from a plan and a source of change to a candidate commit."""

from __future__ import annotations

from shipway.contracts.model import ArtifactRef, GitObject, Model
from shipway.contracts.plan import ChangeSource


class ImplementRequest(Model):
    plan: ArtifactRef
    requirement: ArtifactRef
    base: GitObject
    change: ChangeSource


class Usage(Model):
    """What a model or a coding agent used; ``cost_usd`` is None where it did not say."""

    model: str
    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = 0.0

    def plus(self, read: int, written: int, micro_usd: int) -> Usage:
        """With one more request; its cost is in millionths of a dollar."""
        return Usage(
            model=self.model,
            requests=self.requests + 1,
            input_tokens=self.input_tokens + read,
            output_tokens=self.output_tokens + written,
            cost_usd=(self.cost_usd or 0.0) + micro_usd / 1_000_000,
        )


class ImplementResult(Model):
    """``commit`` has been fetched from the workspace and checked; ``diff`` is its patch."""

    base: GitObject
    commit: GitObject
    tree: GitObject
    files: int
    insertions: int
    deletions: int
    diff: ArtifactRef
    usage: Usage | None = None
