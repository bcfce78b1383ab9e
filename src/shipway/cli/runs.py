"""``shipway run list|view|watch|diff``: the runs there are."""

from __future__ import annotations

import difflib
import sys
from typing import TYPE_CHECKING

import click

from shipway.cli import inputs
from shipway.cli.command import Command, speaks
from shipway.cli.completing import run_references
from shipway.cli.lines import Part
from shipway.cli.output import Output, clean, one_line, write_bytes
from shipway.cli.words import ago, duration, now, since
from shipway.domain.states import RunStatus
from shipway.errors import NotFoundError

if TYPE_CHECKING:
    from shipway.cli.seam import Session
    from shipway.contracts.views import RunDetail, RunSummary

reference = click.argument(
    "ref",
    metavar="RUN",
    shell_complete=run_references,
    help="A number, the beginning of an id, or @last.",
)


@click.command(
    "list",
    cls=Command,
    examples=("shipway run list", "shipway run list --status failed --limit 5 --json"),
)
@click.option(
    "--status",
    "--state",
    "state",
    multiple=True,
    metavar="STATE",
    type=click.Choice([status.value for status in RunStatus]),
    help="Only runs in this state: running, waiting, failed ...; can be repeated.",
)
@click.option("--limit", "-n", type=click.IntRange(1, 10_000), default=20, help="At most so many.")
@speaks
def list_(output: Output, state: tuple[str, ...], limit: int) -> None:
    """List runs, the latest first."""
    from shipway.cli import runtext
    from shipway.cli.session import opened

    with opened(output) as system:
        runs = _newest(system, [RunStatus(one) for one in state], limit)
    if output.json:
        output.emit([runtext.as_json(run) for run in runs])
    elif runs:
        _table(output, runs)
    else:
        output.note('no runs\n  next: shipway run --spec api.yaml, or see "shipway run --help"')


def _newest(system: Session, states: list[RunStatus], limit: int) -> list[RunSummary]:
    wanted: list[RunStatus | None] = [*states] or [None]
    runs = [run for state in wanted for run in system.queries.runs(limit=limit, status=state)]
    return sorted(runs, key=lambda run: run.number, reverse=True)[:limit]


def _table(output: Output, runs: list[RunSummary]) -> None:
    from shipway.cli.render import Screen

    screen = Screen(sys.stdout, output.color)
    heads = ("run", "state", "pipeline", "title", "took", "started")
    screen.table(heads, [_row(run, unicode=screen.unicode) for run in runs], give=3)


def _row(run: RunSummary, *, unicode: bool) -> list[Part]:
    from shipway.cli import runtext

    status = run.status.value
    icon = runtext.mark(status, unicode=unicode)
    took = run.seconds if run.status.is_final else since(run.created_at, now()) or 0.0
    return [
        Part(str(run.number), "bold"),
        Part(f"{icon.text} {status}", icon.style),
        Part(run.pipeline),
        Part(one_line(run.title)),
        Part(duration(took)),
        Part(ago(run.created_at, now()), "dim"),
    ]


@click.command(
    "view", cls=Command, examples=("shipway run view @last", "shipway run view 12 --json")
)
@reference
@speaks
def view(output: Output, ref: str) -> None:
    """Show one run: its stages and gates, what it waits for, where its files are."""
    from shipway.cli.session import opened

    with opened(output) as system:
        show(system, found(system, ref), output)


def show(system: Session, detail: RunDetail, output: Output) -> None:
    """A run as a whole, for people or as JSON."""
    from shipway.cli import runtext
    from shipway.cli.follow import conclude
    from shipway.cli.render import Screen

    if output.json:
        output.emit(runtext.as_json(detail))
        return
    screen = Screen(sys.stdout, output.color)
    names = max((len(stage.id) for stage in detail.stages), default=0)
    screen.say(runtext.heading(detail))
    for stage in detail.stages:
        screen.say(runtext.stage_line(stage, now(), names, screen.width, unicode=screen.unicode))
        for line in runtext.attempt_lines(stage):
            screen.say(line)
        for line in runtext.gate_lines(stage, unicode=screen.unicode):
            screen.say(line)
    conclude(system, detail, output, screen)


@click.command(
    "watch",
    cls=Command,
    examples=("shipway run watch @last", "shipway run watch 12 --timeout 10m --json"),
)
@reference
@click.option("--wait", is_flag=True, help="Keep watching while a person has to answer.")
@click.option("--timeout", metavar="TIME", help="Stop watching after 90s, 5m, 1h.")
@click.option("--quiet", "-q", is_flag=True, help="Say only how it ended.")
@speaks
def watch(output: Output, ref: str, wait: bool, timeout: str | None, quiet: bool) -> int:
    """Follow a run to its end; the exit code says how it ended."""
    from shipway.cli.follow import Wish, follow
    from shipway.cli.session import opened

    limit = None if timeout is None else inputs.seconds(timeout)
    with opened(output) as system:
        run = found(system, ref).summary.id
        return follow(system, run, output, Wish(limit, wait, quiet, carry=False))


@click.command(
    "diff", cls=Command, examples=("shipway run diff @last", "shipway run diff 12 > change.patch")
)
@reference
@speaks
def diff(output: Output, ref: str) -> None:
    """Print the change that a run made, as a patch that git can apply."""
    from shipway.cli.session import opened

    with opened(output) as system:
        detail = found(system, ref)
        data = system.queries.diff(detail.summary.id)
    if output.json:
        output.emit({"run": detail.summary.id, "diff": data.decode("utf-8", "replace")})
    elif not data:
        output.note(f"run {detail.summary.number} has made no change")
    elif sys.stdout.isatty():
        _coloured_diff(output, data)
    else:
        write_bytes(data)


def _coloured_diff(output: Output, data: bytes) -> None:
    from shipway.cli.render import Screen

    screen = Screen(sys.stdout, output.color)
    styles = {"+": "green", "-": "red", "@": "cyan", "d": "bold"}
    for line in data.decode("utf-8", "replace").splitlines():
        screen.say([Part(clean(line), styles.get(line[:1], ""))])


def found(system: Session, ref: str) -> RunDetail:
    """The run that a person means; raises NotFoundError with what they may have meant."""
    try:
        return system.queries.run(ref)
    except NotFoundError as error:
        known = system.queries.runs(limit=200)
        words = [str(run.number) for run in known] + [run.id for run in known]
        near = difflib.get_close_matches(ref, words, n=1, cutoff=0.5)
        hint = f'did you mean {near[0]}? list the runs with "shipway run list"' if near else None
        raise NotFoundError(error.message, hint=hint or error.hint) from None
