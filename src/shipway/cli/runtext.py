"""What is said about a run, as lines: its stages, its end, what it waits for, what to type next."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shipway.cli.lines import Field, Line, Part
from shipway.cli.output import clean, one_line
from shipway.cli.words import duration, left, now, plural, sign, since

if TYPE_CHECKING:
    from shipway.contracts.views import AskView, GateView, RunDetail, StageView

_WORD = 11  # the longest state, "invalidated"
_WIDE = 60
_FEW = 2
_LOG_LINES = 10


def mark(state: str, *, unicode: bool) -> Part:
    """The sign of a state; some are two cells wide, so it takes three with the space behind it."""
    found = sign(state)
    return Part(found.icon if unicode else found.plain, found.style, 3)


def word(state: str, width: int = 0) -> Part:
    return Part(state, sign(state).style, width)


def title(detail: RunDetail) -> str:
    return one_line(detail.summary.title) or detail.summary.pipeline


def open_asks(detail: RunDetail) -> list[AskView]:
    return [ask for ask in detail.asks if ask.answered is None]


def heading(detail: RunDetail) -> Line:
    """``run 12  service  Library API``: what is being watched, before anything else."""
    summary = detail.summary
    return [
        Part(f"run {summary.number}", "bold"),
        Part(f"  {summary.pipeline}  "),
        Part(title(detail)),
        Part(f"  ({summary.id})", "dim"),
    ]


def stage_seconds(stage: StageView, now: datetime) -> float | None:
    """How long it took, or has taken so far."""
    if stage.seconds is not None and stage.status.is_final:
        return stage.seconds
    return since(stage.started_at, now)


def gate_words(stage: StageView) -> str:
    """``5 of 5 gates passed``, or the first gate that did not pass and why; empty without gates."""
    chosen = [gate for gate in stage.gates if gate.selected]
    bad = [gate for gate in chosen if gate.verdict not in {"PASS", None}]
    if bad:
        more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
        return one_line(f"{bad[0].gate} {bad[0].verdict}: {bad[0].summary}{more}")
    passed = sum(gate.verdict == "PASS" for gate in chosen)
    if passed < len(chosen):
        return f"{passed} of {len(chosen)} gates passed"
    return f"{plural(passed, 'gate')} passed" if chosen else ""


def _overruled(stage: StageView) -> str:
    """What a person let pass although a gate of a required kind did not; empty where none did."""
    chosen = [gate for gate in stage.gates if gate.selected]
    bad = [g.gate for g in chosen if g.verdict != "PASS" and g.enforcement == "required"]
    good = sum(gate.verdict == "PASS" for gate in chosen)
    return f"{plural(good, 'gate')} passed, a person let {', '.join(bad)} pass" if bad else ""


def stage_words(stage: StageView) -> str:
    """What there is to say beside the state: what it does now, why it failed, what its gates say."""
    if not stage.status.is_final:
        return one_line(stage.doing or stage.reason or "")
    if stage.status.value == "passed":
        return _overruled(stage) or gate_words(stage)
    message = stage.error.message if stage.error else (stage.reason or "")
    return gate_words(stage) or one_line(message)


def stage_line(stage: StageView, now: datetime, names: int, width: int, *, unicode: bool) -> Line:
    """One stage on one line; on a narrow terminal the words after the time are what gives way."""
    seconds = stage_seconds(stage, now)
    again = f"  attempt {stage.attempt}" if stage.attempt > 1 else ""
    line = [
        mark(stage.status.value, unicode=unicode),
        Part(stage.id, "bold" if stage.status.value == "running" else "", names),
        Part(" "),
        word(stage.status.value, _WORD if width >= _WIDE else 9),
        Part(f" {duration(seconds) if seconds is not None else '':>8}"),
        Part(again, "yellow"),
    ]
    words = stage_words(stage)
    bad = stage.status.value == "failed"
    return [*line, Part(f"  {words}", "red" if bad else "dim")] if words else line


def attempt_lines(stage: StageView) -> Iterator[Line]:
    """The attempts before the last one: how each ended, and why; all, where agents took turns."""
    turns = len({attempt.agent for attempt in stage.attempts}) > 1
    for attempt in stage.attempts if turns else stage.attempts[:-1]:
        why = f": {one_line(attempt.error.message)}" if attempt.error else ""
        who = f" by {one_line(attempt.agent)}" if turns and attempt.agent else ""
        yield [Part(f"     attempt {attempt.attempt}{who} {attempt.status}{why}", "dim")]


def gate_lines(stage: StageView, *, unicode: bool) -> Iterator[Line]:
    """The gates below their stage; those that were not selected in a line when there are many."""
    left = [gate for gate in stage.gates if not gate.selected]
    for gate in stage.gates:
        if gate.selected or len(left) <= _FEW:
            yield _gate_line(gate, unicode=unicode)
    if len(left) > _FEW:
        names = ", ".join(gate.gate for gate in left)
        yield [Part(f"     not applicable: {names}  (--json says why)", "dim")]


def _gate_line(gate: GateView, *, unicode: bool) -> Line:
    verdict = (gate.verdict or "NOT_RUN") if gate.selected else "not applicable"
    return [
        Part("  "),
        mark(verdict, unicode=unicode) if gate.selected else Part("", "", 3),
        Part(gate.gate, "", 12),
        Part(f"{verdict:<8}", sign(verdict).style if gate.selected else "dim"),
        Part(f"  {one_line(gate.summary)}", "dim"),
        Part("  (advisory)" if gate.enforcement == "advisory" else "", "red"),
    ]


def board(detail: RunDetail, now: datetime, width: int, foot: str, *, unicode: bool) -> list[Line]:
    """The live picture: a heading, one line a stage, and what the whole run is doing."""
    names = max((len(stage.id) for stage in detail.stages), default=0)
    lines = [heading(detail)]
    lines += [stage_line(stage, now, names, width, unicode=unicode) for stage in detail.stages]
    summary = detail.summary
    if not summary.status.is_final:
        seconds = since(summary.created_at, now) or 0.0
        status = summary.status.value
        lines.append(
            [
                mark(status, unicode=unicode),
                word(status),
                Part(f"  {duration(seconds)}", "dim"),
                Part(f"  {foot}", "dim"),
            ]
        )
    return lines


def outcome(detail: RunDetail, now: datetime, *, unicode: bool) -> Line:
    """``✓ run 12 succeeded in 1m 42s``: the one line that says how it ended."""
    summary = detail.summary
    status = summary.status.value
    if summary.status.is_final:
        after = f" {'in' if status == 'succeeded' else 'after'} {duration(summary.seconds)}"
    else:
        after = f", {duration(since(summary.created_at, now) or 0.0)} so far"
    return [
        mark(status, unicode=unicode)._replace(width=0),
        Part(f" run {summary.number} ", "bold"),
        word(status),
        Part(after),
    ]


def closing(detail: RunDetail, files: Mapping[str, Path]) -> list[Field]:
    """What is there now, where it is, why it stopped, and what to type next."""
    fields = list(_made(detail))
    fields += [Field(name, [Part(str(path))]) for name, path in files.items()]
    times = ", ".join(
        f"{stage.id} {duration(stage.seconds)}" for stage in detail.stages if stage.seconds
    )
    if times:
        fields.append(Field("time", [Part(times)], prose=True))
    fields += _decided(detail)
    fields += _waits(detail)
    fields += _effects(detail)
    fields += _stopped(detail)
    return fields


def _decided(detail: RunDetail) -> Iterator[Field]:
    """What people said, or the clock in their place."""
    for ask in detail.asks:
        if ask.answered is not None:
            comment = f": {one_line(ask.comment)}" if ask.comment else ""
            words = (
                f"{ask.id} {one_line(ask.answered)}, by {one_line(ask.answered_by or '')}{comment}"
            )
            yield Field("decided", [Part(words)], prose=True)


def _waits(detail: RunDetail) -> Iterator[Field]:
    """What it waits for, and how long at most; questions are shown by themselves, below."""
    for wait in detail.waits:
        if wait.kind in {"a person", "its agent"}:
            continue  # the one is shown with its question, the other by what it does
        where = f"{wait.stage}: " if wait.stage else ""
        words = wait.kind if wait.kind.startswith("to ") else f"for {wait.kind}"
        limit = left(wait.until, now())
        yield Field(
            "waits", [Part(f"{where}{words} ({one_line(wait.reason)}), {limit}")], prose=True
        )


def _effects(detail: RunDetail) -> Iterator[Field]:
    """What a run has done besides what it came to, as before it was sent back; how to undo it."""
    stopped = detail.summary.status.value in {"failed", "cancelled", "quarantined", "paused"}
    last = {effect.stage: effect for effect in detail.effects}
    for effect in detail.effects:
        if stopped or effect is not last[effect.stage]:
            yield Field("done", [Part(one_line(effect.what))], prose=True)
            if effect.undo:
                yield Field("undo", [Part(clean(effect.undo), "bold")])


def _made(detail: RunDetail) -> Iterator[Field]:
    results = {stage.capability: stage.result or {} for stage in detail.stages}
    deployed, merged = results.get("deploy", {}), results.get("integrate", {})
    if "url" in deployed:
        name = one_line(str(deployed.get("service", "")))
        yield Field("service", [Part(clean(str(deployed["url"])), "bold"), Part(f"  {name}")])
    if "commit" in merged:
        branch = f"  {merged.get('target')} @ {str(merged['commit'])[:10]}"
        yield Field("repository", [Part(clean(str(merged.get("repository")))), Part(branch, "dim")])
    elif detail.summary.repository:
        yield Field("repository", [Part(clean(detail.summary.repository))])


def _stopped(detail: RunDetail) -> Iterator[Field]:
    stop, number = detail.stop, detail.summary.number
    if stop is not None:
        code = f"[{stop.code}] " if stop.code else ""
        yield Field("why", [Part(f"{code}{one_line(stop.message)}")], prose=True)
        for stage in detail.stages:
            yield from _failed(stage)
        if stop.hint:
            yield Field("hint", [Part(one_line(stop.hint))], prose=True)
        # Open asks are shown with their commands, below.
        for command in [] if open_asks(detail) else stop.next_commands:
            yield Field("next", [Part(clean(command), "bold")])
    elif detail.summary.status.value == "succeeded":
        yield Field("next", [Part(f"shipway run view {number}", "bold")])
        for stage in detail.stages:
            if stage.result and "release" in stage.result:
                command = f"shipway release stop {_quoted(str(stage.result['service']))}"
                yield Field("next", [Part(command, "bold")])


def _failed(stage: StageView) -> Iterator[Field]:
    """What a person needs to see of a stage that failed: its gates, the end of its log."""
    if stage.status.value != "failed":
        return
    for gate in stage.gates:
        if gate.selected and gate.verdict != "PASS":
            words = f"{gate.gate} {gate.verdict or 'NOT_RUN'}: {one_line(gate.summary)}"
            yield Field("gate", [Part(words, "red")], prose=True)
    if stage.error is not None and stage.error.log_tail:
        for line in clean(stage.error.log_tail).rstrip().splitlines()[-_LOG_LINES:]:
            yield Field("log", [Part(line, "dim")])


def ask_fields(ask: AskView, number: int, now: datetime) -> list[Field]:
    """A question as a person needs it: what, why, the options, how long, and what to type."""
    fields = [Field("asks", [Part(one_line(ask.question), "bold")], prose=True)]
    if ask.why:
        fields.append(Field("why", [Part(one_line(ask.why))], prose=True))
    if ask.options:
        shown = [f"{one}{' (default)' if one == ask.default else ''}" for one in ask.options]
        fields.append(Field("options", [Part(one_line(", ".join(shown)))], prose=True))
    elif ask.default is not None:
        fields.append(Field("default", [Part(one_line(ask.default))], prose=True))
    if ask.deadline:
        then = f', then "{one_line(ask.default)}"' if ask.default else ""
        fields.append(Field("deadline", [Part(left(ask.deadline, now) + then)]))
    fields += [Field("type", [Part(one, "bold")]) for one in ask_commands(ask, number)]
    return fields


def ask_commands(ask: AskView, number: int) -> list[str]:
    """The exact commands that answer it."""
    ref = _quoted(f"{number}/{ask.id}")
    if ask.kind == "decision":
        return [f"shipway decide {ref} {_quoted(option)}" for option in ask.options]
    if ask.options:
        return [f"shipway answer {ref} {_quoted(option)}" for option in ask.options]
    return [f"shipway answer {ref} VALUE"]


def _quoted(value: str) -> str:
    return shlex.quote(one_line(value))


def as_json(view: Any) -> Any:
    """A view as JSON data."""
    return view.model_dump(mode="json")
