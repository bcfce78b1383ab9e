"""The plan agents: from an OpenAPI document to a service, from a requirement to a change."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from shipway.agents.agent import Asks, Desk
from shipway.contracts.plan import PlanRequest, PlanResult
from shipway.domain.states import Claim
from shipway.errors import UsageError

if TYPE_CHECKING:
    from shipway.contracts.change_plan import ChangePlan
    from shipway.contracts.service_plan import ServicePlan

SHOWN = 50
"""How many unimplemented operations a result lists; the plan itself has them all."""


class SpecificationPlanner:
    """Plans the service that an OpenAPI document describes; asks what only a person can decide."""

    capability = "plan"
    name = "openapi"

    def perform(self, request: PlanRequest, desk: Desk) -> PlanResult:
        """Raises SpecificationError for a document that cannot be used, Asks for open questions."""
        # Imported here: a change never needs what reading documents takes.
        from shipway import specs
        from shipway.agents.planning import readable, service

        _expect(request, "specification")
        desk.say("reading the document")
        document = specs.read(desk.artifacts.read(request.requirement), request.requirement.name)
        desk.say(f"planning {len(document.operations)} operations")
        planned = service.plan_service(document, request.answers)
        if planned.questions:
            raise Asks(*planned.questions)
        claim = request.claim or Claim.FEATURE
        return _service_result(planned.plan, readable.write(planned.plan), claim, desk)


class RepositoryPlanner:
    """Plans a change to a repository from what its base commit says about itself."""

    capability = "plan"
    name = "repository"

    def perform(self, request: PlanRequest, desk: Desk) -> PlanResult:
        """Raises UsageError for a requirement without a base or without words."""
        from shipway.agents.planning import change, change_readable

        _expect(request, "change")
        if request.base is None:
            raise UsageError(
                "a change needs a commit to start from",
                hint="name a repository with at least one commit by --repo",
            )
        desk.say("looking at the repository")
        requirement = desk.artifacts.read(request.requirement).decode("utf-8", errors="replace")
        tree = change.open_base(desk.hub, request.base, desk.work / "base")
        plan = change.plan_change(request, requirement, tree)
        return _change_result(plan, change_readable.write(plan), desk)


def _expect(request: PlanRequest, kind: str) -> None:
    if request.kind != kind:
        raise UsageError(
            f"this agent plans a {kind}, not a {request.kind}",
            hint="name the agent 'openapi' for a specification, 'repository' for a change",
        )


def _service_result(plan: ServicePlan, text: str, claim: Claim, desk: Desk) -> PlanResult:
    data = plan.model_dump_json(indent=2).encode() + b"\n"
    return PlanResult(
        kind="specification",
        plan=desk.artifacts.put(data, "plan.json", "application/json"),
        readable=desk.artifacts.put(text.encode(), "plan.md", "text/markdown"),
        digest=hashlib.sha256(data).hexdigest(),
        name=plan.name,
        title=plan.title,
        claim=claim,
        operations=len(plan.operations),
        unimplemented=plan.unimplemented[:SHOWN],
        unimplemented_count=len(plan.unimplemented),
        ambiguities=len(plan.ambiguities),
        checks=len(plan.checks),
        risk="medium" if plan.unimplemented else "low",
        has_service=True,
        has_deployment=True,
    )


def _change_result(plan: ChangePlan, text: str, desk: Desk) -> PlanResult:
    data = plan.model_dump_json(indent=2).encode() + b"\n"
    return PlanResult(
        kind="change",
        plan=desk.artifacts.put(data, "plan.json", "application/json"),
        readable=desk.artifacts.put(text.encode(), "plan.md", "text/markdown"),
        digest=hashlib.sha256(data).hexdigest(),
        name=plan.name,
        title=plan.title,
        claim=plan.claim,
        ambiguities=len(plan.ambiguities),
        checks=len(plan.checks),
        risk=plan.risk,
        has_service=plan.service is not None,
        has_deployment=plan.service is not None and plan.service.deploy,
    )
