"""``shipway worker``: takes work of a fleet in this process; ``shipway worker list``: who is there."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from shipway.cli.command import Group, speaks
from shipway.cli.lines import Part
from shipway.cli.output import Output, write

if TYPE_CHECKING:
    from shipway.contracts.fleet import WorkerView


@click.group(
    cls=Group,
    invoke_without_command=True,
    usages=("[OPTIONS]", "list [OPTIONS]"),
    examples=(
        "shipway worker",
        "shipway worker --capability plan --capability implement --concurrency 4",
        "shipway worker list",
    ),
)
@click.option(
    "--capability",
    "capabilities",
    multiple=True,
    metavar="NAME",
    help="What to do; may be given several times (default: everything that is installed).",
)
@click.option(
    "--concurrency",
    type=click.IntRange(1, 64),
    metavar="N",
    help="Attempts of each capability at the same time (default: SHIPWAY_MAX_ATTEMPTS_AT_ONCE).",
)
@speaks
def worker(output: Output, capabilities: tuple[str, ...], concurrency: int | None) -> int | None:
    """Take orders of a fleet and do them, until SIGTERM or Ctrl-C.

    It needs SHIPWAY_DATABASE_URL and the fleet's SHIPWAY_HOME; SHIPWAY_WORKER_HEALTH_PORT is where
    its own /health, /health/ready and /metrics are. Asked to stop, it takes nothing new,
    lets what is in hand finish (SHIPWAY_WORKER_GRACE_S), and hands the rest back to the others. A
    second signal hands back at once.
    """
    if click.get_current_context().invoked_subcommand is not None:
        return None
    from shipway.bootstrap.workers import work
    from shipway.cli.session import settings
    from shipway.lifecycle import ends

    def ready(name: str, serves: list[str], health: str) -> None:
        if output.json:
            output.emit({"worker": name, "serves": serves, "health": health})
        else:
            write(sys.stdout, f"{name} serves {', '.join(serves)}\n")
            output.note(f"  health: {health}")
        sys.stdout.flush()

    return ends(work(settings(), capabilities, concurrency, ready))


@worker.command("list", examples=("shipway worker list", "shipway worker list --json"))
@speaks
def list_(output: Output) -> None:
    """List the engines and workers of the fleet, the longest serving first."""
    from shipway.cli.session import crew

    with crew(output) as found:
        rows = found.workers()
    if output.json:
        output.emit([row.model_dump(mode="json") for row in rows])
    elif not rows:
        output.note("nobody is there\n  next: shipway serve, and shipway worker on any machine")
    else:
        show(output, rows)


def show(output: Output, rows: list[WorkerView]) -> None:
    from shipway.cli.render import Screen

    screen = Screen(sys.stdout, output.color)
    heads = ("id", "kind", "host", "state", "serves (busy/limit)", "version", "seen")
    screen.table(heads, [_row(row, unicode=screen.unicode) for row in rows], give=4)


def _row(row: WorkerView, *, unicode: bool) -> list[Part]:
    from shipway.cli import runtext

    state = "silent" if not row.alive else "draining" if row.draining else "working"
    icon = runtext.mark(_STATES[state], unicode=unicode)
    serves = ", ".join(
        f"{each.capability} {each.busy}/{each.limit}" for each in row.serves if each.limit
    )
    return [
        Part(row.id[:8], "bold"),
        Part(row.kind),
        Part(f"{row.host}:{row.pid}"),
        Part(f"{icon.text} {state}", icon.style),
        Part(serves),
        Part(row.version, "dim"),
        Part(f"{row.silent:.0f} s ago", "dim"),
    ]


_STATES = {"working": "running", "draining": "paused", "silent": "quarantined"}
