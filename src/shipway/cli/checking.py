"""Runs a check for the command line and shows how it goes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from shipway.check.check import Asked, Watcher, check
from shipway.check.subject import Wanted
from shipway.cli import checktext
from shipway.cli.output import Output, one_line
from shipway.cli.render import Screen
from shipway.cli.session import settings
from shipway.contracts.check import CheckReport, Outcome
from shipway.domain.states import Claim
from shipway.errors import ExitCode, UsageError

CODES = {
    Outcome.ACCEPTED: ExitCode.DONE,
    Outcome.REJECTED: ExitCode.FAILED,
    Outcome.NOTHING: ExitCode.FAILED,
    Outcome.PERSON: ExitCode.WAITING,
}


def perform(output: Output, head: str | None, repo: Path, **given: Any) -> int:
    """Check, show, and give the exit code of the outcome."""
    from shipway.bootstrap import check_equipment

    if given["patch"] is not None and head is not None:
        raise UsageError("--patch is the head", hint="leave the other one out")
    patch = given["patch"].read() if given["patch"] is not None else None
    claim = Claim(given["claim"]) if given["claim"] else None
    asked = Asked(
        repository=repo,
        wanted=Wanted(base=given["base"], head=head, patch=patch),
        claim=claim,
        gates=tuple(given["gates"]),
    )
    equipment = check_equipment(settings())
    screen = Screen(sys.stderr, output.color)
    watcher = Watcher(
        say=lambda line: output.note(f"  {one_line(line)}") if screen.live else None,
        judged=lambda one: screen.say(checktext.streamed(one, unicode=screen.unicode)),
    )
    report = check(asked, equipment, watcher)
    show(output, report, equipment.shelf.read)
    return CODES[report.outcome]


def show(output: Output, report: CheckReport, read: Any) -> None:
    """The report in the asked form."""
    if output.json:
        output.emit(report.model_dump(mode="json"))
        return
    screen = Screen(sys.stdout, output.color)
    for line in checktext.lines(report, read, unicode=screen.unicode):
        screen.say(line)
