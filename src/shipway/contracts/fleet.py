"""What people see of a fleet: its engines and workers, and the agents that they serve."""

from __future__ import annotations

from typing import Literal

from shipway.contracts.model import Model


class ServesView(Model):
    """One capability of a worker: ``busy`` of at most ``limit`` attempts at once."""

    capability: str
    agents: list[str]
    versions: list[int]
    limit: int
    busy: int


class WorkerView(Model):
    """A process of the fleet; ``silent`` is seconds since it last said that it lives."""

    id: str
    kind: Literal["engine", "worker"]
    name: str
    host: str
    pid: int
    version: str
    alive: bool
    draining: bool
    seconds: float
    silent: float
    serves: list[ServesView]


class AgentView(Model):
    """An agent over all workers that have it; those that drain give no room."""

    capability: str
    name: str
    versions: list[int]
    workers: int
    draining: int
    limit: int
    busy: int
