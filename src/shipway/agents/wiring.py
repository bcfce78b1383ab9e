"""The agents of the built-in pipelines, each with what it needs; the first of a craft is its default."""

from __future__ import annotations

from shipway.agents.agent import Agent
from shipway.agents.deploy import LocalDeploy
from shipway.agents.e2e import E2e
from shipway.agents.implement import Implement
from shipway.agents.installed import installed
from shipway.agents.integrate import Integrate
from shipway.agents.plan import RepositoryPlanner, SpecificationPlanner
from shipway.agents.registry import Registry
from shipway.agents.scaffold import Scaffold
from shipway.agents.validate import Validate
from shipway.config import Settings
from shipway.release.releases import Releases
from shipway.workspace.environments import Environments
from shipway.workspace.fence import Fence


def registry(settings: Settings) -> Registry:
    """Every agent that this installation has: ours, then those of other packages."""
    fence = Fence(settings.fence, hidden=(settings.home,))
    environments = Environments(settings.cache, fence, settings.python)
    validate = Validate(fence, environments)
    agents: tuple[Agent, ...] = (
        SpecificationPlanner(),
        RepositoryPlanner(),
        Scaffold(),
        Implement(fence),
        validate,
        E2e(fence, environments),
        Integrate(validate.judge),
        LocalDeploy(Releases(settings.home, environments)),
    )
    return Registry((*agents, *installed()))
