"""Collects the record of a run: typed results, texts of artifacts, and where the time went."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from shipway.contracts.deploy import DeployResult
from shipway.contracts.evidence import GateReport
from shipway.contracts.integrate import IntegrateResult
from shipway.contracts.model import ArtifactRef, Timestamp
from shipway.contracts.plan import PlanResult
from shipway.contracts.registry import CONTRACTS
from shipway.contracts.views import RunDetail, StageView
from shipway.errors import NotFoundError
from shipway.report.model import (
    Candidate,
    Evidence,
    PipelineFacts,
    Requirement,
    RunFacts,
    RunRecord,
    Spent,
    StageEvidence,
)
from shipway.report.timeline import spans

M = TypeVar("M", bound=BaseModel)
Read = Callable[[ArtifactRef], bytes]


def collect(detail: RunDetail, read: Read, at: Timestamp, versions: Mapping[str, str]) -> RunRecord:
    """What cannot be read is named in the evidence's remarks, never left out in silence."""
    remarks: list[str] = []
    results = {stage.id: _result(stage, remarks) for stage in detail.stages}
    plan = _first(results, PlanResult)
    candidate = _candidate(detail.stages, results)
    diff = _read(candidate.diff, read, remarks) if candidate else None
    readable = _read(plan.readable, read, remarks) if plan else None
    requirement = _read(detail.requirement, read, remarks)
    evidence = Evidence(
        generated_at=at,
        versions=dict(versions),
        run=_facts(detail),
        pipeline=PipelineFacts(
            name=detail.summary.pipeline,
            version=detail.pipeline_version,
            digest=detail.pipeline_digest,
        ),
        requirement=Requirement(
            document=detail.requirement,
            kind=detail.requirement_kind,
            submission=detail.submission,
        ),
        plan=plan,
        stages=[_stage(stage, results[stage.id], detail, at) for stage in detail.stages],
        asks=detail.asks,
        candidate=candidate,
        integration=_first(results, IntegrateResult),
        deployment=_first(results, DeployResult),
        stop=detail.stop,
        artifacts=detail.artifacts,
        diff_sha256=None if diff is None else sha256(diff).hexdigest(),
        remarks=remarks,
    )
    return RunRecord(evidence, _text(requirement), _text(readable), diff)


def _facts(detail: RunDetail) -> RunFacts:
    summary = detail.summary
    return RunFacts(
        id=summary.id,
        number=summary.number,
        status=summary.status,
        title=summary.title,
        claim=summary.claim,
        repository=summary.repository,
        target=detail.target,
        trace=detail.trace,
        created_at=summary.created_at,
        ended_at=summary.ended_at,
        seconds=summary.seconds,
        reason=summary.reason,
    )


def _stage(
    stage: StageView, result: BaseModel | None, detail: RunDetail, at: Timestamp
) -> StageEvidence:
    spent = dict.fromkeys(Spent.model_fields, 0.0)
    for span in spans(stage, detail.asks, at):
        spent[span.kind] += span.seconds
    report = getattr(result, "report", None)
    raw = {name: value for name, value in (stage.result or {}).items() if name != "report"}
    return StageEvidence(
        id=stage.id,
        capability=stage.capability,
        agent=stage.agent,
        fallbacks=stage.fallbacks,
        status=stage.status,
        needs=stage.needs,
        started_at=stage.started_at,
        ended_at=stage.ended_at,
        spent=Spent(**{name: round(value, 6) for name, value in spent.items()}),
        doing=stage.doing,
        reason=stage.reason,
        error=stage.error,
        attempts=stage.attempts,
        report=report if isinstance(report, GateReport) else None,
        result=None if stage.result is None else raw,
    )


def _result(stage: StageView, remarks: list[str]) -> BaseModel | None:
    """The result as its contract's model; a failed gate stage has one too."""
    contract = CONTRACTS.get(stage.capability)
    if stage.result is None:
        return None
    if contract is None:
        remarks.append(f"{stage.id}: there is no contract for {stage.capability}")
        return None
    try:
        return contract.result.model_validate_json(json.dumps(stage.result))
    except ValidationError as error:
        count = error.error_count()
        remarks.append(f"{stage.id}: its result does not fit its contract ({count} faults)")
        return None


def _candidate(
    stages: list[StageView], results: Mapping[str, BaseModel | None]
) -> Candidate | None:
    for stage in reversed(stages):
        result = results[stage.id]
        if stage.capability in {"scaffold", "implement"} and result is not None:
            fields = {name: getattr(result, name) for name in ("base", "commit", "tree", "diff")}
            return Candidate(stage=stage.id, **fields)
    return None


def _first(results: Mapping[str, BaseModel | None], kind: type[M]) -> M | None:
    return next((found for found in results.values() if isinstance(found, kind)), None)


def _read(ref: ArtifactRef, read: Read, remarks: list[str]) -> bytes | None:
    try:
        return read(ref)
    except NotFoundError:
        remarks.append(f"{ref.name} ({ref.sha256[:12]}) is no longer stored")
        return None


def _text(data: bytes | None) -> str | None:
    return None if data is None else data.decode("utf-8", "replace")
