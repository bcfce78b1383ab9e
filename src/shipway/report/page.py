"""Draws report.html: one self-contained page, no script, nothing loaded from anywhere."""

from __future__ import annotations

import base64
import hashlib
import shlex
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from shipway.contracts.evidence import GateEvidence, GateReport
from shipway.contracts.model import Timestamp
from shipway.contracts.views import AskView, StageView
from shipway.domain.gates import Enforcement
from shipway.domain.states import RunStatus
from shipway.report import changes
from shipway.report.model import Evidence, RunRecord, StageEvidence
from shipway.report.prose import markdown, shown
from shipway.report.timeline import Axis, Bar, moment, spans

MOST_FINDINGS = 100
MOST_TEXT = 20_000
_MINUTE, _HOUR, _DAY = 60, 3600, 86400

HEADLINES = {
    RunStatus.QUEUED: "It has not started yet",
    RunStatus.RUNNING: "It is still going",
    RunStatus.WAITING: "It waits for you",
    RunStatus.PAUSED: "It is paused",
    RunStatus.FAILED: "Why it stopped",
    RunStatus.CANCELLED: "It was cancelled",
    RunStatus.QUARANTINED: "It was put aside",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One stage on the timeline."""

    stage: StageEvidence
    bars: list[Bar]
    told: str


@dataclass(frozen=True, slots=True)
class GateRow:
    """One gate; ``evidence`` is None when it was not selected, or when nothing was seen."""

    gate: str
    word: str
    examined: int | None
    summary: str
    advisory: bool
    evidence: GateEvidence | None


def page(record: RunRecord) -> str:
    """The whole page."""
    evidence = record.evidence
    axis, rows = timeline(evidence)
    style = _style()
    return (
        _environment()
        .get_template("report.html")
        .render(
            e=evidence,
            run=evidence.run,
            headline=HEADLINES.get(evidence.run.status),
            open_asks=[ask for ask in evidence.asks if ask.answered is None],
            decisions=[ask for ask in evidence.asks if ask.answered is not None],
            rows=rows,
            breaks=axis.breaks(),
            gates=[(stage, gate_rows(stage.report)) for stage in evidence.stages if stage.report],
            plan=markdown(record.plan) if record.plan else None,
            requirement=record.requirement,
            changes=changes.read(record.diff) if record.diff is not None else None,
            style=Markup(style),  # noqa: S704 - our own file
            style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        )
    )


def timeline(evidence: Evidence) -> tuple[Axis, list[Row]]:
    now = evidence.generated_at
    found = [spans(_view(stage), evidence.asks, now) for stage in evidence.stages]
    started = moment(evidence.run.created_at)
    ended = moment(evidence.run.ended_at or now)
    axis = Axis(started, ended, [span for one in found for span in one])
    rows = [
        Row(stage, [axis.bar(span) for span in one], _told(stage))
        for stage, one in zip(evidence.stages, found, strict=True)
    ]
    return axis, rows


def gate_rows(report: GateReport) -> list[GateRow]:
    """Selected gates first: one without evidence was not run, and says so."""
    seen = {one.gate: one for one in report.evidence}
    rows = []
    for selection in sorted(report.selections, key=lambda one: not one.selected):
        evidence = seen.get(selection.gate)
        if not selection.selected:
            word, summary = "not applicable", selection.reason
        elif evidence is None:
            word, summary = "NOT_RUN", "it was selected, but left no evidence"
        else:
            word, summary = evidence.verdict.value, evidence.summary
        rows.append(
            GateRow(
                gate=selection.gate,
                word=word,
                examined=evidence.examined if evidence else None,
                summary=summary,
                advisory=selection.enforcement is Enforcement.ADVISORY,
                evidence=evidence,
            )
        )
    return rows


def duration(seconds: float) -> str:
    """Two units at most: 0.4 s, 12 s, 3 min 5 s, 2 h 10 min, 3 d 4 h."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    for size, unit, smaller, small_unit in (
        (_DAY, "d", _HOUR, "h"),
        (_HOUR, "h", _MINUTE, "min"),
        (_MINUTE, "min", 1, "s"),
    ):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {unit}" + (f" {rest} {small_unit}" if rest else "")
    return f"{whole} s"


def size_of(count: int) -> str:
    """Bytes for people."""
    value = float(count)
    for unit in ("B", "KB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 10 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


def time_of(at: Timestamp | None) -> Markup:
    """The one way that a moment is written."""
    if at is None:
        return Markup("&ndash;")
    when = datetime.fromisoformat(at).astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(at, f"{when:%Y-%m-%d %H:%M:%S} UTC")


def _view(stage: StageEvidence) -> StageView:
    """What the timeline asks of a stage."""
    return StageView(
        id=stage.id,
        capability=stage.capability,
        agent=stage.agent,
        status=stage.status,
        attempt=len(stage.attempts),
        needs=stage.needs,
        attempts=stage.attempts,
    )


def _told(stage: StageEvidence) -> str:
    """The bars in words, for those who cannot see them."""
    spent = stage.spent
    parts = [
        f"{word} {duration(seconds)}"
        for word, seconds in (
            ("worked", spent.worked),
            ("queued", spent.queued),
            ("between attempts", spent.retrying),
            ("waited for a person", spent.waited),
        )
        if seconds >= 0.05
    ]
    return ", ".join(parts) or "no time spent"


def _decide(ask: AskView) -> list[str]:
    """One command for each option, without the alternatives in one line."""
    head = ask.next_command.rsplit(" ", 1)[0] if ask.next_command else ""
    return [f"{head} {shlex.quote(option)}" for option in ask.options] if head else []


def _finalize(value: Any) -> Any:
    """Nothing invisible reaches the page."""
    return shown(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("shipway.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        duration=duration, size=size_of, time=time_of, command=shlex.join, options=_decide
    )
    environment.globals.update(MOST_FINDINGS=MOST_FINDINGS, MOST_TEXT=MOST_TEXT)
    return environment


@cache
def _style() -> str:
    folder = resources.files("shipway.report") / "templates"
    return (folder / "report.css").read_text("utf-8")
