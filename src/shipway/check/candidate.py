"""A pipeline's candidate, judged as `shipway check` judges: against its base, by the base's policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from shipway.check.check import Asked, Watcher, examine, read_policy
from shipway.check.equipment import Ears, Equipment
from shipway.check.subject import between
from shipway.contracts.change_plan import ChangePlan
from shipway.contracts.check import CheckReport, WaiverUse
from shipway.contracts.evidence import GateEvidence, GateReport, GateSelection
from shipway.domain.gates import Enforcement
from shipway.workspace.git import Hub


@dataclass(frozen=True, slots=True)
class Candidate:
    """A commit of the hub, what it was made from, and the plan that it follows."""

    hub: Hub
    base: str
    commit: str
    plan: ChangePlan

    def judge(
        self, equipment: Equipment, ears: Ears, work: Path, gates: Sequence[str] = ()
    ) -> GateReport:
        """Every required gate, or only ``gates``; ``work`` is an empty directory for what it takes.

        Nothing is taken from an earlier check. What a waiver of the base lets pass informs, and
        says whose word that is. Raises as ``check`` does.
        """
        subject = between(self.hub, self.base, self.commit, work / "subject.git")
        policy = read_policy(subject)
        guessed = self.plan.claimed_by == "default"
        asked = Asked(
            repository=self.hub.path,
            claim=None if guessed else self.plan.claim,
            claimed_by=self.plan.claimed_by,
            gates=tuple(gates),
            # What the plan says must not be touched is a person's business, like the policy's own.
            policy=replace(policy, protected=(*policy.protected, *self.plan.protected)),
            cached=False,
            informing=False,
        )
        report = examine(subject, asked, equipment, Watcher(ears=ears), work)
        return _told(report, gates)


def _told(report: CheckReport, gates: Sequence[str]) -> GateReport:
    waived = {one.gate: one for one in report.waivers if one.counts}
    return GateReport(
        tree=report.head.tree,
        selections=[
            _selection(one, waived) for one in report.selections if not gates or one.gate in gates
        ],
        evidence=[_evidence(one, waived) for one in report.evidence],
    )


def _selection(one: GateSelection, waived: dict[str, WaiverUse]) -> GateSelection:
    if one.gate not in waived:
        return one
    by = waived[one.gate]
    reason = f"{one.reason}; waived by {by.approver} until {by.expires}: {by.reason}"
    return one.model_copy(update={"enforcement": Enforcement.ADVISORY, "reason": reason})


def _evidence(one: GateEvidence, waived: dict[str, WaiverUse]) -> GateEvidence:
    if one.gate not in waived:
        return one
    return one.model_copy(update={"enforcement": Enforcement.ADVISORY})
