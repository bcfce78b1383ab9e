"""Gate ``acceptance``: the plan's own checks, walked by our client against the running service."""

from __future__ import annotations

import json
from typing import Any

from shipway.contracts.evidence import Finding, GateEvidence
from shipway.contracts.service_plan import ServicePlan
from shipway.domain.gates import Verdict
from shipway.gates.bench import Bench, digest
from shipway.gates.carry import flows
from shipway.gates.look import Doubt, Record, evidence, keep
from shipway.gates.parsers import acceptance
from shipway.gates.parsers.reading import Reading, UnreadableReportError
from shipway.gates.service import Declared, Service, UnhealthyError, make_secrets

GATE = "acceptance"
TOOL = "shipway flows"
HEALTH = {
    "id": "health",
    "kind": "health",
    "message": "the service starts and says that it is healthy",
}


def judge(bench: Bench, said: Declared, plan: ServicePlan | None) -> GateEvidence:
    """Start the service, walk every check, restart it, look for what was stored, stop it."""
    archive = flows()
    record = Record(GATE, TOOL, version=digest(archive)[:12])
    record.inputs["flows"] = digest(archive)
    bench.say("acceptance: starting the service")
    try:
        settings = make_secrets(plan.security_schemes if plan else [])
        with Service(bench, said, bench.place(GATE), settings) as service:
            report = _walk(bench, service, plan, settings, record)
            record.beside = service.log()
        keep(record, report=report)
        reading, unjudged = acceptance.read(report)
    except Doubt as doubt:
        return evidence(bench, record, Verdict.ERROR, doubt.reason, category=doubt.category)
    except UnreadableReportError as error:
        return evidence(bench, record, Verdict.ERROR, str(error))
    except UnhealthyError as error:
        return _unhealthy(bench, record, str(error))
    return _decide(bench, record, reading, unjudged)


def _walk(
    bench: Bench,
    service: Service,
    plan: ServicePlan | None,
    settings: dict[str, str],
    record: Record,
) -> bytes:
    """The reports of both lives of the service as one."""
    healthy = {**HEALTH, "verdict": "passed", "requests": []}
    if plan is None:
        return json.dumps({"complete": True, "checks": [healthy]}).encode()
    asked: dict[str, Any] = {
        "plan": plan.model_dump(mode="json"),
        "port": service.port,
        "secrets": settings,
    }
    bench.say(f"acceptance: {len(plan.checks)} flows")
    finished, data = service.drive("walk", asked)
    record.finished, record.command = finished, list(finished.argv)
    data = None if data is None else service.scrub(data)
    if data is None:
        if not service.alive():
            raise UnhealthyError(f"the service ended during the flows:\n{service.tail()}")
        raise Doubt(f"our own client {finished.why()}: {finished.tail(5)}")
    report = json.loads(data)
    if not service.alive():
        raise UnhealthyError(f"the service ended during the flows:\n{service.tail()}")
    checks = [healthy, *report["checks"]]
    if report["kept"]:
        bench.say("acceptance: the same data after a restart")
        service.restart()
        after = service.ask("after", {**asked, "port": service.port, "kept": report["kept"]})
        checks += after["checks"]
    return json.dumps({"complete": report["complete"], "checks": checks}).encode()


def _unhealthy(bench: Bench, record: Record, reason: str) -> GateEvidence:
    head, _, log = reason.partition("\n")
    finding = Finding(rule="health", message=head)
    reading = Reading(1, [finding], {"flows": 1, "failed": 1})
    record.beside = log.encode()
    return evidence(bench, record, Verdict.FAIL, reason, reading)


def _decide(bench: Bench, record: Record, reading: Reading, unjudged: list[str]) -> GateEvidence:
    """Flows that the plan makes impossible are told, never counted; one that broke is an ERROR."""
    notes = [Finding(rule="not-walked", message=one, severity="note") for one in unjudged]
    told = Reading(
        reading.examined, [*reading.findings, *notes], reading.counts, reading.measurements
    )
    counts = reading.counts
    if reading.findings:
        first = reading.findings[0].message
        summary = f"{counts['failed']} of {reading.examined} flows failed; first: {first}"
        return evidence(bench, record, Verdict.FAIL, summary, told)
    if counts["error"]:
        summary = f"{counts['error']} flows could not be judged; first: {unjudged[0]}"
        return evidence(bench, record, Verdict.ERROR, summary, told)
    left = f", {counts['impossible']} cannot be walked on this plan" if counts["impossible"] else ""
    summary = f"{reading.examined} flows, {counts['requests']} requests{left}"
    return evidence(bench, record, Verdict.PASS, summary, told)
