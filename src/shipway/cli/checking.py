"""Runs a check for the command line and shows how it goes."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from shipway.check.check import Asked, Watcher, check
from shipway.check.equipment import Ears, Equipment
from shipway.check.equipment import equipment as equip
from shipway.check.subject import Wanted
from shipway.cli import checktext
from shipway.cli.output import Output, one_line, write, write_bytes
from shipway.cli.render import Screen
from shipway.cli.session import settings
from shipway.contracts.check import CheckReport, Outcome
from shipway.domain.states import Claim
from shipway.engine.places import Places
from shipway.errors import ExitCode, UsageError
from shipway.flags.opening import flags_now

CODES = {
    Outcome.ACCEPTED: ExitCode.DONE,
    Outcome.REJECTED: ExitCode.FAILED,
    Outcome.NOTHING: ExitCode.FAILED,
    Outcome.PERSON: ExitCode.WAITING,
}


def perform(output: Output, head: str | None, repo: Path, **given: Any) -> int:
    """Check, show, and give the exit code of the outcome."""
    asked = _asked(head, repo, given)
    if output.json and given["form"]:
        raise UsageError(
            "--json is one form and " + f"--{given['form']} another", hint="choose one"
        )
    found = settings()
    flags = flags_now(found, Places(found.home).database)
    equipment = replace(equip(found), flags=flags)
    if given["verify"] is not None:
        return _verified(output, given["verify"].read(), asked, equipment)
    if given["explain"]:
        return _explained(output, asked, equipment)
    if output.json or given["form"]:
        report = check(asked, equipment, _quiet(output))
        _write(output, report, given["form"])
    else:
        report = _told(output, asked, equipment)
    return CODES[report.outcome]


def _write(output: Output, report: CheckReport, form: str | None) -> None:
    """The report for another program."""
    from shipway.check import formats

    match form:
        case "sarif":
            output.emit(formats.sarif(report))
        case "junit":
            write_bytes(formats.junit(report) + b"\n")
        case "markdown":
            write(sys.stdout, formats.markdown(report))
        case _:
            output.emit(report.model_dump(mode="json"))


def _explained(output: Output, asked: Asked, equipment: Equipment) -> int:
    """Which gates apply and why, before anything is judged."""
    report = check(replace(asked, run=False), equipment, _quiet(output))
    if output.json:
        output.emit([one.model_dump(mode="json") for one in report.selections])
        return ExitCode.DONE
    screen = Screen(sys.stdout, output.color)
    for line in checktext.explained(report):
        screen.say(line)
    return ExitCode.DONE


def _verified(output: Output, data: bytes, asked: Asked, equipment: Equipment) -> int:
    """Whether evidence holds: 0 when everything that decides came out the same."""
    from shipway.check import verify

    said = verify.read(data)
    found = verify.verify(said, asked, equipment, _quiet(output))
    if output.json:
        output.emit(
            {
                "agrees": not found.differences,
                "differences": found.differences,
                "report": found.report.model_dump(mode="json"),
            }
        )
    else:
        screen = Screen(sys.stdout, output.color)
        for line in checktext.compared(said, found.differences):
            screen.say(line)
    return ExitCode.FAILED if found.differences else ExitCode.DONE


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
