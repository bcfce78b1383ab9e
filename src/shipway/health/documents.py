"""The documents of health: application/health+json for readiness and for everything."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shipway.health.check import Answer, HealthCheck, Status, worst
from shipway.health.probing import Standing, stamp

MEDIA_TYPE = "application/health+json"
_HEADERS = {"Content-Type": MEDIA_TYPE, "Cache-Control": "no-store"}


@dataclass(frozen=True, slots=True)
class Told:
    """What documents are made from: the standing of every check at one moment."""

    checks: list[tuple[HealthCheck, Standing | None]]
    release: str
    began: float
    draining: float | None
    now: float

    def status_of(self, check: HealthCheck, standing: Standing | None) -> Status:
        """What counts for the whole: only what is required may fail it."""
        found = self.found(standing)
        if found is Status.FAIL and not check.required_for_ready:
            return Status.WARN
        return found

    def found(self, standing: Standing | None) -> Status:
        """Fail closed: what was never asked, or not for long, is not known to be good."""
        if standing is None or standing.is_stale(self.now):
            return Status.FAIL
        return standing.status

    def status(self) -> Status:
        if self.draining is not None:
            return Status.FAIL
        return worst([self.status_of(check, standing) for check, standing in self.checks])


def ready_document(told: Told) -> tuple[bytes, Status]:
    """For everybody: no words of what was found, only which of the required checks stand how."""
    status = told.status()
    checks = {
        check.name: [{"status": told.found(standing)}]
        for check, standing in told.checks
        if check.required_for_ready
    }
    document: dict[str, Any] = {"status": status, "checks": checks}
    if told.draining is not None:
        document["output"] = "draining"
    return _encoded(document), status


def detailed_document(told: Told, details: Mapping[str, Any]) -> tuple[bytes, Status]:
    status = told.status()
    document: dict[str, Any] = {
        "status": status,
        "version": "1",
        "releaseId": told.release,
        "uptime_s": round(time.time() - told.began, 1),
        "since": stamp(told.began),
        "draining_since": None if told.draining is None else stamp(told.draining),
        "checks": {check.name: [_check(told, check, standing)] for check, standing in told.checks},
        **details,
    }
    return _encoded(document), status


def _check(told: Told, check: HealthCheck, standing: Standing | None) -> dict[str, Any]:
    told_of: dict[str, Any] = {
        "componentType": check.component_type,
        "status": told.found(standing),
        "required_for_ready": check.required_for_ready,
    }
    if standing is None:
        return told_of | {"output": "not asked yet"}
    seen = standing.seen
    stale = standing.is_stale(told.now)
    output = f"not asked for {told.now - standing.answered:.1f} s" if stale else seen.output
    told_of |= {
        "time": stamp(standing.at),
        "since": stamp(standing.since),
        "latency_ms": round(standing.latency * 1000, 1),
    }
    if seen.value is not None:
        told_of |= {"observedValue": seen.value, "observedUnit": seen.unit}
    if output:
        told_of["output"] = output
    if told_of["status"] is not Status.PASS:
        told_of["remedy"] = check.remedy
    return told_of


def answer(body: bytes, status: Status, more: Mapping[str, str] | None = None) -> Answer:
    code = 503 if status is Status.FAIL else 200
    return Answer(code, body, {**_HEADERS, **(more or {})}, status)


def _encoded(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":"), default=str).encode()
