"""``shipway run logs``: what the stages of a run said, for people, as it was written, or as JSON."""

from __future__ import annotations

import difflib
import json
import sys
import time
from typing import TYPE_CHECKING, Any

import click

from shipway.cli.command import Command, speaks
from shipway.cli.completing import stage_names
from shipway.cli.output import Output, clean, one_line, write, write_bytes
from shipway.cli.runs import found, reference
from shipway.cli.words import clock
from shipway.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from shipway.cli.seam import Session
    from shipway.contracts.views import RunDetail, StageView

_FOLLOW_SECONDS = 0.3
# Every line carries these; the heading says them once.
_CARRIED = {"run", "stage", "attempt", "token", "trace", "trace_id", "span_id", "logger", "agent"}


@click.command(
    "logs",
    cls=Command,
    examples=(
        "shipway run logs @last",
        "shipway run logs 12 --stage validate --attempt 2",
        "shipway run logs 12 --stage implement --follow",
        "shipway run logs 12 --raw > run.log",
    ),
)
@reference
@click.option("--stage", "-s", metavar="STAGE", shell_complete=stage_names, help="Only this one.")
@click.option("--attempt", "-a", type=click.IntRange(1), help="Default: the last one.")
@click.option("--follow", "-f", is_flag=True, help="Go on until the stage is over.")
@click.option("--raw", is_flag=True, help="Byte for byte as it was written.")
@speaks
def logs(
    output: Output, ref: str, stage: str | None, attempt: int | None, follow: bool, raw: bool
) -> None:
    """Print the log of a stage; without --stage that of each stage that has run."""
    from shipway.cli.session import opened

    if follow and (stage is None or output.json):
        raise UsageError(
            "--follow needs one stage and does not go with --json", hint="name it: --stage STAGE"
        )
    with opened(output) as system:
        detail = found(system, ref)
        if follow and stage is not None:
            _follow(system, detail.summary.id, stage, attempt, raw=raw)
            return
        found_logs = _logs(system, detail, stage, attempt)
    if output.json:
        output.emit([log | {"log": log["log"].decode("utf-8", "replace")} for log in found_logs])
        return
    for log in found_logs:
        if stage is None and not raw:
            write(sys.stdout, f"== {log['stage']}, attempt {log['attempt']}\n")
        _print(log["log"], raw=raw)
    if not found_logs:
        output.note("no stage has written a log yet")


def _logs(
    system: Session, detail: RunDetail, name: str | None, attempt: int | None
) -> list[dict[str, Any]]:
    """One log of each stage that has one; a stage that was asked for by name must have one."""
    run = detail.summary.id
    if name is not None:
        return [_log(system, run, _stage(detail, name), attempt)]
    logs = []
    for stage in detail.stages:
        try:
            logs.append(_log(system, run, stage, attempt))
        except NotFoundError:  # it has not begun, or was skipped
            continue
    return logs


def _log(system: Session, run: str, stage: StageView, attempt: int | None) -> dict[str, Any]:
    number = attempt or stage.attempt
    data = system.queries.log(run, stage.id, number)
    return {"run": run, "stage": stage.id, "attempt": number, "log": data}


def _stage(detail: RunDetail, name: str) -> StageView:
    for stage in detail.stages:
        if stage.id == name:
            return stage
    names = [stage.id for stage in detail.stages]
    near = difflib.get_close_matches(name, names, n=1)
    raise NotFoundError(
        f'run {detail.summary.number} has no stage "{one_line(name)}"',
        hint=f"did you mean {near[0]}?" if near else f"its stages are {', '.join(names)}",
    )


def _follow(system: Session, run: str, name: str, attempt: int | None, *, raw: bool) -> None:
    seen, current = 0, 0
    while True:
        detail = system.queries.run(run)
        stage = _stage(detail, name)
        number = attempt or stage.attempt
        if number != current:
            current, seen = number, 0
        over = stage.status.is_final or detail.summary.status.is_final or number < stage.attempt
        try:
            data = _log(system, run, stage, number)["log"] if number else b""
        except NotFoundError:  # it has not said anything yet
            data = b""
        whole = len(data) if over else data.rfind(b"\n") + 1  # never half a line
        _print(data[seen:whole], raw=raw)
        seen = max(seen, whole)
        if over:
            return
        time.sleep(_FOLLOW_SECONDS)


def _print(data: bytes, *, raw: bool) -> None:
    if raw:
        write_bytes(data)
    else:
        write(sys.stdout, readable(data, colours=sys.stdout.isatty()))


def readable(data: bytes, *, colours: bool = False) -> str:
    """A log as text; lines that are not ours are left as they are, but cannot steer a terminal."""
    lines = data.decode("utf-8", "replace").split("\n")
    return "\n".join(_line(line, colours=colours) for line in lines)


def _line(line: str, *, colours: bool) -> str:
    record = _record(line)
    if record is None:
        return clean(line, colours=colours)
    event, level = str(record.pop("event")), str(record.pop("level", "info"))
    at = str(record.pop("time", ""))
    words = [_clock(at)] if at else []
    if level != "info":
        words.append(f"{level}:")
    words.append(event)
    words += [f"{name}={_shown(value)}" for name, value in record.items() if name not in _CARRIED]
    return clean(" ".join(words), colours=colours)


def _record(line: str) -> dict[str, Any] | None:
    if not line.startswith("{"):
        return None
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) and "event" in record else None


def _clock(at: str) -> str:
    try:
        return clock(at)
    except ValueError:
        return at


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
