"""``shipway health``: the checks of a serving process, asked once or again and again from here."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from shipway.cli import runtext
from shipway.cli.command import Command, speaks
from shipway.cli.lines import Line, Part
from shipway.cli.output import Output, one_line, write
from shipway.cli.session import connected, opened_here, server_url
from shipway.errors import ExitCode
from shipway.health.monitor import Monitor

Look = Callable[[], dict[str, Any]]


@click.command(
    cls=Command,
    examples=("shipway health", "shipway health --watch", "shipway health --json"),
)
@click.option("--watch", is_flag=True, help="Ask again every second until Ctrl-C.")
@speaks
def health(output: Output, watch: bool) -> int:
    """Ask every health check, as a serving process does; exit code 1 when it would not be ready."""
    with _asking(output, watch=watch) as look:
        if watch:
            return _watched(output, look)
        told = look()
    if output.json:
        output.emit(told)
    else:
        _show(output, told)
    return ExitCode.FAILED if told["status"] == "fail" else ExitCode.DONE


@contextmanager
def _asking(output: Output, *, watch: bool) -> Iterator[Look]:
    """What the server at SHIPWAY_URL says of itself; without one, checks that are asked from here."""
    if url := server_url():
        with connected(url) as (client, _):
            yield client.health
        return
    from shipway import __version__
    from shipway.bootstrap.health import health_of

    with opened_here(output, progress=False) as system:
        monitor = Monitor(health_of(system), __version__)
        if watch:
            monitor.start()
        else:
            asyncio.run(monitor.once())
        try:
            yield lambda: json.loads(monitor.detailed().body)
        finally:
            monitor.stop()


def _watched(output: Output, look: Look) -> int:
    """One picture that is drawn again in place; one line for each change when nobody can see that."""
    from shipway.cli.render import Screen

    screen = Screen(sys.stdout, output.color)
    if screen.live and not output.json:
        drawing = screen.drawing(lambda _width: _lines(look(), unicode=screen.unicode))
        drawing.open()
        try:
            while True:
                time.sleep(1)
        finally:
            drawing.close()
    told: dict[str, Any] = {}
    while True:
        before, told = told, look()
        _tell_changes(output, before, told)
        time.sleep(0.5)


def _tell_changes(output: Output, before: dict[str, Any], now: dict[str, Any]) -> None:
    known = {name: one[0]["status"] for name, one in before.get("checks", {}).items()}
    for name, (one,) in now["checks"].items():
        if one.get("output") == "not asked yet" or known.get(name) == one["status"]:
            continue
        if output.json:
            write(sys.stdout, json.dumps({"check": name, **one}) + "\n")
        else:
            write(
                sys.stdout,
                f"{one['time']} {one['status']} {name} {one_line(one.get('output', ''))}\n",
            )


def _show(output: Output, told: dict[str, Any]) -> None:
    from shipway.cli.render import Screen

    screen = Screen(sys.stdout, output.color)
    for line in _lines(told, unicode=screen.unicode):
        screen.say(line)


def _lines(told: dict[str, Any], *, unicode: bool) -> list[Line]:
    names = max((len(name) for name in told["checks"]), default=0)
    lines: list[Line] = []
    for name, (one,) in told["checks"].items():
        status = one["status"]
        value = f"{one['observedValue']} {one['observedUnit']}" if "observedValue" in one else ""
        needed = "" if one["required_for_ready"] else "  not required"
        lines.append(
            [
                runtext.mark(status, unicode=unicode),
                runtext.word(status, 5),
                Part(name, "bold", names),
                Part(f"  {one_line(one.get('output') or value)}"),
                Part(needed, "dim"),
            ]
        )
        if "remedy" in one:
            lines.append([Part(f"{'':{names + 9}}{one_line(one['remedy'])}", "yellow")])
    lines.append([Part(f"{told['status']}: "), Part(_MEANING[told["status"]], "dim")])
    return lines


_MEANING = {
    "pass": "ready for traffic",
    "warn": "ready for traffic, and something is worth a look",
    "fail": "not ready for traffic",
}
