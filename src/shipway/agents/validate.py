"""The validate agent: the candidate's tree before every gate that applies to it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from pydantic import TypeAdapter
from pydantic import ValidationError as ShapeError

from shipway.agents.agent import Desk, Failed
from shipway.agents.integrate import Merged
from shipway.check.candidate import Candidate
from shipway.check.equipment import Ears, Equipment
from shipway.contracts.change_plan import ChangePlan
from shipway.contracts.evidence import GateReport
from shipway.contracts.model import ArtifactRef
from shipway.contracts.service_plan import ServicePlan
from shipway.contracts.validate import ValidateRequest, ValidateResult
from shipway.errors import ContractError
from shipway.gates.failure import doubtful, explain, passed
from shipway.gates.panel import Panel
from shipway.workspace.environments import Environments
from shipway.workspace.fence import Fence
from shipway.workspace.git import Hub

PLAN: TypeAdapter[ServicePlan | ChangePlan] = TypeAdapter(ServicePlan | ChangePlan)


def read_plan(ref: ArtifactRef, desk: Desk) -> ServicePlan | ChangePlan:
    """The plan behind an artifact; raises ContractError when it is neither kind of plan."""
    try:
        return PLAN.validate_json(desk.artifacts.read(ref))
    except ShapeError:
        raise ContractError(
            "the plan is not one that this version reads",
            hint="run the plan stage again, or use the version that made it",
        ) from None


class Validate:
    """Runs the gates of the validate stage; a report that does not pass is raised as Failed.

    What a scaffolded project has to be is known, and it is judged by that. A change is judged as
    `shipway check` does: against its base, by the base's policy. What only a person can decide is
    no failure: the result says so, and the run waits for it.
    """

    capability = "validate"
    name = "gates"

    def __init__(self, fence: Fence, environments: Environments) -> None:
        self.fence = fence
        self.environments = environments

    def perform(self, request: ValidateRequest, desk: Desk) -> ValidateResult:
        plan = read_plan(request.plan, desk)
        hub = Hub.open(desk.hub)
        if isinstance(plan, ServicePlan):
            report = self._panel(hub, desk, "validate").validate(plan, request.commit, request.tree)
        elif request.base is None:
            raise ContractError("a change is judged against its base, and none is named")
        else:
            report = self._compared(Candidate(hub, request.base, request.commit, plan), desk)
        result = ValidateResult(report=report)
        if not passed(report) and not doubtful(report):
            raise Failed(explain(report, desk.artifacts.read), result)
        return result

    def judge(self, hub: Hub, made: Merged, plan: ArtifactRef, desk: Desk) -> GateReport:
        """The tests once more on a merged tree; whoever asks decides what to do with the report."""
        read = read_plan(plan, desk)
        if isinstance(read, ServicePlan):
            return self._panel(hub, desk, "merged").only_tests(read, made.commit, made.tree)
        if made.onto is None:
            raise ContractError("a change is merged into a branch, and there is none")
        return self._compared(Candidate(hub, made.onto, made.commit, read), desk, ("tests",))

    def _compared(
        self, candidate: Candidate, desk: Desk, gates: tuple[str, ...] = ()
    ) -> GateReport:
        work = _place(desk, "compared")
        equipment = Equipment(
            fence=self.fence,
            environments=self.environments,
            shelf=desk.artifacts,
            place=work,
            python=desk.settings.python,
        )
        return candidate.judge(equipment, Ears(desk.say, desk.cancel), work, gates)

    def _panel(self, hub: Hub, desk: Desk, name: str) -> Panel:
        return Panel(
            hub,
            self.fence,
            self.environments,
            desk.artifacts,
            _place(desk, name),
            desk.cancel,
            desk.say,
            cache=desk.settings.cache / "mypy",
        )


def _place(desk: Desk, name: str) -> Path:
    """An empty directory: a branch that moved meanwhile makes a second merged tree in one attempt."""
    work = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=desk.work))
    work.chmod(0o755)
    return work
