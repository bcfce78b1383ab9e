"""`shipway check` as a function: a repository and what to compare in, a report with an outcome out."""

from __future__ import annotations

import functools
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shipway import __version__
from shipway.check import catalogue, claims, memory, outcome, waivers
from shipway.check.equipment import Ears, Equipment
from shipway.check.subject import Revised, Subject, Wanted, find
from shipway.contracts.check import CheckReport, Outcome, PolicyUse, Revision
from shipway.contracts.evidence import GateEvidence, GateSelection
from shipway.contracts.model import timestamp, today
from shipway.domain.gates import Enforcement, Verdict
from shipway.domain.policy import POLICY, Policy
from shipway.domain.states import Claim
from shipway.errors import UsageError
from shipway.flags.evaluate import Context

if TYPE_CHECKING:
    from shipway.gates.comparison import Comparison

COVERED = frozenset({"coverage", "mutants"})
"""Gates that look at which lines the suite ran: without them nobody waits for that."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What to check. ``gates`` names those to run, empty for all; ``policy`` replaces the base's.

    ``claimed_by`` is who said what the change is; ``cached`` False judges everything again; ``run``
    False only selects; ``informing`` False leaves out gates that only inform.
    """

    repository: Path
    wanted: Wanted = field(default_factory=Wanted)
    claim: Claim | None = None
    claimed_by: str = "--claim"
    gates: tuple[str, ...] = ()
    policy: Policy | None = None
    cached: bool = True
    run: bool = True
    informing: bool = True


@dataclass(frozen=True, slots=True)
class Watcher:
    """Who hears how it goes: first what is compared and selected, then each gate as it ends."""

    begun: Callable[[CheckReport], None] = lambda _report: None
    judged: Callable[[GateEvidence], None] = lambda _one: None
    ears: Ears = field(default_factory=Ears)


def check(asked: Asked, equipment: Equipment, watcher: Watcher | None = None) -> CheckReport:
    """Compare, select, judge, decide.

    Raises RepositoryError, UsageError or ConfigurationError for what cannot be checked, and
    FenceError where nothing may be run. Nothing is left behind but logs and cached verdicts.
    """
    watcher = watcher or Watcher()
    equipment.place.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="check-", dir=equipment.place))
    try:
        subject = find(asked.repository, asked.wanted, work / "subject.git")
        return examine(subject, asked, equipment, watcher, work)
    finally:
        _remove(work)


def examine(
    subject: Subject, asked: Asked, equipment: Equipment, watcher: Watcher, work: Path
) -> CheckReport:
    """The same for two sides that were found; ``work`` is the caller's to clear. Raises as ``check``."""
    return _Check(subject, asked, equipment, watcher, work).run()


class _Check:
    def __init__(
        self, subject: Subject, asked: Asked, equipment: Equipment, watcher: Watcher, work: Path
    ) -> None:
        self.asked = asked
        self.equipment = equipment
        self.watcher = watcher
        self.work = work
        self.started = time.time()
        self.subject = subject
        self.policy = asked.policy or read_policy(self.subject)
        self.gates = {gate.id: gate for gate in catalogue.gates(self.policy)}
        _refuse_unknown(asked.gates, list(self.gates))
        self.memory = memory.Memory(equipment.place / "memory", equipment.shelf)
        self.key = self._key()
        self.cached: list[str] = []
        self._comparison: Comparison | None = None

    def run(self) -> CheckReport:
        if self.subject.base.tree == self.subject.head.tree:
            return self._nothing()
        chosen = self._wanted(self._selections())
        self.watcher.begun(self._report(chosen, []))
        seen = self._judged(chosen) if self.asked.run else []
        if len(self.cached) < len(seen):
            self.memory.tidy(self.equipment.place / "logs")
        return self._report(chosen, seen)

    # -- what was known before ----------------------------------------------------------------

    def _key(self) -> str:
        """Everything that could change a verdict, in one digest."""
        subject, policy = self.subject, self.policy
        quarantined = [one.test for one in policy.quarantine if one.expires >= today()]
        return memory.key(
            memory.surroundings(self.equipment.python, self.equipment.fence.policy),
            str(self.equipment.patience),
            [subject.base.tree, subject.head.tree, subject.message, *self._claim],
            self.equipment.environments.day(subject.committed()),
            [policy.digest, quarantined, memory.directories(policy.holdout)],
            None if policy.advisories is None else memory.stamps(Path(policy.advisories)),
            None if self.asked.policy is None else repr(policy),
        )

    def _key_of(self, gate: str) -> str:
        return memory.key(self.key, gate)

    def comparison(self) -> Comparison:
        """Both sides, set up when the first gate needs them."""
        if self._comparison is None:
            from shipway.check.setting import Setting

            covers = not self.asked.gates or bool(COVERED & set(self.asked.gates))
            self._comparison = Setting(
                self.subject, self.policy, self._claim, self.equipment, self.watcher.ears,
                self.work, covers,
            ).comparison()  # fmt: skip
        return self._comparison

    # -- selecting and judging ----------------------------------------------------------------

    def _selections(self) -> list[GateSelection]:
        """Every gate with its rule's answer, before anything runs."""
        name = memory.key(self.key, "selections", sorted(self.gates))
        known = self.memory.selections(name) if self.asked.cached else None
        if known is not None:
            return known
        comparison = self.comparison()
        chosen = []
        for gate in self.gates.values():
            rule = gate.rule()
            selected, reason = rule.select(comparison)
            usual = Enforcement.ADVISORY if rule.informs(comparison) else gate.enforcement
            enforcement = self.policy.enforcement(gate.id, usual)
            chosen.append(
                GateSelection(
                    gate=gate.id, selected=selected, reason=reason, enforcement=enforcement
                )
            )
        self.memory.keep_selections(name, chosen)
        return chosen

    def _wanted(self, chosen: list[GateSelection]) -> list[GateSelection]:
        """The same, without what was not asked for or is switched off by whoever runs this."""
        chosen = [self._informing(self._switched(one)) for one in chosen]
        if not self.asked.gates:
            return chosen
        left = {"selected": False, "reason": "not asked for (--gate)"}
        return [
            one if one.gate in self.asked.gates else one.model_copy(update=left) for one in chosen
        ]

    def _informing(self, one: GateSelection) -> GateSelection:
        if self.asked.informing or one.enforcement is Enforcement.REQUIRED or not one.selected:
            return one
        left = {"selected": False, "reason": "not asked for: it only informs"}
        return one.model_copy(update=left)

    def _switched(self, one: GateSelection) -> GateSelection:
        """Gates that have a flag can be switched off for a repository; that is told in the report."""
        key, flags = f"gates.{one.gate}", self.equipment.flags
        here = Context(repository=self.asked.repository.resolve().name)
        if not one.selected or key not in flags.all() or flags.on(key, here):
            return one
        left = {"selected": False, "reason": f"switched off by the flag {key}"}
        return one.model_copy(update=left)

    def _judged(self, chosen: list[GateSelection]) -> list[GateEvidence]:
        """What is known already, then the rest, a few at once and the cheapest first."""
        wanted = [one for one in chosen if one.selected]
        seen: dict[str, GateEvidence] = {}
        for one in wanted:
            found = self.memory.evidence(self._key_of(one.gate)) if self.asked.cached else None
            if found is not None:
                seen[one.gate] = found.model_copy(update={"enforcement": one.enforcement})
                self.cached.append(one.gate)
                self.watcher.judged(seen[one.gate])
        missing = [one for one in wanted if one.gate not in seen]
        if missing:
            seen |= self._run(missing)
        return [seen[one.gate] for one in wanted]

    def _run(self, missing: Sequence[GateSelection]) -> dict[str, GateEvidence]:
        from shipway.check import judging

        comparison = self.comparison()

        def ended(found: GateEvidence) -> None:
            if self.gates[found.gate].lasting:
                used = comparison.environments_used()
                self.memory.keep(self._key_of(found.gate), found, used)
            self.watcher.judged(found)

        chosen = [(self.gates[one.gate], one) for one in missing]
        return judging.judge(comparison, chosen, self.equipment.at_once, ended)

    # -- telling ------------------------------------------------------------------------------

    def _report(self, chosen: list[GateSelection], seen: list[GateEvidence]) -> CheckReport:
        used = waivers.used(self.policy, seen, today())
        waived = {one.gate for one in used if one.counts}
        result, summary, decisions = outcome.decide(chosen, seen, waived)
        claim, by = self._claim
        return CheckReport(
            outcome=result,
            summary=summary,
            claim=claim,
            claimed_by=by,
            selections=chosen,
            evidence=seen,
            decisions=decisions,
            waivers=used,
            next=_next(result, seen),
            **self._frame(),
        )

    @functools.cached_property
    def _claim(self) -> tuple[Claim, str]:
        if self.asked.claim is not None:
            return self.asked.claim, self.asked.claimed_by
        return claims.claimed(self.subject.message, self.subject.paths())

    def _nothing(self) -> CheckReport:
        claim, by = self._claim
        return CheckReport(
            outcome=Outcome.NOTHING,
            summary=f"the head has the same files as its base, {self.subject.base.said}",
            claim=claim,
            claimed_by=by,
            selections=[],
            evidence=[],
            next=["shipway check --base HEAD~1"],
            **self._frame(),
        )

    def _frame(self) -> dict[str, Any]:
        ended = time.time()
        return {
            "repository": str(self.subject.top),
            "base": _revision(self.subject.base),
            "head": _revision(self.subject.head),
            "policy": PolicyUse(source=self.policy.source, digest=self.policy.digest),
            "notes": list(self.subject.notes),
            "machine": machine(),
            "cached": list(self.cached),
            "started_at": timestamp(self.started),
            "ended_at": timestamp(ended),
            "seconds": round(ended - self.started, 3),
        }


def read_policy(subject: Subject) -> Policy:
    """The base's policy, or the strict default; raises ConfigurationError with all its faults."""
    data = subject.read(POLICY)
    if data is None:
        return Policy()
    from shipway.check import policyfile

    return policyfile.read(data, catalogue.NAMES, f"{POLICY} of {subject.base.said}")


def _refuse_unknown(names: Sequence[str], known: Sequence[str]) -> None:
    for name in names:
        if name not in known:
            raise UsageError(f"there is no gate {name}", hint=f"the gates are {', '.join(known)}")


def _next(result: Outcome, seen: Sequence[GateEvidence]) -> list[str]:
    """The one command that repeats what stands in the way."""
    if result is Outcome.ACCEPTED:
        return []
    bad = [
        one.gate
        for one in sorted(seen, key=lambda one: one.enforcement is Enforcement.ADVISORY)
        if one.verdict is not Verdict.PASS
    ]
    return [f"shipway check --gate {bad[0]}"] if bad else []


def _revision(one: Revised) -> Revision:
    return Revision(commit=one.commit, tree=one.tree, said=one.said)


def _remove(work: Path) -> None:
    """Everything of the check, also what tests made unreadable."""

    def again(function: Callable[[str], object], path: str, _error: object) -> None:
        parent = Path(path).parent
        parent.chmod(0o700)
        if Path(path).is_dir() and not Path(path).is_symlink():
            Path(path).chmod(0o700)
            shutil.rmtree(path, ignore_errors=True)
        else:
            Path(path).unlink(missing_ok=True)

    shutil.rmtree(work, onerror=again)


def machine() -> dict[str, str]:
    """The facts of this machine that a verdict may depend on."""
    return {
        "shipway": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "processor": platform.machine(),
    }
