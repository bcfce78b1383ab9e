"""Agents of other packages: each is one class, named by an entry point of the group ``shipway.agents``."""

from __future__ import annotations

import inspect
import typing
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from shipway.agents.agent import Agent
from shipway.contracts.registry import CONTRACTS
from shipway.errors import ConfigurationError

GROUP = "shipway.agents"


def installed() -> list[Agent]:
    """Every agent that is installed beside ours; raises ConfigurationError for one that is none."""
    found = sorted(entry_points(group=GROUP), key=lambda entry: entry.name)
    return [_agent(entry) for entry in found]


def _agent(entry: EntryPoint) -> Agent:
    where = f"the entry point {entry.name} of the group {GROUP}"
    try:
        made: Any = entry.load()()
    except Exception as error:
        raise ConfigurationError(
            f"{where} cannot be loaded: {type(error).__name__}",
            hint="it names a class that is made without arguments; or uninstall its package",
        ) from error
    fault = _fault(made)
    if fault is not None:
        raise ConfigurationError(f"{where} is no agent: {fault}", hint="see docs/FLEET.md, Agents")
    agent: Agent = made
    return agent


def _fault(made: Any) -> str | None:
    """What keeps an object from being an agent, in words; None if it is one."""
    for name in ("capability", "name"):
        if not isinstance(getattr(made, name, None), str):
            return f"it has no {name}"
    contract = CONTRACTS.get(made.capability)
    if contract is None:
        return f"there is no capability {made.capability[:40]!r}"
    if not callable(getattr(made, "perform", None)):
        return "it has no perform"
    hints = typing.get_type_hints(made.perform)
    parameters = list(inspect.signature(made.perform).parameters)
    if len(parameters) != 2 or hints.get(parameters[0]) is not contract.request:
        return f"perform takes a {contract.request.__name__} and a Desk, with their types"
    if hints.get("return") is not contract.result:
        return f"perform returns a {contract.result.__name__}, with its type"
    return None
