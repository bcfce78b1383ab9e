"""One run of one tool on one tree: what it said, or why it cannot be believed."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from shipway.contracts.evidence import Finding, GateEvidence
from shipway.domain.gates import Verdict
from shipway.errors import Category, ShipwayError
from shipway.gates.bench import Bench, digest
from shipway.gates.parsers.reading import LIMIT, Reading, UnreadableReportError
from shipway.workspace.environments import Environment
from shipway.workspace.fence import Finished

FINDINGS = 200
# A file system may keep times more coarsely than the clock that started the command.
CLOCK_SLACK = 2.0
UNREACHABLE = (
    "connection broken by", "Temporary failure in name resolution", "Read timed out",
    "Connection refused", "Network is unreachable", "Could not fetch URL",
)  # fmt: skip


class Doubt(Exception):  # noqa: N818 - a reason not to judge, turned into the verdict ERROR
    """Why there is no verdict; the category says whether trying again may help."""

    def __init__(self, reason: str, category: Category = Category.PERMANENT) -> None:
        super().__init__(reason)
        self.reason = reason
        self.category = category


@dataclass(frozen=True, slots=True)
class Look:
    """What a tool reported. ``marks`` replaces the source line where lines may not be shown."""

    reading: Reading
    marks: Mapping[tuple[str, str | None, int | None], str] = field(default_factory=dict)


@dataclass(slots=True)
class Record:
    """What is known of a gate while it runs: enough for evidence at any moment it may end.

    ``beside`` is what a service printed while the tool looked at it.
    """

    gate: str
    tool: str
    version: str | None = None
    command: list[str] = field(default_factory=list)
    finished: Finished | None = None
    inputs: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    reproduce: str | None = None
    started_at: str | None = None
    beside: bytes | None = None


def candidate_environment(bench: Bench) -> Environment:
    """The candidate's environment; raises Doubt with the reason why there is none."""
    if bench.candidate is None:
        error = bench.unbuilt
        if error is None:
            raise Doubt("nothing says what the candidate needs")
        category = Category.DEPENDENCY if unreachable(error) else error.category
        raise Doubt(f"the candidate's environment could not be built: {error.message}", category)
    return bench.candidate


def unreachable(error: ShipwayError) -> bool:
    """Whether pip gave up because it could not reach anything, which may pass by itself."""
    tail = str(error.details.get("log_tail", ""))
    return any(word in tail for word in UNREACHABLE)


def check_ended(finished: Finished, expected: frozenset[int]) -> None:
    """Raises Doubt unless the command ended by itself with one of the exit codes that it documents."""
    if finished.cancelled:
        raise Doubt("it was cancelled", Category.CANCELLED)
    if finished.truncated:
        raise Doubt("its output was larger than the limit: let it print less, or to a file")
    if finished.missing:
        raise Doubt("it is not installed", Category.DEPENDENCY)
    if finished.timed_out or finished.exceeded or finished.exit_code not in expected:
        killed = finished.signal is not None and not (finished.timed_out or finished.exceeded)
        raise Doubt(f"it {finished.why()}", Category.TRANSIENT if killed else Category.PERMANENT)


def read_report(path: Path, finished: Finished) -> bytes:
    """A report that this run wrote; raises UnreadableReportError for anything else in its place."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        raise UnreadableReportError(f"the report {path.name} is missing") from None
    facts = os.fstat(handle)
    if not stat.S_ISREG(facts.st_mode):
        os.close(handle)
        raise UnreadableReportError(f"the report {path.name} is not a plain file")
    with os.fdopen(handle, "rb") as opened:
        started = datetime.fromisoformat(finished.started_at).timestamp()
        if facts.st_mtime < started - CLOCK_SLACK:
            raise UnreadableReportError(f"the report {path.name} is older than its run")
        data = opened.read(LIMIT + 1)
    if len(data) > LIMIT:
        raise UnreadableReportError(f"the report {path.name} is too large")
    return data


def evidence(
    bench: Bench, record: Record, verdict: Verdict, summary: str, reading: Reading | None = None,
    category: Category | None = None,
) -> GateEvidence:  # fmt: skip
    """The gate's evidence, with its log on the shelf."""
    finished = record.finished
    log = None
    printed = _log(record)
    if printed is not None:
        log = bench.shelf.put(printed, f"{record.gate}.log", "text/plain; charset=utf-8")
    at = record.started_at or now()
    reading = reading or Reading()
    return GateEvidence(
        gate=record.gate,
        verdict=verdict,
        summary=summary,
        examined=reading.examined,
        command=record.command,
        tool=record.tool,
        tool_version=record.version,
        exit_code=None if finished is None else finished.exit_code,
        started_at=at if finished is None else finished.started_at,
        ended_at=now() if finished is None else finished.ended_at,
        tree=bench.tree_id,
        fence=None if finished is None else finished.fence,
        counts=reading.counts,
        measurements=reading.measurements,
        findings=_bounded(reading.findings),
        inputs={
            "tree": bench.tree_id,
            "tools": bench.tools.digest,
            **({"without": ", ".join(bench.without)} if bench.without else {}),
            **record.inputs,
        },
        outputs=record.outputs,
        log=log,
        reproduce=record.reproduce,
        category=None if category is None else category.value,
    )


def _log(record: Record) -> bytes | None:
    """What the tool printed, then what the service printed; None when neither ran."""
    if record.beside is None:
        return None if record.finished is None else record.finished.output
    output = record.finished.output if record.finished else b""
    return output + b"\n--- the service ---\n" + record.beside


def _bounded(findings: list[Finding]) -> list[Finding]:
    """Errors first; the whole list is in the tool's report, which the log holds."""
    return sorted(findings, key=lambda one: one.severity != "error")[:FINDINGS]


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def keep(record: Record, **reports: bytes) -> None:
    """Remember the digests of what the tool wrote."""
    record.outputs.update({name: digest(data) for name, data in reports.items()})
