"""Which agents there are: from a capability and an agent slot to the agent that does the work."""

from __future__ import annotations

from collections.abc import Iterable

from shipway.agents.agent import Agent
from shipway.errors import NotFoundError


class Registry:
    """Agents by capability and name; the first one of a capability is its default."""

    def __init__(self, agents: Iterable[Agent]) -> None:
        self._agents: dict[str, dict[str, Agent]] = {}
        for agent in agents:
            self._agents.setdefault(agent.capability, {})[agent.name] = agent

    def find(self, capability: str, slot: str) -> Agent:
        """The agent for a slot (``builtin`` is the first); raises NotFoundError."""
        known = self._agents.get(capability, {})
        agent = next(iter(known.values()), None) if slot == "builtin" else known.get(slot)
        if agent is None:
            names = ", ".join(known) or "none"
            raise NotFoundError(
                f"no agent {slot!r} serves {capability}",
                hint=f"agents for {capability}: {names}; name one of them in the pipeline",
            )
        return agent

    def capabilities(self) -> dict[str, list[str]]:
        return {capability: list(agents) for capability, agents in self._agents.items()}
