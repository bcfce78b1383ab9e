"""``shipway dev``: an engine and a worker in one process, until it is asked to end."""

from __future__ import annotations

import sys

import click

from shipway.cli.command import Command, speaks
from shipway.cli.output import Output, write


@click.command(cls=Command, examples=("shipway dev", "shipway dev --json"))
@speaks
def dev(output: Output) -> int:
    """Carry runs on in this process: an engine and every agent that is installed.

    Over PostgreSQL (SHIPWAY_DATABASE_URL) it is a fleet of one, which others may join; without, it
    is the engine of this SHIPWAY_HOME. Ctrl-C or SIGTERM ends it in good order.
    """
    from shipway.bootstrap.dev import develop
    from shipway.cli.session import settings
    from shipway.lifecycle import ends

    def ready(what: str) -> None:
        if output.json:
            output.emit({"carries": what})
        else:
            write(sys.stdout, f"carrying the runs of {what}\n")
        sys.stdout.flush()

    return ends(develop(settings(), ready))
