"""``shipway engine``: the background process that carries runs on; other commands start it."""

from __future__ import annotations

import click

from shipway.cli.command import Command, speaks
from shipway.cli.output import Output


@click.command(cls=Command, hidden=True, examples=("shipway engine",))
@speaks
def engine(output: Output) -> None:
    """Carry the active runs on until none can move, then end."""
    from shipway.bootstrap.engines import serve
    from shipway.cli.session import settings
    from shipway.errors import ExitCode
    from shipway.lifecycle import ends

    serve(settings())
    ends(ExitCode.DONE)
