"""Who does the work where there is no fleet: the engine of this installation, and nobody else."""

from __future__ import annotations

from shipway.agents.registry import Registry
from shipway.contracts.fleet import AgentView, WorkerView
from shipway.contracts.registry import CONTRACTS
from shipway.errors import ConflictError


class Alone:
    """The face of ``Roll`` for an installation whose agents run beside its engine."""

    def __init__(self, agents: Registry, limit: int) -> None:
        self._agents = agents
        self._limit = limit

    def workers(self) -> list[WorkerView]:
        """Nobody: there is no fleet."""
        return []

    def agents(self) -> list[AgentView]:
        """Every agent of this installation; ``limit`` attempts at once are for all of them together."""
        return sorted(
            (
                AgentView(
                    capability=capability,
                    name=name,
                    versions=[CONTRACTS[capability].version],
                    workers=0,
                    draining=0,
                    limit=self._limit,
                    busy=0,
                )
                for capability, names in self._agents.capabilities().items()
                for name in names
            ),
            key=lambda view: (view.capability, view.name),
        )

    def drain(self, _ref: str, *, draining: bool) -> list[WorkerView]:
        """Raises ConflictError: whoever wants nothing new to be begun ends the engine."""
        raise ConflictError(
            f"there is no fleet whose workers could {'drain' if draining else 'resume'}",
            hint="name a PostgreSQL database in SHIPWAY_DATABASE_URL; see docs/FLEET.md",
        )
