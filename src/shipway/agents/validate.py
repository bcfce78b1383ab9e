"""The validate agent: the candidate's tree before every gate that applies to it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from pydantic import TypeAdapter
from pydantic import ValidationError as ShapeError

from shipway.agents.agent import Desk, Failed
from shipway.contracts.change_plan import ChangePlan
from shipway.contracts.evidence import GateReport
from shipway.contracts.model import ArtifactRef
from shipway.contracts.service_plan import ServicePlan
from shipway.contracts.validate import ValidateRequest, ValidateResult
from shipway.errors import ContractError
from shipway.gates.failure import explain, passed
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
    """Runs the gates of the validate stage; a report that does not pass is raised as Failed."""

    capability = "validate"
    name = "gates"

    def __init__(self, fence: Fence, environments: Environments) -> None:
        self.fence = fence
        self.environments = environments

    def perform(self, request: ValidateRequest, desk: Desk) -> ValidateResult:
        plan = read_plan(request.plan, desk)
        hub = Hub.open(desk.hub)
        panel = self._panel(hub, desk, "validate")
        result = ValidateResult(
            report=panel.validate(plan, request.commit, request.tree, request.base)
        )
        if not passed(result.report):
            raise Failed(explain(result.report, desk.artifacts.read), result)
        return result

    def judge(self, hub: Hub, commit: str, tree: str, plan: ArtifactRef, desk: Desk) -> GateReport:
        """The tests once more on a merged tree; whoever asks decides what to do with the report."""
        panel = self._panel(hub, desk, "merged")
        return panel.only_tests(read_plan(plan, desk), commit, tree)

    def _panel(self, hub: Hub, desk: Desk, name: str) -> Panel:
        # A branch that moved meanwhile makes a second merged tree within one attempt.
        work = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=desk.work))
        work.chmod(0o755)
        return Panel(
            hub,
            self.fence,
            self.environments,
            desk.artifacts,
            work,
            desk.cancel,
            desk.say,
            cache=desk.settings.cache / "mypy",
        )


def judge(hub: Hub, commit: str, tree: str, plan: ArtifactRef, desk: Desk) -> GateReport:
    """The tests on a merged tree, with the fence and the caches that the settings name."""
    fence = Fence(desk.settings.fence)
    environments = Environments(desk.settings.cache, fence, desk.settings.python)
    return Validate(fence, environments).judge(hub, commit, tree, plan, desk)
