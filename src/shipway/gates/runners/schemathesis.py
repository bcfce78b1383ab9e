"""Gate ``api``: schemathesis, which judges the running service by the user's own document."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from shipway.contracts.evidence import Finding, GateEvidence
from shipway.contracts.service_plan import OperationPlan, ServicePlan
from shipway.domain.gates import Verdict
from shipway.gates.bench import Bench, digest
from shipway.gates.look import Doubt, Record, check_ended, evidence, keep, read_report
from shipway.gates.parsers import schemathesis
from shipway.gates.parsers.reading import Reading, UnreadableReportError
from shipway.gates.service import Declared, Service, UnhealthyError, make_secrets
from shipway.gates.tools import version
from shipway.workspace.fence import Limits

GATE = "api"
TOOL = "schemathesis"
SEED = 20_240_501
ENDS = frozenset({0, 1})
BUDGET = 400
FEWEST, MOST = 8, 25
JUDGING = Limits(seconds=600.0, memory_mb=3072, processes=128, output_mb=32)
# What schemathesis takes for an answer to well-formed data, besides what the plan says of an operation.
ACCEPTED = ["2xx", "3xx", "401", "403", "404", "409", "429", "5xx"]
PASSWORD = "_PASSWORD"  # noqa: S105 - the end of a variable's name
SECRET = {"api_key": "api_key", "bearer": "bearer"}


def judge(
    bench: Bench, said: Declared, document: Mapping[str, Any], plan: ServicePlan | None
) -> GateEvidence:
    """Start the service on data of its own, let schemathesis at it, stop it."""
    record = Record(GATE, TOOL)
    bench.say("api: starting the service")
    try:
        settings = make_secrets(plan.security_schemes if plan else [])
        with Service(bench, said, bench.place(GATE), settings) as service:
            run = _run(bench, service, document, plan, settings, record)
            alive, end = service.alive(), service.tail()
            record.beside = service.log()
    except Doubt as doubt:
        return evidence(
            bench, record, Verdict.ERROR, f"{TOOL}: {doubt.reason}", category=doubt.category
        )
    except UnreadableReportError as error:
        return evidence(bench, record, Verdict.ERROR, f"{TOOL}: {error}")
    except UnhealthyError as error:
        finding = Finding(rule="health", message=str(error).partition("\n")[0])
        return evidence(
            bench, record, Verdict.FAIL, str(error), Reading(1, [finding], {"failures": 1})
        )
    if not alive:
        return evidence(
            bench, record, Verdict.FAIL, f"the service died under test:\n{end}", run.reading
        )
    return _decide(bench, record, run)


def _run(
    bench: Bench, service: Service, document: Mapping[str, Any], plan: ServicePlan | None,
    settings: dict[str, str], record: Record,
) -> schemathesis.Run:  # fmt: skip
    place = service.place / "judge"
    tool = str(bench.tools.bin("schemathesis"))
    record.version = version(bench, [tool], place)
    text = json.dumps(document, ensure_ascii=False, sort_keys=True).encode()
    (place / "document.json").write_bytes(text)
    config = configuration(plan, operations(document))
    (place / "schemathesis.toml").write_text(config, encoding="utf-8")
    record.inputs |= {"document": digest(text), "configuration": digest(config.encode())}
    prefix = plan.prefix if plan else ""
    record.command = [
        tool, "--config-file", str(place / "schemathesis.toml"), "--no-color",
        "run", str(place / "document.json"),
        "--url", f"http://127.0.0.1:{service.port}{prefix}",
        "--report", "json,junit",
        "--report-json-path", str(place / "report.json"),
        "--report-junit-path", str(place / "report.xml"),
    ]  # fmt: skip
    record.reproduce = _reproduce(record.version, prefix)
    bench.say("api: schemathesis")
    passwords = {name + PASSWORD: word.partition(":")[2] for name, word in settings.items()}
    finished = bench.run(
        record.command, writable=place, cwd=place, limits=JUDGING, env=settings | passwords,
        join=service.running,
    )  # fmt: skip
    record.finished = replace(finished, output=service.scrub(finished.output))
    check_ended(finished, ENDS)
    report, suite = (
        service.scrub(read_report(place / name, finished)) for name in ("report.json", "report.xml")
    )
    keep(record, report=report, junit=suite)
    run = schemathesis.read(report, suite)
    _agree(finished.exit_code, run)
    return run


def _reproduce(release: str, prefix: str) -> str:
    words = ["schemathesis", "run", "DOCUMENT", "--url", f"http://127.0.0.1:PORT{prefix}"]
    return (
        f"schemathesis=={release}: {shlex.join([*words, '--checks', 'all', '--seed', str(SEED)])}"
    )


def operations(document: Mapping[str, Any]) -> int:
    """How many operations a document describes."""
    verbs = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}
    paths = document.get("paths") or {}
    return sum(len(verbs & set(item)) for item in paths.values() if isinstance(item, dict))


def configuration(plan: ServicePlan | None, operations: int) -> str:
    """The whole configuration as TOML: a fixed seed, bounded examples, nothing kept between runs.

    Secrets stand in it as names of variables only.
    """
    examples = max(FEWEST, min(MOST, BUDGET // max(operations, 1)))
    lines = [
        f"seed = {SEED}",
        "continue-on-failure = true",
        "request-timeout = 15.0",
        "warnings = true",
        "[cache]", "enabled = false",
        "[generation]", f"max-examples = {examples}", 'database = "none"', "no-shrink = true",
        "[checks]", "enabled = true",
        "[phases.stateful]", "enabled = true",
        "[phases.stateful.generation]", f"max-examples = {examples}",
    ]  # fmt: skip
    if plan is None:
        return "\n".join(lines) + "\n"
    for scheme in plan.security_schemes:
        lines.append(f"[auth.openapi.{_quoted(scheme.id)}]")
        if scheme.kind == "basic":
            lines += ['username = "user"', f'password = "${{{scheme.setting}{PASSWORD}}}"']
        else:
            lines.append(f'{SECRET[scheme.kind]} = "${{{scheme.setting}}}"')
    for operation in plan.operations:
        lines += _operation(operation)
    return "\n".join(lines) + "\n"


def _operation(operation: OperationPlan) -> list[str]:
    """What is particular to one operation: not there at all, or refusing well-formed data for a reason."""
    head = [
        "[[operations]]",
        f"include-name = {_quoted(f'{operation.method.upper()} {operation.path}')}",
    ]
    if operation.behaviour == "unimplemented":
        return [*head, "enabled = false"]
    reasons = {"conflict", "reference", "not_found"}
    also = sorted(
        {str(one.status) for one in operation.errors if one.reason in reasons} - set(ACCEPTED)
    )
    if not also:
        return []
    return [
        *head,
        "[operations.checks.positive_data_acceptance]",
        f"expected-statuses = {json.dumps(ACCEPTED + also)}",
    ]


def _quoted(text: str) -> str:
    """A TOML basic string; JSON's escapes are a subset of TOML's but for the slash, which stays."""
    return json.dumps(text)


def _agree(ended: int | None, run: schemathesis.Run) -> None:
    if not run.complete:
        raise Doubt("it did not come to the end of its run")
    if ended != run.exit_code:
        raise Doubt("its exit code is not the one that it reported")
    if (ended == 0) == bool(run.failures or run.errors):
        raise Doubt("its exit code and its report do not agree")


def _decide(bench: Bench, record: Record, run: schemathesis.Run) -> GateEvidence:
    reading, counts = run.reading, run.reading.counts
    notes = [
        Finding(rule=name, message=", ".join(labels)[:500], severity="note")
        for name, labels in run.warnings.items()
    ]
    told = Reading(reading.examined, [*reading.findings, *notes], counts, reading.measurements)
    if run.failures:
        first = f"; first: {reading.findings[0].message}"
        summary = f"{run.failures} faults in {counts['cases']} cases{first}"
        return evidence(bench, record, Verdict.FAIL, summary, told)
    if run.errors:
        return evidence(
            bench, record, Verdict.ERROR, f"it met errors: {', '.join(run.errors)}", told
        )
    if not counts or counts["tested"] < counts["operations"] or not counts["tested"]:
        summary = (
            f"{counts.get('tested', 0)} of {counts.get('operations', 0)} operations were exercised"
        )
        return evidence(bench, record, Verdict.ERROR, summary, told)
    summary = f"{counts['tested']} operations, {counts['cases']} cases, no fault"
    return evidence(bench, record, Verdict.PASS, summary, told)
