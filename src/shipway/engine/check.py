"""Holds requests and results against their contracts; what does not fit never counts as success."""

from __future__ import annotations

from functools import cache
from typing import Any, get_args

import pydantic
from pydantic import BaseModel

from shipway.agents.agent import Artifacts
from shipway.contracts.envelope import Task
from shipway.contracts.model import ArtifactRef
from shipway.contracts.registry import Contract
from shipway.engine.codec import Result, decode, encode
from shipway.errors import ContractError


def check_request(contract: Contract, task: Task) -> BaseModel:
    """The typed request of a task; raises ContractError."""
    request: Any = task.request
    if task.version != contract.version:
        request = contract.history.cast("request", request, task.version, contract.version)
    try:
        return contract.request.__pydantic_validator__.validate_json(encode(request))  # type: ignore[no-any-return] # it is that model
    except pydantic.ValidationError as error:
        raise ContractError(_faults(f"the request for {contract.capability}", error)) from None


def check_result(
    contract: Contract, result: Any, artifacts: Artifacts, version: int | None = None
) -> dict[str, Any]:
    """The result as plain data, once it fits and every file it names is there; raises ContractError.

    It comes in ``version``, the one that its run is pinned to.
    """
    # Asked of the exact type first: the other question walks through the model's metaclass.
    if type(result) is not contract.result and not isinstance(result, contract.result):
        raise ContractError(
            f"{contract.capability} returned {type(result).__name__} and not a "
            f"{contract.result.__name__}"
        )
    data = type(result).__pydantic_serializer__.to_json(result)
    try:
        contract.result.__pydantic_validator__.validate_json(data)
    except pydantic.ValidationError as error:
        raise ContractError(_faults(f"the result of {contract.capability}", error)) from None
    for ref in references(result):
        if not artifacts.verify(ref):
            raise ContractError(
                f"the result of {contract.capability} names a file {ref.name!r} that is not there "
                "or differs from its digest"
            )
    if version is None or version == contract.version:
        return Result(data)
    return contract.history.cast("result", decode(data), contract.version, version)


def references(value: Any) -> list[ArtifactRef]:
    """Every artifact that a model refers to, at any depth."""
    found: list[ArtifactRef] = []
    _gather(value, found)
    return found


def _gather(value: Any, found: list[ArtifactRef]) -> None:
    kind = type(value)
    if kind is ArtifactRef:
        found.append(value)
    elif kind is list or kind is tuple:
        for item in value:
            _gather(item, found)
    elif kind is dict:
        for item in value.values():
            _gather(item, found)
    else:
        for name in _leading_to_artifacts(kind):  # type: ignore[arg-type] # types are hashable
            _gather(getattr(value, name), found)


@cache
def _leading_to_artifacts(kind: type) -> tuple[str, ...]:
    """The fields of a model that can hold an artifact; nothing else need be walked."""
    if not issubclass(kind, BaseModel):
        return ()
    return tuple(
        name for name, field in kind.model_fields.items() if _can_hold(field.annotation, {kind})
    )


def _can_hold(annotation: Any, seen: set[Any]) -> bool:
    if annotation is ArtifactRef:
        return True
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if annotation in seen:
            return False
        fields = annotation.model_fields.values()
        return any(_can_hold(field.annotation, {*seen, annotation}) for field in fields)
    return any(_can_hold(part, seen) for part in get_args(annotation))


def _faults(what: str, error: pydantic.ValidationError) -> str:
    """Field and kind of each fault, never the value."""
    faults = [
        f"{'.'.join(map(str, fault['loc'])) or 'it'}: {fault['type']}"
        for fault in error.errors(include_input=False, include_url=False, include_context=False)
    ]
    return f"{what} does not fit its contract: {'; '.join(faults[:5])}"
