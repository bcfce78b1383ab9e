"""What a person has let pass: a waiver counts for one digest and until its day, and never silently."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from shipway.contracts.check import WaiverUse
from shipway.contracts.evidence import GateEvidence
from shipway.domain.gates import Verdict
from shipway.domain.policy import Policy, Waiver

_NUMBER = re.compile(r"\d+")


def digest(one: GateEvidence) -> str:
    """What a waiver is for: the gate and what it found, whatever lines that stands on today."""
    found = sorted(
        f"{finding.rule}\0{finding.path}\0{_NUMBER.sub('#', finding.message)}"
        for finding in one.findings
    )
    parts = [one.gate, one.verdict.value, *(found or [one.tree])]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def used(policy: Policy, evidence: Sequence[GateEvidence], today: str) -> list[WaiverUse]:
    """Every waiver of the policy, and whether it counts for what was found."""
    by_gate = {one.gate: one for one in evidence}
    return [_use(waiver, by_gate.get(waiver.gate), today) for waiver in policy.waivers]


def _use(waiver: Waiver, one: GateEvidence | None, today: str) -> WaiverUse:
    counts = False
    if one is None or one.verdict is Verdict.PASS:
        why = "there is nothing to waive"
    elif waiver.digest not in {digest(one), one.tree}:
        why = "it is for another digest than what was found"
    elif waiver.expires < today:
        why = f"it expired on {waiver.expires}"
    elif one.verdict is not Verdict.FAIL:
        why = "a gate that could not judge cannot be waived, only mended"
    else:
        counts, why = True, "it counts"
    return WaiverUse(
        gate=waiver.gate,
        approver=waiver.approver,
        reason=waiver.reason,
        expires=waiver.expires,
        counts=counts,
        why=why,
    )
