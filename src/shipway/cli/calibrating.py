"""Runs a calibration for the command line, shows each trial as it ends, and the table."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from shipway.check.calibration import history
from shipway.check.calibration.calibrate import Listener, Wish, calibrate
from shipway.check.calibration.manifest import load
from shipway.check.equipment import equipment as equip
from shipway.cli.lines import Line, Part
from shipway.cli.output import Output, one_line
from shipway.cli.render import Screen
from shipway.cli.session import settings
from shipway.cli.words import duration, plural
from shipway.contracts.calibration import CalibrationReport, Share, Trial, VariantTotals, Wrong
from shipway.contracts.check import Outcome
from shipway.errors import ExitCode, NotFoundError

HEADS = ("variant", "n", "accepted", "rejected", "person", "median", "decided by")
_SIGNS = {
    Outcome.ACCEPTED: "accepted", Outcome.REJECTED: "rejected", Outcome.NOTHING: "rejected",
    Outcome.PERSON: "person", None: "failed",
}  # fmt: skip


def perform(output: Output, path: Path, **given: Any) -> int:
    """Judge, show, and give the exit code."""
    corpus = load(path)
    equipment = equip(settings())
    wish = Wish(
        cases=tuple(given["cases"]),
        variants=tuple(given["variants"]),
        at_once=given["jobs"] or max(1, len(os.sched_getaffinity(0))),
        again=given["again"],
        only_known=given["known"],
    )
    report = calibrate(corpus, wish, equipment, _listener(output))
    if output.json:
        output.emit(report.model_dump(mode="json"))
    else:
        _show(Screen(sys.stdout, output.color), report)
    if report.missing:
        return ExitCode.STILL_GOING
    return ExitCode.FAILED if report.wrong else ExitCode.DONE


def gather(output: Output, repository: Path, since: str, most: int) -> int:
    """A corpus from a history, on stdout; raises NotFoundError when there is nothing in it."""
    found = history.fixes(repository, since, most)
    if not found:
        raise NotFoundError(
            f"no commit since {since} says that it mends something, and changes source and tests",
            hint="look further back with --since",
        )
    if output.json:
        output.emit([asdict(one) for one in found])
    else:
        sys.stdout.write(history.manifest(repository, found))
    return ExitCode.DONE


def _listener(output: Output) -> Listener:
    """Each trial on stderr: the data is the table."""
    screen = Screen(sys.stderr, output.color)

    def begun(known: int, whole: int) -> None:
        before = f", {known} known from an earlier time" if known else ""
        screen.say([Part(f"{plural(whole, 'trial')}{before}", "dim")])

    def judged(trial: Trial, number: int, whole: int) -> None:
        screen.say(
            [
                Part(f"{number:>{len(str(whole))}}/{whole}  ", "dim"),
                Part(_SIGNS[trial.outcome], "", 10),
                Part(trial.variant, "", 17),
                Part(one_line(trial.case), "", 26),
                Part(f"{duration(trial.seconds):>7}  ", "dim"),
                Part(one_line(f"{trial.gates[0]}: {trial.why}" if trial.gates else "")[:90], "dim"),
            ]
        )

    return Listener(begun, judged)


def _show(screen: Screen, report: CalibrationReport) -> None:
    if report.variants:
        screen.table(HEADS, [_row(one) for one in report.variants], give=6)
    for line in _conclusion(report):
        screen.say(line)


def _row(one: VariantTotals) -> list[Part]:
    good = one.kind == "good"
    wrong = one.rejected if good else one.accepted
    decided = ", ".join(f"{gate} {count}" for gate, count in one.decided_by.items())
    return [
        Part(one.variant),
        Part(str(one.judged)),
        Part(_share(one.accepted), "red" if not good and wrong.count else ""),
        Part(_share(one.rejected), "red" if good and wrong.count else ""),
        Part(_share(one.person)),
        Part(duration(one.median_seconds)),
        Part(decided),
    ]


def _share(one: Share) -> str:
    return f"{one.count} ({one.low:g} to {one.high:g} %)"


def _conclusion(report: CalibrationReport) -> Iterator[Line]:
    yield []
    for label, share in (
        ("good changes rejected      ", report.gold_rejected),
        ("good changes for a person  ", report.gold_person),
        ("bad changes accepted       ", report.false_accepts),
        ("mutants not accepted       ", report.mutant_kill_rate),
    ):
        yield [
            Part(label, "dim"), Part(f"{share.count}, {share.share:g} %"),
            Part(f"  (95 %: {share.low:g} to {share.high:g} %)", "dim"),
        ]  # fmt: skip
    if report.absent:
        yield [Part(f"{plural(report.absent, 'variant')} could not be made of their case", "dim")]
    if report.missing:
        yield [
            Part(f"{plural(report.missing, 'trial')} not judged yet", "bold yellow"),
            Part("; the same command goes on", "dim"),
        ]
    for title, found in (("came out wrong", report.wrong), ("survived", report.survivors)):
        if found:
            yield []
            yield [Part(f"{len(found)} {title}", "bold")]
            for one in found:
                yield from _wrong(one)


def _wrong(one: Wrong) -> Iterator[Line]:
    said = one.outcome.value if one.outcome else "could not be judged"
    yield [
        Part(f"  {one_line(one.case)} {one.variant}", "bold"),
        Part(f"  {said}, not {one.expected.removeprefix('not ')}" if said else ""),
    ]
    yield [Part(f"    {one_line(f'{one.gates[0]}: {one.why}' if one.gates else one.why)}", "dim")]
    yield [Part(f"    repeat it: {one_line(one.repeat)}")]
