"""The e2e agent: the candidate as a running service before its own document and its plan's flows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shipway import specs
from shipway.agents.agent import Desk, Failed
from shipway.agents.validate import read_plan
from shipway.contracts.change_plan import ChangePlan
from shipway.contracts.e2e import E2eRequest, E2eResult
from shipway.contracts.service_plan import ServicePlan
from shipway.errors import GateError
from shipway.gates.failure import explain, passed
from shipway.gates.panel import Panel
from shipway.workspace.environments import Environments
from shipway.workspace.fence import Fence
from shipway.workspace.git import Hub


class E2e:
    """Starts the candidate for real and judges what it answers; a fault found is raised as Failed."""

    capability = "e2e"
    name = "gates"

    def __init__(self, fence: Fence, environments: Environments) -> None:
        self.fence = fence
        self.environments = environments

    def perform(self, request: E2eRequest, desk: Desk) -> E2eResult:
        plan = read_plan(request.plan, desk)
        hub = Hub.open(desk.hub)
        work = desk.work / "e2e"
        work.mkdir(parents=True)
        panel = Panel(
            hub, self.fence, self.environments, desk.artifacts, work, desk.cancel, desk.say
        )
        document = self._document(plan, request, desk, hub)
        result = E2eResult(report=panel.e2e(plan, request.commit, request.tree, document))
        if not passed(result.report):
            raise Failed(explain(result.report, desk.artifacts.read), result)
        return result

    def _document(
        self, plan: ServicePlan | ChangePlan, request: E2eRequest, desk: Desk, hub: Hub
    ) -> Mapping[str, Any] | None:
        """What the service is judged by: never a copy that the candidate could have changed."""
        if isinstance(plan, ServicePlan):
            data = desk.artifacts.read(request.requirement)
            asked = specs.read(data, request.requirement.name)
            if asked.sha256 != plan.document_sha256:
                raise GateError(
                    "the plan was made from another document than the run's requirement",
                    hint="run the plan stage again",
                )
            return specs.overlaid(asked.data, plan.overlay)
        if plan.service is None or plan.service.document is None:
            return None
        return specs.read(hub.show(plan.base, plan.service.document), plan.service.document).data
