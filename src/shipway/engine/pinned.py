"""Results in the contract version that their run is pinned to, from workers that speak another one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from shipway.contracts.envelope import Task, report_of
from shipway.contracts.registry import Contract
from shipway.domain.run import RunState
from shipway.domain.run import events as e
from shipway.errors import ConflictError, ContractError, CorruptRunError
from shipway.store import ledger
from shipway.store.database import Connection


def pinned(
    connection: Connection,
    contracts: Mapping[str, Contract],
    state: RunState,
    given: e.Completed,
) -> e.Completed:
    """The outcome with its result cast; raises ConflictError if only a newer engine can do that."""
    stage = given.stage
    capability = state.pipeline.stage(stage).capability if stage in state.stages else ""
    contract = contracts.get(capability)
    version = state.submission.get("contracts", {}).get(capability)
    if contract is None or version is None or given.result is None:
        return given
    if contract.versions is None and version == contract.version:
        return given  # there is no other
    data = ledger.task(connection, state.id, stage, given.attempt)
    if data is None:
        return given
    try:
        spoken = Task.model_validate_json(data).version
    except ValueError:
        raise CorruptRunError(
            f"the order of {stage}, attempt {given.attempt}, cannot be read"
        ) from None
    if spoken == version:
        return given
    if version > contract.history.newest:
        raise ConflictError(
            f"a result of {capability} has to be cast to version {version}, which is not known here",
            hint="an engine that knows it takes it in; bring this one up to date",
        )
    try:
        result = contract.history.cast("result", dict(given.result), spoken, version)
    except ContractError as error:
        report = report_of(error).model_dump(mode="json")
        return replace(given, status="failed", result=None, error=report)
    return replace(given, result=result)
