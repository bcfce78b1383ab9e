"""How a commit of Shipway is worded: a Conventional Commit with the run's id as a trailer."""

from __future__ import annotations

import json
import re

from shipway.agents.agent import Desk
from shipway.contracts.model import ArtifactRef
from shipway.domain.states import Claim

_TYPES = {
    Claim.FIX: "fix",
    Claim.FEATURE: "feat",
    Claim.REFACTOR: "refactor",
    Claim.CHORE: "chore",
}
_PREFIX = re.compile(r"^(feat|fix|refactor|chore|docs|test|perf|build|ci|style)(\([^)]*\))?!?:\s*")
_LONGEST = 100


def trailer(run: str) -> str:
    """The line by which a later attempt finds what an earlier one has integrated."""
    return f"Shipway-Run: {run}"


def message(claim: Claim, scope: str, title: str, run: str) -> str:
    """``type(scope): title`` with the trailer; whatever the title holds, it stays one line."""
    words = " ".join("".join(c if c.isprintable() else " " for c in title).split())
    words = _PREFIX.sub("", words).rstrip(".") or "change"
    where = re.sub(r"[^a-z0-9._-]+", "-", scope.lower()).strip("-.")[:40]
    head = f"{_TYPES[claim]}({where}): {words}" if where else f"{_TYPES[claim]}: {words}"
    if len(head) > _LONGEST:
        head = head[: _LONGEST - 3].rstrip() + "..."
    return f"{head}\n\n{trailer(run)}\n"


def scope(plan: ArtifactRef, desk: Desk) -> str:
    """The plan's name, which is what the change is about."""
    return str(json.loads(desk.artifacts.read(plan)).get("name", ""))
