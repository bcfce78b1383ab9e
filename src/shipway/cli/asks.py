"""``shipway inbox``, ``decide`` and ``answer``: what waits for a person, and the reply."""

from __future__ import annotations

import difflib
import sys
from typing import TYPE_CHECKING

import click

from shipway.cli.command import Command, speaks
from shipway.cli.completing import ask_references
from shipway.cli.lines import Part
from shipway.cli.output import Output, one_line, write
from shipway.cli.words import now
from shipway.errors import ConflictError, NotFoundError, UsageError

if TYPE_CHECKING:
    from shipway.cli.seam import Session
    from shipway.contracts.views import AskView, RunDetail

ask_reference = click.argument(
    "ref",
    metavar="RUN[/ASK]",
    shell_complete=ask_references,
    help="A run, and the ask if more than one is open.",
)


@click.command(cls=Command, examples=("shipway inbox", "shipway inbox --json"))
@speaks
def inbox(output: Output) -> None:
    """Show the decisions and questions that wait for a person, with the commands that answer."""
    from shipway.cli import runtext
    from shipway.cli.session import opened

    with opened(output) as system:
        asks = list(system.queries.inbox())
        runs = {ask.run: system.queries.run(ask.run) for ask in asks}
    if output.json:
        output.emit([runtext.as_json(ask) for ask in asks])
    elif asks:
        _show(output, asks, runs)
    else:
        write(sys.stdout, "Nothing waits for you.\n")


def _show(output: Output, asks: list[AskView], runs: dict[str, RunDetail]) -> None:
    from shipway.cli import runtext
    from shipway.cli.render import Screen

    screen = Screen(sys.stdout, output.color)
    for position, ask in enumerate(asks):
        if position:
            screen.say()
        detail = runs[ask.run]
        icon = runtext.mark("waiting", unicode=screen.unicode)
        screen.say(
            [
                icon,
                Part(f"{ask.kind} {detail.summary.number}/{ask.id}", "bold"),
                Part(f"  {runtext.title(detail)}  (stage {ask.stage})", "dim"),
            ]
        )
        screen.fields(runtext.ask_fields(ask, detail.summary.number, now()))


@click.command(
    cls=Command,
    examples=(
        "shipway decide 12 approve",
        'shipway decide 12/accept-unimplemented reject -m "we need the search first"',
    ),
)
@ask_reference
@click.argument("choice", metavar="approve|reject|OPTION")
@click.option("--comment", "-m", metavar="WHY", default="", help="Why; it is kept with the run.")
@speaks
def decide(output: Output, ref: str, choice: str, comment: str) -> None:
    """Make a decision that a run waits for; it is bound to exactly what was asked."""
    from shipway.cli.session import opened, person

    with opened(output) as system:
        detail, ask = _asked(system, ref, "decision")
        if choice not in ask.options:
            raise _no_option(ask, choice)
        system.commands.decide(detail.summary.id, ask.id, choice, person(), comment)
        _goes_on(system, detail, ask, choice, output)


@click.command(
    cls=Command, examples=("shipway answer 12 cursor", "shipway answer 12/paging 'page and size'")
)
@ask_reference
@click.argument("value")
@speaks
def answer(output: Output, ref: str, value: str) -> None:
    """Answer a question that a run waits for."""
    from shipway.cli.session import opened, person

    if not value.strip():
        raise UsageError("the answer is empty", hint='say it: shipway answer 12 "cursor"')
    with opened(output) as system:
        detail, ask = _asked(system, ref, "clarification")
        if ask.options and value not in ask.options:
            raise _no_option(ask, value)
        system.commands.answer(detail.summary.id, ask.id, value, person())
        _goes_on(system, detail, ask, value, output)


def _goes_on(system: Session, detail: RunDetail, ask: AskView, reply: str, output: Output) -> None:
    from shipway.cli import runtext

    run, number = detail.summary.id, detail.summary.number
    system.detach(run)
    after = system.queries.run(run)
    if output.json:
        output.emit(runtext.as_json(after))
        return
    write(sys.stdout, f"{number}/{ask.id}: {one_line(reply)}, recorded as {ask.kind}\n")
    if not after.summary.status.is_final:
        output.note(f"run {number} goes on in the background\n  next: shipway run watch {number}")


def _no_option(ask: AskView, given: str) -> UsageError:
    near = difflib.get_close_matches(given, ask.options, n=1)
    listed = f"its options are {', '.join(ask.options)}"
    return UsageError(
        f'"{one_line(given)}" is not an option of {ask.id}',
        hint=f"did you mean {near[0]}? {listed}" if near else listed,
    )


def _asked(system: Session, ref: str, kind: str) -> tuple[RunDetail, AskView]:
    """The ask that a person means; raises when there is none, or more than one to choose from."""
    from shipway.cli.runs import found
    from shipway.cli.runtext import open_asks

    run, _, name = ref.partition("/")
    detail = found(system, run)
    number = detail.summary.number
    answered = next((one for one in detail.asks if one.id == name and one.answered), None)
    if answered is not None:
        raise ConflictError(
            f"{number}/{name} was answered already: {answered.answered}"
            f" by {answered.answered_by} at {answered.answered_at}",
            hint=f'see "shipway run view {number}"',
        )
    asks = [one for one in open_asks(detail) if one.id.startswith(name)]
    exact = [one for one in asks if one.id == name]
    return detail, _right_kind(_only(exact or asks, detail, name), kind, number)


def _only(asks: list[AskView], detail: RunDetail, name: str) -> AskView:
    number = detail.summary.number
    if len(asks) == 1:
        return asks[0]
    if asks:
        raise UsageError(
            f"run {number} waits for more than one answer",
            hint="say which: " + ", ".join(f"{number}/{one.id}" for one in asks),
        )
    what = f'has no open ask "{one_line(name)}"' if name else "waits for no answer"
    raise NotFoundError(f"run {number} {what}", hint='what waits is listed by "shipway inbox"')


def _right_kind(ask: AskView, kind: str, number: int) -> AskView:
    if ask.kind != kind:
        verb = "decide" if ask.kind == "decision" else "answer"
        raise UsageError(
            f"{number}/{ask.id} is a {ask.kind}, not a {kind}",
            hint=f"shipway {verb} {number}/{ask.id} {ask.options[0] if ask.options else 'VALUE'}",
        )
    return ask
