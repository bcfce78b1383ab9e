"""A pipeline as JSON and back without loss: what a run stores, so that it never needs the YAML again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from shipway.domain.conditions import Both, Comparison, Condition, Not
from shipway.domain.pipeline import (
    AskRule,
    Dependency,
    InputRef,
    Literal,
    Pipeline,
    Stage,
    When,
)
from shipway.domain.retries import RetryPolicy
from shipway.errors import CorruptRunError

FORMAT = 1


def digest(pipeline: Pipeline) -> str:
    """The sha256 of the canonical definition."""
    definition = to_json(replace(pipeline, digest=""))
    canonical = json.dumps(definition, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def sealed(pipeline: Pipeline) -> Pipeline:
    """The pipeline with its digest."""
    return replace(pipeline, digest=digest(pipeline))


def to_json(pipeline: Pipeline) -> dict[str, Any]:
    """Every field written out, so that later defaults change nothing for a run under way."""
    return {
        "format": FORMAT,
        "name": pipeline.name,
        "version": pipeline.version,
        "digest": pipeline.digest,
        "title": pipeline.title,
        "takes": pipeline.takes,
        "timeout_s": pipeline.timeout_s,
        "parallelism": pipeline.parallelism,
        "stages": [_stage_to(stage) for stage in pipeline.stages],
    }


def from_json(data: Mapping[str, Any]) -> Pipeline:
    """What ``to_json`` wrote; raises CorruptRunError when it is anything else, or was changed."""
    try:
        if data["format"] != FORMAT:
            raise CorruptRunError("the stored pipeline has a format that this version cannot read")
        pipeline = Pipeline(
            name=data["name"],
            version=data["version"],
            digest=data["digest"],
            title=data["title"],
            takes=data["takes"],
            timeout_s=data["timeout_s"],
            parallelism=data["parallelism"],
            stages=tuple(_stage_from(stage) for stage in data["stages"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CorruptRunError(
            f"the stored pipeline is damaged ({type(error).__name__})",
            hint="the run cannot go on; start it again",
        ) from error
    if digest(pipeline) != pipeline.digest:
        raise CorruptRunError(
            "the stored pipeline does not match its digest",
            hint="the run cannot go on; start it again",
        )
    return pipeline


def _stage_to(stage: Stage) -> dict[str, Any]:
    return {
        "id": stage.id,
        "capability": stage.capability,
        "agent": stage.agent,
        "needs": [{"stage": need.stage, "on": need.on.value} for need in stage.needs],
        "inputs": {name: _input_to(given) for name, given in sorted(stage.inputs.items())},
        "gates": list(stage.gates),
        "when": _condition_to(stage.when),
        "asks": [_ask_to(ask) for ask in stage.asks],
        "timeout_s": stage.timeout_s,
        "retries": {
            "retries": stage.retries.retries,
            "base": stage.retries.base,
            "maximum": stage.retries.maximum,
        },
        "continue_on_failure": stage.continue_on_failure,
        # Written only where there are any: the digest of every other pipeline stays what it was.
        **({"fallbacks": list(stage.fallbacks)} if stage.fallbacks else {}),
    }


def _stage_from(data: Mapping[str, Any]) -> Stage:
    return Stage(
        id=data["id"],
        capability=data["capability"],
        agent=data["agent"],
        needs=tuple(Dependency(need["stage"], When(need["on"])) for need in data["needs"]),
        inputs={name: _input_from(given) for name, given in data["inputs"].items()},
        gates=tuple(data["gates"]),
        when=_condition_from(data["when"]),
        asks=tuple(_ask_from(ask) for ask in data["asks"]),
        timeout_s=data["timeout_s"],
        retries=RetryPolicy(**data["retries"]),
        continue_on_failure=data["continue_on_failure"],
        fallbacks=tuple(data.get("fallbacks", ())),
    )


def _input_to(given: InputRef | Literal) -> dict[str, Any]:
    match given:
        case Literal(value):
            return {"value": value}
        case InputRef(otherwise=None):
            return {"from": [given.source, *given.path]}
        case InputRef(otherwise=Literal(value)):
            return {"from": [given.source, *given.path], "otherwise": value}
    raise TypeError(f"no input: {type(given).__name__}")


def _input_from(data: Mapping[str, Any]) -> InputRef | Literal:
    if "value" in data:
        return Literal(data["value"])
    source, *path = data["from"]
    otherwise = Literal(data["otherwise"]) if "otherwise" in data else None
    return InputRef(source, tuple(path), otherwise)


def _ask_to(ask: AskRule) -> dict[str, Any]:
    return {
        "id": ask.id,
        "question": ask.question,
        "when": _condition_to(ask.when),
        "subject": [[ref.source, *ref.path] for ref in ask.subject],
        "options": list(ask.options),
        "accept": ask.accept,
        "deadline_s": ask.deadline_s,
        "default": ask.default,
    }


def _ask_from(data: Mapping[str, Any]) -> AskRule:
    return AskRule(
        id=data["id"],
        question=data["question"],
        when=_condition_from(data["when"]),
        subject=tuple(InputRef(source, tuple(path)) for source, *path in data["subject"]),
        options=tuple(data["options"]),
        accept=data["accept"],
        deadline_s=data["deadline_s"],
        default=data["default"],
    )


def _condition_to(condition: Condition | None) -> dict[str, Any] | None:
    match condition:
        case None:
            return None
        case Comparison(path, op, literal):
            return {"path": list(path), "op": op, "literal": literal}
        case Not(part):
            return {"not": _condition_to(part)}
        case Both(op, parts):
            return {op: [_condition_to(part) for part in parts]}


def _condition_from(data: Mapping[str, Any] | None) -> Condition | None:
    if data is None:
        return None
    if "path" in data:
        return Comparison(tuple(data["path"]), data["op"], data["literal"])
    if "not" in data:
        return Not(_part(data["not"]))
    ((op, parts),) = data.items()
    if op not in {"and", "or"}:
        raise ValueError("no condition is joined like this")
    return Both(op, tuple(_part(part) for part in parts))


def _part(data: Mapping[str, Any]) -> Condition:
    condition = _condition_from(data)
    if condition is None:
        raise ValueError("a part of a condition is missing")
    return condition
