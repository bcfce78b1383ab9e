"""``shipway agent list|drain|resume``: the agents that a fleet serves, and letting workers rest."""

from __future__ import annotations

import sys

import click

from shipway.cli.command import Group, speaks
from shipway.cli.lines import Part
from shipway.cli.output import Output


@click.group(
    cls=Group,
    examples=("shipway agent list", "shipway agent drain deploy", "shipway agent resume deploy"),
)
@speaks
def agent(output: Output) -> None:
    """List the agents that a fleet serves; let workers drain and resume."""


@agent.command("list", examples=("shipway agent list", "shipway agent list --json"))
@speaks
def list_(output: Output) -> None:
    """List every agent that some worker serves now."""
    from shipway.cli.render import Screen
    from shipway.cli.session import crew

    with crew(output) as found:
        rows = found.agents()
    if output.json:
        output.emit([row.model_dump(mode="json") for row in rows])
    elif not rows:
        output.note("no worker is there\n  next: shipway worker")
    else:
        screen = Screen(sys.stdout, output.color)
        screen.table(
            ("capability", "agent", "versions", "workers", "draining", "busy/limit"),
            [
                [
                    Part(row.capability, "bold"),
                    Part(row.name),
                    Part(", ".join(map(str, row.versions))),
                    Part(str(row.workers)),
                    Part(str(row.draining)),
                    Part(f"{row.busy}/{row.limit}"),
                ]
                for row in rows
            ],
            give=1,
        )


@agent.command(
    "drain", examples=("shipway agent drain deploy", "shipway agent drain 5f2a91c0 --json")
)
@click.argument("ref", metavar="WORKER|CAPABILITY")
@speaks
def drain(output: Output, ref: str) -> None:
    """Let workers take nothing new: one by its id or name, or all that serve a capability.

    What they have in hand goes on to its end. They stay, and take work again when resumed.
    """
    _change(output, ref, draining=True)


@agent.command("resume", examples=("shipway agent resume deploy",))
@click.argument("ref", metavar="WORKER|CAPABILITY")
@speaks
def resume(output: Output, ref: str) -> None:
    """Let workers that drain take work again."""
    _change(output, ref, draining=False)


def _change(output: Output, ref: str, *, draining: bool) -> None:
    from shipway.cli.session import crew
    from shipway.cli.worker import show

    with crew(output) as found:
        rows = found.drain(ref, draining=draining)
    if output.json:
        output.emit([row.model_dump(mode="json") for row in rows])
    else:
        show(output, rows)
