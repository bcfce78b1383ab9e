"""Follows a run to its end or to its rest, and stops in good order when it is interrupted."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING

from shipway.cli import runtext
from shipway.cli.boundary import Terminated, heard, show
from shipway.cli.lines import plain
from shipway.cli.words import now
from shipway.errors import ExitCode, ShipwayError

if TYPE_CHECKING:
    from pathlib import Path

    from shipway.cli.lines import Line
    from shipway.cli.output import Output
    from shipway.cli.progress import Progress
    from shipway.cli.render import Screen
    from shipway.cli.seam import Session, Watching
    from shipway.contracts.views import RunDetail

_LOOK_AGAIN = 0.3


@dataclass(frozen=True, slots=True)
class Wish:
    """How a person wants to follow: for how long, through questions, how loudly.

    ``carry``: Ctrl-C stops the run in good order; without it, it stops the watching only.
    """

    timeout: float | None = None
    wait: bool = False
    quiet: bool = False
    carry: bool = True


def follow(system: Session, run: str, output: Output, wish: Wish) -> int:
    """Watch the run until it ends or rests, say how it ended, and return the exit code for it."""
    from shipway.cli.progress import progress_for
    from shipway.cli.render import Screen

    # With --json stdout is for the one document at the end; what happens meanwhile is for people.
    screen = Screen(sys.stderr if output.json else sys.stdout, output.color)
    quiet = wish.quiet or (output.json and not screen.live)
    foot = "Ctrl-C stops it in good order" if wish.carry else "Ctrl-C stops watching, not the run"
    with system.host() as host:
        try:
            with progress_for(screen, foot, quiet=quiet) as progress:
                detail = _waited(system, host, run, progress, wish)
        except (KeyboardInterrupt, Terminated) as stop:
            heard()
            return _stopped(system, host, run, stop, carry=wish.carry)
    if detail is None:
        return _still_going(system, run, output, screen)
    conclude(system, detail, output, screen)
    return exit_code(detail)


def _waited(
    system: Session, host: Watching, run: str, progress: Progress, wish: Wish
) -> RunDetail | None:
    """Until it is over, or rests; with ``--wait`` also through its questions. None: time is up."""
    end = None if wish.timeout is None else time.monotonic() + wish.timeout
    while True:
        left = None if end is None else max(0.0, end - time.monotonic())
        try:
            detail = host.wait(run, on_change=progress.update, timeout=left)
        except TimeoutError:
            return None
        progress.update(detail)
        if detail.summary.status.is_final or not wish.wait:
            return detail
        if not _answered(system, run, end):
            return None


def _answered(system: Session, run: str, end: float | None) -> bool:
    """Wait until the run no longer rests; False when the time is up first."""
    while system.queries.status(run).value in {"waiting", "paused"}:
        if end is not None and time.monotonic() >= end:
            return False
        time.sleep(_LOOK_AGAIN)
    return True


def exit_code(detail: RunDetail) -> int:
    """0 it succeeded, 1 it did not, 3 a person has to act, 8 it is still going."""
    match detail.summary.status.value:
        case "succeeded":
            return ExitCode.DONE
        case "waiting" | "paused":
            return ExitCode.WAITING
        case "failed" | "cancelled" | "quarantined":
            return ExitCode.FAILED
        case _:
            return ExitCode.STILL_GOING


def conclude(system: Session, detail: RunDetail, output: Output, screen: Screen) -> None:
    """The last words on a run: the JSON document, or the summary for people."""
    if output.json:
        output.emit(runtext.as_json(detail))
        return
    screen.say()
    screen.say(runtext.outcome(detail, now(), unicode=screen.unicode))
    screen.fields(runtext.closing(detail, report_files(system, detail)))
    for ask in runtext.open_asks(detail):
        screen.say()
        screen.fields(runtext.ask_fields(ask, detail.summary.number, now()))


def report_files(system: Session, detail: RunDetail) -> dict[str, Path]:
    """Where the report and the evidence of a run are, as far as they are written."""
    from shipway.engine.places import Places

    places, run = Places(system.settings.home), detail.summary.id
    paths = {"report": places.report(run), "evidence": places.evidence(run)}
    return {name: path for name, path in paths.items() if path.is_file()}


def _still_going(system: Session, run: str, output: Output, screen: Screen) -> int:
    system.detach(run)
    detail = system.queries.run(run)
    number = detail.summary.number
    if output.json:
        output.emit(runtext.as_json(detail))
    line: Line = runtext.outcome(detail, now(), unicode=screen.unicode)
    output.note(
        f"{plain(line).strip()}; the time is up and it goes on in the background\n"
        f"  next: shipway run watch {number}"
    )
    return ExitCode.STILL_GOING


def _stopped(system: Session, host: Watching, run: str, stop: BaseException, *, carry: bool) -> int:
    """Stop the run in good order; a second Ctrl-C ends us at once, which loses nothing."""
    code = ExitCode.TERMINATED if isinstance(stop, Terminated) else ExitCode.INTERRUPTED
    _on_signal(lambda: _leave(code))
    number = system.queries.run(run).summary.number
    if not carry:
        _tell(
            f"\nno longer watching run {number}; it goes on\n  next: shipway run watch {number}\n"
        )
        return code
    _tell(f"\nstopping run {number} in good order; press Ctrl-C again to leave at once\n")
    try:
        host.drain()
    except ShipwayError as error:
        show(error, json=False)
    status = system.queries.status(run)
    verb = "view" if status.is_final else "resume"
    _tell(f"run {number} is {status.value}; nothing is lost\n  next: shipway run {verb} {number}\n")
    return code


def _tell(text: str) -> None:
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        return  # the terminal went away, which may be why we stop


def _leave(code: int) -> None:
    if sys.stdout.isatty():
        os.write(sys.stdout.fileno(), b"\x1b[?25h")  # the live display may have hidden the cursor
    os._exit(code)


def _on_signal(action: Callable[[], None]) -> None:
    def act(_number: int, _frame: FrameType | None) -> None:
        action()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, act)
