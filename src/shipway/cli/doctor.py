"""``shipway doctor``: whether this machine is ready, and what to do where it is not."""

from __future__ import annotations

import dataclasses
import sys
from typing import TYPE_CHECKING

import click

from shipway.cli.command import Command, speaks
from shipway.cli.lines import Part
from shipway.cli.output import Output, one_line
from shipway.errors import ExitCode

if TYPE_CHECKING:
    from shipway.health.ground import CheckResult


@click.command(cls=Command, examples=("shipway doctor", "shipway doctor --json"))
@speaks
def doctor(output: Output) -> int:
    """Check that this machine is ready; each thing that is not says what to do."""
    from shipway.bootstrap.doctor import doctor as examined
    from shipway.cli.session import settings

    results = examined(settings())
    failed = any(str(one.status) == "fail" for one in results)
    if output.json:
        output.emit([dataclasses.asdict(one) for one in results])
    else:
        _show(output, results)
    return ExitCode.FAILED if failed else ExitCode.DONE


def _show(output: Output, results: list[CheckResult]) -> None:
    from shipway.cli import runtext
    from shipway.cli.render import Screen

    screen = Screen(sys.stdout, output.color)
    names = max((len(one.name) for one in results), default=0)
    for one in results:
        status = str(one.status)
        screen.say(
            [
                runtext.mark(status, unicode=screen.unicode),
                runtext.word(status, 5),
                Part(one.name, "bold", names),
                Part(f"  {one_line(one.summary)}"),
            ]
        )
        if one.remedy and status != "pass":
            screen.say([Part(f"{'':{names + 9}}{one_line(one.remedy)}", "yellow")])
    counts = {
        word: sum(str(one.status) == word for one in results) for word in ("pass", "warn", "fail")
    }
    screen.say(", ".join(f"{count} {word}" for word, count in counts.items()))
