"""Which contract versions the members of a fleet speak: who is let in, and in which one an order travels."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import structlog

from shipway.contracts.envelope import Task
from shipway.contracts.registry import Contract
from shipway.engine.dispatch.fleet.queue import queue_name
from shipway.errors import ContractError
from shipway.store.fleet import WorkerRow

#: What a member says of itself when it joins: a row for each capability.
Serves = list[Mapping[str, Any]]


def spoken(contract: Contract) -> range:
    """What a run may have begun with and is still understood here."""
    return range(contract.history.oldest, contract.history.newest + 1)


def spoken_by_engine(contracts: Mapping[str, Contract]) -> Serves:
    """An engine does nothing itself, but casts: it says between which versions."""
    return [
        {"capability": name, "agents": [], "versions": list(spoken(contract)), "limit": 0}
        for name, contract in contracts.items()
    ]


#: Who of those that are there is to leave, and why; raises ContractError if it is the one who joins.
Admit = Callable[[Iterable[WorkerRow]], dict[str, str]]


def admitted(contracts: Mapping[str, Contract], kind: str, serves: Serves, lease: float) -> Admit:
    """What is asked when a member joins: workers and engines have to understand each other.

    Who is too old has to leave, whether it joins or is there. Two workers never talk.
    """

    def check(there: Iterable[WorkerRow]) -> dict[str, str]:
        too_old = {}
        for other in there:
            if other.kind == kind or other.silent >= lease:
                continue
            theirs = {each["capability"]: max(each["versions"]) for each in _serves(other)}
            for mine in serves:
                version = theirs.get(mine["capability"])
                if version is None:
                    continue
                history = contracts[mine["capability"]].history
                try:
                    history.admit(version, f"the {other.kind} {other.name}")
                except ContractError as error:
                    if kind == "worker" or version > history.newest:
                        raise
                    too_old[other.id] = error.message
        return too_old

    return check


def _serves(row: WorkerRow) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(row.serves)
    return [each for each in found if each["versions"]]


def queues_served(workers: Sequence[WorkerRow], lease: float) -> set[str]:
    """Whose orders somebody alive would take."""
    return {
        queue_name(each["capability"], version, agent)
        for worker in workers
        if worker.kind == "worker" and not worker.draining and worker.silent < lease
        for each in json.loads(worker.serves)
        for version in each["versions"]
        for agent in ("builtin", *each["agents"])
    }


def served_in(contract: Contract, agent: str, served: Collection[str]) -> int | None:
    """The newest version of ours in which somebody would take an order for the agent."""
    return next(
        (
            version
            for version in reversed(spoken(contract))
            if queue_name(contract.capability, version, agent) in served
        ),
        None,
    )


def refitted(contracts: Mapping[str, Contract], task: Task, served: Collection[str]) -> Task | None:
    """The task in a version that somebody who is there speaks; None if there is none.

    We are the newer side here: its result comes back in that version, and is cast again.
    """
    contract = contracts.get(task.capability)
    version = None if contract is None else served_in(contract, task.agent, served)
    if contract is None or version is None or task.version not in spoken(contract):
        return None
    log = structlog.get_logger("fleet")
    try:
        request = contract.history.cast("request", dict(task.request), task.version, version)
    except ContractError as error:
        log.warning("order.no_cast", run=task.run, stage=task.stage, why=error.message)
        return None
    lost = contract.history.lost("request", task.version, version)
    log.info(
        "order.cast", run=task.run, stage=task.stage, capability=task.capability,
        pinned=task.version, spoken=version, lost=list(lost),
    )  # fmt: skip
    return task.model_copy(update={"version": version, "request": request})
