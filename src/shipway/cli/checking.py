"""Runs a check for the command line and shows how it goes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from shipway.check.check import Asked, Watcher, check
from shipway.check.setting import Ears, Equipment
from shipway.check.setting import equipment as equip
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
    asked = _asked(head, repo, given)
    equipment = equip(settings())
    if output.json:
        report = check(asked, equipment, _quiet(output))
        output.emit(report.model_dump(mode="json"))
    else:
        report = _told(output, asked, equipment)
    return CODES[report.outcome]


def _asked(head: str | None, repo: Path, given: dict[str, Any]) -> Asked:
    patch = given["patch"].read() if given["patch"] is not None else None
    if patch is not None and head is not None:
        raise UsageError("the patch is the head", hint="leave out HEAD, or --patch")
    return Asked(
        repository=repo,
        wanted=Wanted(base=given["base"], head=head, patch=patch),
        claim=Claim(given["claim"]) if given["claim"] else None,
        gates=tuple(given["gates"]),
        cached=not given["again"],
    )


def _quiet(output: Output) -> Watcher:
    """For other programs: each gate is told on stderr, so that a person sees something move."""
    screen = Screen(sys.stderr, output.color)
    return Watcher(
        judged=lambda one: screen.say(checktext.verdict(one, unicode=screen.unicode)),
        ears=_ears(output, live=False),
    )


def _ears(output: Output, *, live: bool) -> Ears:
    return Ears(
        say=(lambda line: output.note(f"  {one_line(line)}")) if live else lambda _line: None
    )


def _told(output: Output, asked: Asked, equipment: Equipment) -> CheckReport:
    """For a person: the verdicts as they come, then what went wrong and what to do."""
    screen = Screen(sys.stdout, output.color)

    def begun(report: CheckReport) -> None:
        for line in checktext.heading(report):
            screen.say(line)

    watcher = Watcher(
        begun=begun,
        judged=lambda one: screen.say(checktext.verdict(one, unicode=screen.unicode)),
        ears=_ears(output, live=Screen(sys.stderr, output.color).live),
    )
    report = check(asked, equipment, watcher)
    if report.outcome is Outcome.NOTHING:
        begun(report)
    for line in checktext.conclusion(report, equipment.shelf.read):
        screen.say(line)
    return report
