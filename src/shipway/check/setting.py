"""Puts base and head side by side: clean checkouts, what is known of each, tools and environments."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from shipway.check.equipment import Ears, Equipment
from shipway.check.subject import Revised, Subject
from shipway.contracts.change_plan import ChangePlan, Command
from shipway.domain.policy import POLICY, Policy
from shipway.domain.states import Claim
from shipway.errors import ConfigurationError
from shipway.gates.bench import TESTS, Bench
from shipway.gates.changes import between
from shipway.gates.comparison import Comparison, Side
from shipway.gates.outfit import Outfitter
from shipway.gates.project import survey
from shipway.gates.stack import Stack, look
from shipway.gates.tools import tool_environment
from shipway.workspace.environments import Environment
from shipway.workspace.fence import Limits
from shipway.workspace.git import Hub, Workspace


@dataclass(frozen=True, slots=True)
class Setting:
    """Builds the comparison of one subject in a directory of ours."""

    subject: Subject
    policy: Policy
    claimed: tuple[Claim, str]
    equipment: Equipment
    ears: Ears
    work: Path
    covers: bool = True

    def comparison(self) -> Comparison:
        """Both sides, ready to be judged; raises when the gates' tools cannot be had."""
        subject = self.subject
        hub = subject.into(self.work / "hub.git")
        changes = between(hub, subject.base.commit, subject.head.commit)
        claim, by = self.claimed
        self.ears.say("preparing the gates' tools")
        tools = tool_environment(
            self.equipment.environments, say=self.ears.say, cancel=self.ears.cancel
        )
        base, head = self._checkout(hub, "base"), self._checkout(hub, "head")
        base_stack, head_stack = look(base.path), look(head.path)
        if self.policy.test:
            told = Command(argv=list(self.policy.test), source=POLICY)
            base_stack = replace(base_stack, test=told)
        # How it is tested is the base's to say; a candidate only adds what the base does not have.
        head_stack = replace(
            head_stack,
            test=base_stack.test or head_stack.test,
            types=base_stack.types or head_stack.types,
        )
        (self.work / "gates").mkdir()
        outfitter = Outfitter(self.equipment.environments, self.ears.say, self.ears.cancel)
        if base_stack.stack == "python":
            outfitter = outfitter.suiting(base.path, subject.committed())
        return Comparison(
            hub=hub,
            base=self._side("base", subject.base, base, base_stack, claim, tools),
            head=self._side("head", subject.head, head, head_stack, claim, tools),
            changes=changes,
            claim=claim,
            claimed_by=by,
            policy=self.policy,
            outfitter=outfitter,
            work=self.work / "gates",
            message=subject.message,
            covers=self.covers,
        )

    def _checkout(self, hub: Hub, name: Literal["base", "head"]) -> Workspace:
        one = self.subject.base if name == "base" else self.subject.head
        return hub.checkout(one.commit, self.work / name / "tree")

    def _side(
        self,
        name: Literal["base", "head"],
        one: Revised,
        checkout: Workspace,
        stack: Stack,
        claim: Claim,
        tools: Environment,
    ) -> Side:
        work = self.work / name / "work"
        work.mkdir()
        bench = Bench(
            fence=self.equipment.fence.hiding(*self._holdout()),
            shelf=self.equipment.shelf,
            tools=tools,
            project=survey(checkout.path, self._plan(stack, claim)),
            tree=checkout.path,
            readable=checkout.readable,
            tree_id=one.tree,
            work=work,
            patience=self._patience(),
            cancel=self.ears.cancel,
            say=self.ears.say,
        )
        return Side(name, one.commit, one.tree, stack, bench)

    def _holdout(self) -> list[Path]:
        """Where checks lie that no candidate may see; raises ConfigurationError for one it can."""
        places = [Path(one) for one in self.policy.holdout]
        for place in places:
            if place.resolve().is_relative_to(self.subject.top.resolve()):
                raise ConfigurationError(
                    f"the hold-out checks in {place} lie inside the repository",
                    hint="keep them where whoever makes a change cannot read them",
                )
        return places

    def _patience(self) -> Limits:
        given = self.policy.thresholds.get("seconds")
        usual = self.equipment.patience or TESTS
        return usual if given is None else replace(TESTS, seconds=given)

    def _plan(self, stack: Stack, claim: Claim) -> ChangePlan:
        """What the survey of a tree asks for."""
        return ChangePlan(
            name=stack.name or "project",
            title="check",
            requirement="check",
            claim=claim,
            base=self.subject.base.commit,
            target="HEAD",
            stack=stack.stack,
            layout=stack.layout,
            requirements=list(self.policy.requirements) or stack.requirements,
            test=stack.test,
            lint=stack.lint,
            types=stack.types,
        )
