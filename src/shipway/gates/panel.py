"""All gates of a stage for one tree: selected first, then run two at a time, none of them skipped."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from shipway.contracts.change_plan import ChangePlan
from shipway.contracts.evidence import GateEvidence, GateReport, GateSelection
from shipway.contracts.service_plan import ServicePlan
from shipway.gates import selection, static
from shipway.gates.bench import TESTS, Bench, Shelf
from shipway.gates.installed import install
from shipway.gates.outfit import Outfitter
from shipway.gates.project import survey
from shipway.gates.runners import acceptance, schemathesis, tests
from shipway.gates.service import declared
from shipway.gates.tools import tool_environment
from shipway.resilience import deadline
from shipway.workspace.environments import Environment, Environments
from shipway.workspace.fence import Fence, Limits
from shipway.workspace.git import Hub

AT_ONCE = 2
NEEDS_CANDIDATE = frozenset({"types", "tests"})

Plan = ServicePlan | ChangePlan


@dataclass(frozen=True, slots=True)
class Panel:
    """Where and with what gates are run for one attempt. ``work`` is an empty directory of ours."""

    hub: Hub
    fence: Fence
    environments: Environments
    shelf: Shelf
    work: Path
    cancel: threading.Event
    say: Callable[[str], None]
    patience: Limits = TESTS
    cache: Path | None = None

    def validate(self, plan: ServicePlan, commit: str, tree: str) -> GateReport:
        """Every gate of a scaffolded project; raises only when the tools themselves cannot be had."""
        bench = self._bench(plan, commit, tree, "candidate")
        return self._judge(bench, selection.select(bench.project), commit)

    def only_tests(self, plan: ServicePlan, commit: str, tree: str) -> GateReport:
        """The tests once more, for a merged tree."""
        bench = self._bench(plan, commit, tree, "merged")
        return self._judge(bench, selection.only_tests(bench.project), commit)

    def e2e(
        self, plan: Plan, commit: str, tree: str, document: Mapping[str, Any] | None
    ) -> GateReport:
        """The gates that talk to the running candidate, each to a service of its own."""
        bench = self._bench(plan, commit, tree, "candidate")
        said = declared(bench.tree, plan)
        names = said.requirements if said.requirements is not None else self._served(bench)
        self.say("building the candidate's environment")
        served = replace(bench, project=replace(bench.project, requirements=names))
        bench = self._outfitter().as_declared(served)
        service = plan if isinstance(plan, ServicePlan) else None
        implemented = _implemented(plan, document)
        chosen = selection.select_e2e(
            implemented,
            documented=document is not None,
            checks=len(service.checks) if service else 0,
        )
        with ThreadPoolExecutor(AT_ONCE, "gate", deadline.inherit, (deadline.at(),)) as pool:
            walking = pool.submit(acceptance.judge, bench, said, service)
            judging = None
            if chosen[0].selected and document is not None:
                judging = pool.submit(schemathesis.judge, bench, said, document, service)
            seen = [one.result() for one in (judging, walking) if one is not None]
        return GateReport(tree=tree, selections=chosen, evidence=seen)

    @staticmethod
    def _served(bench: Bench) -> tuple[str, ...]:
        """What the service runs on: requirements.txt, else whatever its tests are built from."""
        alone = "requirements.txt"
        return (alone,) if (bench.tree / alone).is_file() else bench.project.requirements

    def _bench(self, plan: Plan, commit: str, tree: str, name: str) -> Bench:
        checkout = self.hub.checkout(commit, self.work / name / "tree")
        work = self.work / name / "work"
        work.mkdir()
        return Bench(
            fence=self.fence,
            shelf=self.shelf,
            tools=self._tools(),
            project=survey(checkout.path, plan),
            tree=checkout.path,
            readable=checkout.readable,
            tree_id=tree,
            work=work,
            patience=self.patience,
            cache=self.cache,
            cancel=self.cancel,
            say=self.say,
        )

    def _tools(self) -> Environment:
        self.say("preparing the gates' tools")
        return tool_environment(self.environments, say=self.say, cancel=self.cancel)

    def _judge(self, bench: Bench, chosen: list[GateSelection], commit: str) -> GateReport:
        gates = [one.gate for one in chosen if one.selected]
        with ThreadPoolExecutor(AT_ONCE, "gate", deadline.inherit, (deadline.at(),)) as pool:
            # What reads the tree only starts at once, while the candidate's environment is built.
            running: dict[str, Future[GateEvidence]] = {
                gate: pool.submit(static.judge, gate, bench, None)
                for gate in gates
                if gate not in NEEDS_CANDIDATE
            }
            if NEEDS_CANDIDATE & set(gates):
                self.say("building the candidate's environment")
                bench = self._outfitter().equipped(bench)
            if "types" in gates:
                running["types"] = pool.submit(static.judge, "types", bench, None)
            if "tests" in gates:
                running["tests"] = pool.submit(tests.judge, self._writable(bench, commit))
            seen = [running[gate].result() for gate in gates]
        return GateReport(tree=bench.tree_id, selections=chosen, evidence=seen)

    def _outfitter(self) -> Outfitter:
        return Outfitter(self.environments, self.say, self.cancel)

    def _writable(self, bench: Bench, commit: str) -> Bench:
        """Tests get a checkout of their own: what they write must not be what other gates read."""
        checkout = self.hub.checkout(commit, self.work / "tested" / "tree")
        install(checkout.path, bench.project.layout)
        work = self.work / "tested" / "work"
        work.mkdir()
        return replace(bench, tree=checkout.path, readable=checkout.readable, work=work)


def _implemented(plan: Plan, document: Mapping[str, Any] | None) -> int:
    """How many operations there are to judge."""
    if isinstance(plan, ServicePlan):
        return sum(one.behaviour != "unimplemented" for one in plan.operations)
    return schemathesis.operations(document or {})
