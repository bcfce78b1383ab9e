"""What a change that nobody described is: the types of its Conventional Commits say, else its files."""

from __future__ import annotations

import re
from collections.abc import Iterable

from shipway.domain.states import Claim
from shipway.gates.shape import is_code

_SUBJECT = re.compile(r"^(\w+)(?:\([^)\n]*\))?!?:\s+\S")
_TYPES = {
    "feat": Claim.FEATURE, "feature": Claim.FEATURE, "fix": Claim.FIX, "bugfix": Claim.FIX,
    "hotfix": Claim.FIX, "refactor": Claim.REFACTOR, "perf": Claim.REFACTOR, "chore": Claim.CHORE,
    "docs": Claim.CHORE, "test": Claim.CHORE, "tests": Claim.CHORE, "ci": Claim.CHORE,
    "build": Claim.CHORE, "style": Claim.CHORE,
}  # fmt: skip
_STRONGEST = (Claim.FEATURE, Claim.FIX, Claim.REFACTOR, Claim.CHORE)


def claimed(message: str, paths: Iterable[str]) -> tuple[Claim, str]:
    """The claim and where it comes from; of several commits the one that promises most counts."""
    said = {kind for subject in subjects(message) if (kind := type_of(subject)) is not None}
    for kind in _STRONGEST:
        if kind in said:
            return kind, "commit message"
    if any(map(is_code, paths)):
        return Claim.FIX, "default"
    return Claim.CHORE, "default"


def subjects(message: str) -> list[str]:
    """The first line of every commit message."""
    parts = (part.strip() for part in message.split("\0"))
    return [part.splitlines()[0] for part in parts if part]


def type_of(subject: str) -> Claim | None:
    """The claim behind a Conventional Commit's type."""
    match = _SUBJECT.match(subject)
    return _TYPES.get(match[1].lower()) if match else None
