"""`shipway check` as a function: a repository and what to compare in, a report with an outcome out."""

from __future__ import annotations

import platform
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from shipway import __version__
from shipway.check import claims, outcome
from shipway.check.catalogue import GATES
from shipway.check.subject import Revised, Subject, Wanted, find
from shipway.contracts.change_plan import ChangePlan
from shipway.contracts.check import CheckReport, Outcome, PolicyUse, Revision
from shipway.contracts.evidence import GateEvidence, GateSelection
from shipway.contracts.model import ArtifactRef, timestamp
from shipway.domain.gates import Verdict
from shipway.domain.policy import Policy
from shipway.domain.states import Claim
from shipway.errors import FenceError, ShipwayError, UsageError
from shipway.gates.bench import TESTS, Bench, Shelf
from shipway.gates.changes import between
from shipway.gates.comparison import Comparison, Side
from shipway.gates.gate import Gate
from shipway.gates.look import Doubt, Record, evidence
from shipway.gates.parsers.reading import UnreadableReportError
from shipway.gates.project import survey
from shipway.gates.stack import Stack, look
from shipway.gates.tools import tool_environment
from shipway.workspace.environments import Environments
from shipway.workspace.fence import Fence, Limits


@dataclass(frozen=True, slots=True)
class Asked:
    """What to check. ``gates`` names those to run, empty for all; ``policy`` replaces the base's."""

    repository: Path
    wanted: Wanted = field(default_factory=Wanted)
    claim: Claim | None = None
    gates: tuple[str, ...] = ()
    policy: Policy | None = None
    cached: bool = True


class Logs(Shelf, Protocol):
    """Where logs are kept, and read again to be shown."""

    def read(self, ref: ArtifactRef) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Equipment:
    """What a check works with. ``place`` is a directory of ours that it may fill and clear."""

    fence: Fence
    environments: Environments
    shelf: Logs
    place: Path
    at_once: int = 2
    patience: Limits = TESTS


@dataclass(frozen=True, slots=True)
class Watcher:
    """Who hears how it goes: a line now and then, each gate's selection and evidence, and when to stop."""

    say: Callable[[str], None] = lambda _line: None
    selected: Callable[[list[GateSelection]], None] = lambda _all: None
    judged: Callable[[GateEvidence], None] = lambda _one: None
    cancel: threading.Event = field(default_factory=threading.Event)


def check(asked: Asked, equipment: Equipment, watcher: Watcher | None = None) -> CheckReport:
    """Compare, select, judge, decide.

    Raises RepositoryError, UsageError or ConfigurationError for what cannot be checked, and
    FenceError where nothing may be run. Nothing is left behind but logs and cached verdicts.
    """
    watcher = watcher or Watcher()
    _known(asked.gates)
    equipment.place.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="check-", dir=equipment.place))
    try:
        return _Check(asked, equipment, watcher, work).run()
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _known(names: Sequence[str]) -> None:
    known = [gate.id for gate in GATES]
    for name in names:
        if name not in known:
            raise UsageError(f"there is no gate {name}", hint=f"the gates are {', '.join(known)}")


class _Check:
    def __init__(self, asked: Asked, equipment: Equipment, watcher: Watcher, work: Path) -> None:
        self.asked = asked
        self.equipment = equipment
        self.watcher = watcher
        self.work = work
        self.started = time.time()

    def run(self) -> CheckReport:
        subject = find(self.asked.repository, self.asked.wanted, self.work / "subject.git")
        policy = self.asked.policy or Policy()
        if subject.base.tree == subject.head.tree:
            return self._nothing(subject, policy)
        comparison = self._comparison(subject, policy)
        chosen = self._select(comparison)
        self.watcher.selected(chosen)
        seen = self._judge(comparison, chosen)
        return self._report(subject, comparison, chosen, seen)

    # -- the comparison -----------------------------------------------------------------------

    def _comparison(self, subject: Subject, policy: Policy) -> Comparison:
        hub = subject.into(self.work / "hub.git")
        changes = between(hub, subject.base.commit, subject.head.commit)
        claim, by = claims.claimed(self.asked.claim, subject.message, changes)
        self.watcher.say("preparing the gates' tools")
        tools = tool_environment(
            self.equipment.environments, say=self.watcher.say, cancel=self.watcher.cancel
        )
        trees = {
            name: hub.checkout(one.commit, self.work / name / "tree")
            for name, one in (("base", subject.base), ("head", subject.head))
        }
        base_stack, head_stack = look(trees["base"].path), look(trees["head"].path)
        # How it is tested is the base's to say; a candidate only adds what the base does not have.
        head_stack = replace(
            head_stack,
            test=base_stack.test or head_stack.test,
            types=base_stack.types or head_stack.types,
        )

        def side(name: str, one: Revised, stack: Stack) -> Side:
            checkout = trees[name]
            (self.work / name / "work").mkdir()
            bench = Bench(
                fence=self.equipment.fence,
                shelf=self.equipment.shelf,
                tools=tools,
                project=survey(checkout.path, _plan(stack, policy, claim, subject.base.commit)),
                tree=checkout.path,
                readable=checkout.readable,
                tree_id=one.tree,
                work=self.work / name / "work",
                patience=replace(self.equipment.patience, seconds=policy.threshold("seconds")),
                cancel=self.watcher.cancel,
                say=self.watcher.say,
            )
            return Side("base" if name == "base" else "head", one.commit, one.tree, stack, bench)

        (self.work / "gates").mkdir()
        return Comparison(
            hub=hub,
            base=side("base", subject.base, base_stack),
            head=side("head", subject.head, head_stack),
            changes=changes,
            claim=claim,
            claimed_by=by,
            policy=policy,
            environments=self.equipment.environments,
            work=self.work / "gates",
            message=subject.message,
        )

    def _select(self, comparison: Comparison) -> list[GateSelection]:
        """Every gate with its reason; one that was not asked for says that."""
        chosen = []
        for gate in GATES:
            selected, reason = gate.select(comparison)
            if self.asked.gates and gate.id not in self.asked.gates:
                selected, reason = False, "not asked for (--gate)"
            enforcement = comparison.policy.enforcement(gate.id, gate.enforcement)
            chosen.append(
                GateSelection(
                    gate=gate.id, selected=selected, reason=reason, enforcement=enforcement
                )
            )
        return chosen

    # -- judging ------------------------------------------------------------------------------

    def _judge(self, comparison: Comparison, chosen: list[GateSelection]) -> list[GateEvidence]:
        """A few at once, the cheapest first; each is told as soon as it is there."""
        wanted = {one.gate: one for one in chosen if one.selected}
        seen: dict[str, GateEvidence] = {}
        with ThreadPoolExecutor(self.equipment.at_once, thread_name_prefix="gate") as pool:
            running: set[Future[GateEvidence]] = {
                pool.submit(_one, gate, comparison, wanted[gate.id])
                for gate in GATES
                if gate.id in wanted
            }
            try:
                while running:
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    for one in done:
                        found = one.result()
                        seen[found.gate] = found
                        self.watcher.judged(found)
            except BaseException:
                self.watcher.cancel.set()
                for one in running:
                    one.cancel()
                raise
        return [seen[name] for name in wanted]

    # -- telling ------------------------------------------------------------------------------

    def _report(
        self,
        subject: Subject,
        comparison: Comparison,
        chosen: list[GateSelection],
        seen: list[GateEvidence],
    ) -> CheckReport:
        result, summary, decisions = outcome.decide(chosen, seen)
        return CheckReport(
            outcome=result,
            summary=summary,
            claim=comparison.claim,
            claimed_by=comparison.claimed_by,
            stack=comparison.head.stack.stack,
            selections=chosen,
            evidence=seen,
            decisions=decisions,
            **self._frame(subject, comparison.policy),
        )

    def _nothing(self, subject: Subject, policy: Policy) -> CheckReport:
        return CheckReport(
            outcome=Outcome.NOTHING,
            summary=f"the head has the same files as its base, {subject.base.said}",
            claim=self.asked.claim or Claim.CHORE,
            claimed_by="--claim" if self.asked.claim else "default",
            stack="unknown",
            selections=[],
            evidence=[],
            next=["shipway check --base HEAD~1"],
            **self._frame(subject, policy),
        )

    def _frame(self, subject: Subject, policy: Policy) -> dict[str, Any]:
        ended = time.time()
        return {
            "repository": str(subject.top),
            "base": _revision(subject.base),
            "head": _revision(subject.head),
            "policy": PolicyUse(source=policy.source, digest=policy.digest),
            "notes": list(subject.notes),
            "machine": machine(),
            "started_at": timestamp(self.started),
            "ended_at": timestamp(ended),
            "seconds": round(ended - self.started, 3),
        }


def _one(gate: Gate, comparison: Comparison, chosen: GateSelection) -> GateEvidence:
    """One gate's evidence, whatever happens inside it; only a missing fence stops everything."""
    record = Record(gate.id, gate.id)
    try:
        found = gate.judge(comparison)
    except FenceError:
        raise
    except Doubt as doubt:
        found = evidence(
            comparison.head.bench, record, Verdict.ERROR, doubt.reason, category=doubt.category
        )
    except (UnreadableReportError, ShipwayError) as error:
        found = evidence(comparison.head.bench, record, Verdict.ERROR, str(error))
    return found.model_copy(update={"enforcement": chosen.enforcement})


def _plan(stack: Stack, policy: Policy, claim: Claim, base: str) -> ChangePlan:
    """What the survey of a tree asks for."""
    return ChangePlan(
        name=stack.name or "project",
        title="check",
        requirement="check",
        claim=claim,
        base=base,
        target="HEAD",
        stack=stack.stack,
        layout=stack.layout,
        requirements=list(policy.requirements) or stack.requirements,
        test=stack.test,
        lint=stack.lint,
        types=stack.types,
    )


def _revision(one: Revised) -> Revision:
    return Revision(commit=one.commit, tree=one.tree, said=one.said)


def machine() -> dict[str, str]:
    """The facts of this machine that a verdict may depend on."""
    return {
        "shipway": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "processor": platform.machine(),
    }
