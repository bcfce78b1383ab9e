"""Who is there in a fleet, as people and commands see it; and letting one of them drain or resume."""

from __future__ import annotations

import json
from collections.abc import Iterable

from shipway.contracts.fleet import AgentView, ServesView, WorkerView
from shipway.contracts.registry import CONTRACTS
from shipway.engine.dispatch.fleet.speaking import queues_served, served_in
from shipway.errors import NotFoundError
from shipway.store import fleet
from shipway.store.database import Database
from shipway.store.fleet import WorkerRow


class Roll:
    """It has the face of an engine process too: in a fleet engines are started by operators."""

    def __init__(self, database: Database, lease: float) -> None:
        self._database = database
        self._lease = lease

    # What commands want of an engine

    def alive(self) -> bool:
        return any(row.kind == "engine" and self._lives(row) for row in self._rows())

    def starting(self) -> bool:
        return False

    def ensure(self) -> None:
        """Nothing: what is written is carried out by whichever engine is there, or comes."""

    def working(self) -> int:
        """Workers that would take an order now."""
        return sum(
            row.kind == "worker" and self._lives(row) and not row.draining for row in self._rows()
        )

    # What people want to know

    def workers(self) -> list[WorkerView]:
        """Engines and workers, the longest serving first."""
        return [self._view(row) for row in self._rows()]

    def agents(self) -> list[AgentView]:
        """Every agent that some worker serves, and how many attempts it could do at once."""
        found: dict[tuple[str, str], AgentView] = {}
        for worker in self.workers():
            if worker.kind == "worker" and worker.alive:
                for serves in worker.serves:
                    for name in serves.agents:
                        known = found.get((serves.capability, name))
                        found[serves.capability, name] = _with(known, worker, serves, name)
        return sorted(found.values(), key=lambda view: (view.capability, view.name))

    def drain(self, ref: str, *, draining: bool) -> list[WorkerView]:
        """A worker by id, name or capability takes nothing new, or takes work again."""
        chosen = [
            row
            for row in self._rows()
            if row.kind == "worker"
            and (ref == row.name or row.id.startswith(ref) or ref in _capabilities(row))
        ]
        if not chosen:
            raise NotFoundError(
                "no worker has that id, name or capability", hint="list them: shipway worker list"
            )
        with self._database.writing() as connection:
            for row in chosen:
                fleet.drain(connection, row.id, draining=draining)
        ids = {row.id for row in chosen}
        return [view for view in self.workers() if view.id in ids]

    def unserved(self, wanted: Iterable[tuple[str, str]]) -> list[str]:
        """Of these (capability, agent), the capabilities that nobody would do now."""
        served = queues_served(self._rows(), self._lease)
        needed = dict.fromkeys(
            capability
            for capability, agent in wanted
            if served_in(CONTRACTS[capability], agent, served) is None
        )
        return list(needed)

    def _rows(self) -> list[WorkerRow]:
        with self._database.reading() as connection:
            return fleet.workers(connection)

    def _lives(self, row: WorkerRow) -> bool:
        return row.silent < self._lease

    def _view(self, row: WorkerRow) -> WorkerView:
        busy = json.loads(row.busy)
        return WorkerView(
            id=row.id,
            kind="engine" if row.kind == "engine" else "worker",
            name=row.name,
            host=row.host,
            pid=row.pid,
            version=row.version,
            alive=self._lives(row),
            draining=row.draining,
            seconds=round(row.seconds, 1),
            silent=round(max(row.silent, 0.0), 1),
            serves=[
                ServesView(**each, busy=busy.get(each["capability"], 0))
                for each in json.loads(row.serves)
            ],
        )


def _capabilities(row: WorkerRow) -> Iterable[str]:
    return {each["capability"] for each in json.loads(row.serves)}


def _with(known: AgentView | None, worker: WorkerView, serves: ServesView, name: str) -> AgentView:
    return AgentView(
        capability=serves.capability,
        name=name,
        versions=sorted({*(known.versions if known else ()), *serves.versions}),
        workers=(known.workers if known else 0) + 1,
        draining=(known.draining if known else 0) + worker.draining,
        limit=(known.limit if known else 0) + (0 if worker.draining else serves.limit),
        busy=(known.busy if known else 0) + serves.busy,
    )
