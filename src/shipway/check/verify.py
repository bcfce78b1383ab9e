"""Judges again what an evidence file says was judged, and tells every difference."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError as ShapeError

from shipway.check.check import Asked, Watcher, check
from shipway.check.equipment import Equipment
from shipway.check.subject import Wanted, find
from shipway.contracts.check import CheckReport
from shipway.contracts.evidence import GateEvidence
from shipway.domain.states import Claim
from shipway.errors import ConflictError, RepositoryError, ValidationError
from shipway.workspace.gitcommand import git


@dataclass(frozen=True, slots=True)
class Verified:
    """The second report, and what it says otherwise than the first; empty is agreement."""

    report: CheckReport
    differences: list[str]


def read(data: bytes) -> CheckReport:
    """The report in an evidence file; raises ValidationError for anything else."""
    try:
        return CheckReport.model_validate_json(json.dumps(json.loads(data)))
    except (ShapeError, ValueError, RecursionError):
        raise ValidationError(
            "this is no evidence of a check", hint="it is what `shipway check --json` writes"
        ) from None


def verify(
    said: CheckReport, asked: Asked, equipment: Equipment, watcher: Watcher | None = None
) -> Verified:
    """The same trees before the same gates once more, nothing taken from memory.

    Raises ConflictError when the repository no longer has the trees that the evidence is bound to.
    """
    again = replace(
        asked, wanted=_same(said, asked), claim=_claim(said, asked), cached=False,
        gates=tuple(one.gate for one in said.evidence) or asked.gates,
    )  # fmt: skip
    _bound(said, again, equipment.place)
    report = check(again, equipment, watcher)
    return Verified(report, list(differences(said, report)))


def _same(said: CheckReport, asked: Asked) -> Wanted:
    """The commits of the evidence; a head that was never committed is the working tree, or --patch."""
    if asked.wanted.patch is not None:
        return replace(asked.wanted, base=said.base.commit)
    there = git(
        "cat-file", "-e", f"{said.head.commit}^{{commit}}",
        cwd=asked.repository, expect=(0, 1, 128),
    )  # fmt: skip
    head = said.head.commit if there.returncode == 0 else None
    return Wanted(base=said.base.commit, head=head)


def _claim(said: CheckReport, asked: Asked) -> Claim | None:
    return asked.claim or (said.claim if said.claimed_by == "--claim" else None)


def _bound(said: CheckReport, asked: Asked, place: Path) -> None:
    """Evidence is for one pair of trees and no other."""
    place.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="check-", dir=place) as work:
        try:
            subject = find(asked.repository, asked.wanted, Path(work) / "subject.git")
        except RepositoryError as error:
            raise ConflictError(
                f"what the evidence was made of is not here: {error.message}",
                hint="fetch the commits that it names, or verify it where it was made",
            ) from error
    for name, tree, now in (
        ("base", said.base.tree, subject.base.tree), ("head", said.head.tree, subject.head.tree),
    ):  # fmt: skip
        if tree != now:
            raise ConflictError(
                f"the {name} is another tree ({now[:12]}) than the evidence is bound to ({tree[:12]})",
                hint="check out what it was made of; evidence says nothing about other files",
            )


def differences(said: CheckReport, now: CheckReport) -> Iterator[str]:
    """Everything that decides, compared; times, places and logs are expected to differ."""
    if said.outcome is not now.outcome:
        yield f"outcome: {said.outcome.value} in the evidence, {now.outcome.value} now"
    if said.policy.digest != now.policy.digest:
        yield "policy: another one than in the evidence"
    before = {one.gate: one for one in said.evidence}
    after = {one.gate: one for one in now.evidence}
    for gate in sorted({*before, *after}):
        if gate not in before or gate not in after:
            yield f"{gate}: judged only {'in the evidence' if gate in before else 'now'}"
            continue
        yield from _compared(before[gate], after[gate])


def _compared(before: GateEvidence, after: GateEvidence) -> Iterator[str]:
    for name in ("verdict", "enforcement", "examined", "exit_code", "tool_version"):
        one, other = getattr(before, name), getattr(after, name)
        if one != other:
            yield f"{before.gate}: {name} {one} in the evidence, {other} now"
    kept, found = _places(before), _places(after)
    for place in sorted(kept - found):
        yield f"{before.gate}: finding no longer there: {place}"
    for place in sorted(found - kept):
        yield f"{before.gate}: finding not in the evidence: {place}"


def _places(one: GateEvidence) -> set[str]:
    return {f"{found.rule} at {found.path}:{found.line}" for found in one.findings}
