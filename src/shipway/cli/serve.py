"""``shipway serve``: the engine and the HTTP API in one process, for this machine only."""

from __future__ import annotations

import sys

import click

from shipway.cli.command import Command, speaks
from shipway.cli.output import Output, write


@click.command(
    cls=Command,
    examples=("shipway serve", "shipway serve --port 0 --json"),
)
@click.option("--host", metavar="ADDRESS", help="Loopback addresses only (SHIPWAY_HTTP_HOST).")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    help="0 lets the system choose (SHIPWAY_HTTP_PORT, or 7447).",
)
@click.option("--socket", "handed_over", is_flag=True, help="Listen on the socket in LISTEN_FDS.")
@speaks
def serve(output: Output, host: str | None, port: int | None, handed_over: bool) -> int:
    """Serve the HTTP API until SIGTERM or Ctrl-C, and carry all runs on meanwhile.

    Callers send the token in SHIPWAY_HOME/token. Ending takes at most 30 seconds: requests under
    way are answered, runs are kept and go on with the next start. A second signal hurries.
    """
    from shipway.cli.session import settings
    from shipway.server.sockets import check_loopback, inherited, own

    if host is not None:
        check_loopback(host)
    found = settings(http_host=host, http_port=port)
    listener = inherited() if handed_over else own(check_loopback(found.http_host), found.http_port)
    from shipway.lifecycle import ends
    from shipway.server.serving import Serving

    def started(address: str) -> None:
        if output.json:
            output.emit({"url": address, "token": str(found.home / "token")})
        else:
            write(sys.stdout, f"serving {address}\n")
            output.note(f"  token: {found.home / 'token'}\n  Ctrl-C ends it in good order")
        sys.stdout.flush()

    return ends(Serving(found, listener, started).run())
