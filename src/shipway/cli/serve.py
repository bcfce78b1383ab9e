"""``shipway serve``: the engine and the HTTP API in one process, for this machine only."""

from __future__ import annotations

import sys

import click

from shipway.cli.command import Command, speaks
from shipway.cli.output import Output, write

_PORT = 7447


@click.command(
    cls=Command,
    examples=("shipway serve", "shipway serve --port 0 --json"),
)
@click.option("--host", default="127.0.0.1", metavar="ADDRESS", help="Loopback addresses only.")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=_PORT,
    show_default=True,
    help="0 lets the system choose.",
)
@click.option("--socket", "handed_over", is_flag=True, help="Listen on the socket in LISTEN_FDS.")
@speaks
def serve(output: Output, host: str, port: int, handed_over: bool) -> int:
    """Serve the HTTP API until SIGTERM or Ctrl-C, and carry all runs on meanwhile.

    Callers send the token in SHIPWAY_HOME/token. Ending takes at most 30 seconds: requests under
    way are answered, runs are kept and go on with the next start. A second signal hurries.
    """
    from shipway.cli.session import settings
    from shipway.server.sockets import check_loopback, inherited, own

    found = settings()
    listener = inherited() if handed_over else own(check_loopback(host), port)
    from shipway.server.serving import Serving

    def started(address: str) -> None:
        if output.json:
            output.emit({"url": address, "token": str(found.home / "token")})
        else:
            write(sys.stdout, f"serving {address}\n")
            output.note(f"  token: {found.home / 'token'}\n  Ctrl-C ends it in good order")
        sys.stdout.flush()

    return Serving(found, listener, started).run()
