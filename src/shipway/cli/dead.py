"""``shipway dead list|view|replay|discard``: orders that nobody could do, and what becomes of them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from shipway.cli.command import Group, speaks
from shipway.cli.lines import Field, Part
from shipway.cli.output import Output, clean, one_line, write
from shipway.cli.words import ago, now, plural
from shipway.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from shipway.cli.seam import Session
    from shipway.contracts.views import DeadLetterDetail, DeadLetterView, ItemResult
    from shipway.store.dead import Which

_STATES = {"dead": "failed", "replayed": "passed", "discarded": "skipped"}
_AT_ONCE = 10_000


@click.group(
    cls=Group,
    examples=(
        "shipway dead list",
        "shipway dead view 3",
        "shipway dead replay --all --code NETWORK",
        "shipway dead discard 3 -m 'the service is gone'",
    ),
)
@speaks
def dead(output: Output) -> None:
    """List, view, replay and discard orders that nobody could do.

    An order comes here when its attempts are used up, when it killed the process that worked on
    it, or when an agent crashed. A gate that fails or a decision that is refused does not.
    """


def _filters(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say which letters are meant."""
    for option, metavar, text in (
        ("--capability", "NAME", "Only of this capability."),
        ("--code", "CODE", "Only with this error code."),
        ("--stage", "STAGE", "Only of this stage."),
        ("--run", "RUN", "Only of this run: a number, the beginning of an id, or @last."),
    ):
        function = click.option(option, metavar=metavar, help=text)(function)
    return function


@dead.command(
    "list", examples=("shipway dead list", "shipway dead list --code NETWORK --state any --json")
)
@click.option(
    "--state",
    type=click.Choice(["dead", "replayed", "discarded", "any"]),
    default="dead",
    help="Which ones: those still dead (the default), or what became of others.",
)
@click.option(
    "--limit", "-n", type=click.IntRange(1, _AT_ONCE), default=100, help="At most so many."
)
@_filters
@speaks
def list_(output: Output, state: str, limit: int, **which: str | None) -> None:
    """List dead letters, the oldest first."""
    from shipway.cli import runtext
    from shipway.cli.session import opened

    with opened(output) as system:
        found = system.letters.list(_which(system, state, which), limit=limit)
    if output.json:
        output.emit([runtext.as_json(one) for one in found])
    elif found:
        _table(output, found)
    else:
        output.note("no dead letters")


def _which(system: Session, state: str, given: dict[str, str | None]) -> Which:
    from shipway.store.dead import Which

    run = given["run"]
    return Which(
        state=None if state == "any" else state,
        run=None if run is None else system.queries.resolve(run),
        stage=given["stage"],
        code=given["code"],
        capability=given["capability"],
    )


def _table(output: Output, found: list[DeadLetterView]) -> None:
    from shipway.cli.render import Screen

    screen = Screen(sys.stdout, output.color)
    heads = ("dead", "state", "run", "stage", "code", "what happened", "since")
    screen.table(heads, [_row(one, unicode=screen.unicode) for one in found], give=5)


def _row(one: DeadLetterView, *, unicode: bool) -> list[Part]:
    from shipway.cli import runtext

    icon = runtext.mark(_STATES[one.state], unicode=unicode)
    return [
        Part(str(one.number), "bold"),
        Part(f"{icon.text} {one.state}", icon.style),
        Part(str(one.run_number)),
        Part(one_line(one.stage)),
        Part(one_line(one.code)),
        Part(one_line(one.message)),
        Part(ago(one.at, now()), "dim"),
    ]


@dead.command("view", examples=("shipway dead view 3", "shipway dead view 3 --json"))
@click.argument("number", type=click.IntRange(1))
@speaks
def view(output: Output, number: int) -> None:
    """Show one: what was asked for, what became of each attempt, and what to type next."""
    from shipway.cli import runtext
    from shipway.cli.render import Screen
    from shipway.cli.session import opened

    with opened(output) as system:
        detail = system.letters.view(number)
    if output.json:
        output.emit(runtext.as_json(detail))
        return
    screen = Screen(sys.stdout, output.color)
    letter = detail.letter
    screen.say(
        [
            runtext.mark(_STATES[letter.state], unicode=screen.unicode),
            Part(f"dead letter {letter.number} ", "bold"),
            Part(f"{letter.state}  run {letter.run_number}, stage {one_line(letter.stage)}"),
            Part(f"  {one_line(letter.title)}", "dim"),
        ]
    )
    screen.fields(_fields(detail))


def _fields(detail: DeadLetterDetail) -> list[Field]:
    letter = detail.letter
    fields = [
        Field("why", [Part(f"[{letter.code}] {one_line(letter.message)}", "red")], prose=True)
    ]
    for attempt in detail.history:
        why = f": [{attempt.error.code}] {one_line(attempt.error.message)}" if attempt.error else ""
        when = attempt.ended_at or attempt.started_at or attempt.queued_at or ""
        words = f"{attempt.attempt} {attempt.status}, token {attempt.token}, {when}{why}"
        fields.append(Field("attempt", [Part(words)], prose=True))
    last = next((one.error for one in reversed(detail.history) if one.error), None)
    if last is not None and last.log_tail:
        lines = clean(last.log_tail).rstrip().splitlines()[-10:]
        fields += [Field("log", [Part(line, "dim")]) for line in lines]
    if last is not None and last.reproduce:
        fields.append(Field("again", [Part(clean(last.reproduce))]))
    fields.append(Field("key", [Part(detail.key)]))
    fields.append(Field("trace", [Part(detail.trace, "dim")]))
    versions = ", ".join(f"{name} {version}" for name, version in detail.versions.items())
    fields.append(Field("versions", [Part(versions)]))
    asked = json.dumps(detail.payload.get("request", detail.payload), ensure_ascii=False)
    fields.append(Field("asked", [Part(one_line(asked), "dim")], prose=True))
    if letter.reason:
        fields.append(Field(letter.state, [Part(f"by {letter.by}: {one_line(letter.reason)}")]))
    fields += [Field("next", [Part(command, "bold")]) for command in detail.next_commands]
    return fields


@dead.command(
    "replay",
    examples=(
        "shipway dead replay 3 4",
        "shipway dead replay --all --capability implement",
        "shipway dead replay --all -m 'the network is back' --json",
    ),
)
@click.argument("numbers", type=click.IntRange(1), nargs=-1, metavar="[NUMBER]...")
@click.option("--all", "every", is_flag=True, help="Every one that the filters leave.")
@_filters
@click.option("--message", "-m", metavar="WHY", default="", help="Why; it is kept.")
@speaks
def replay(
    output: Output, numbers: tuple[int, ...], every: bool, message: str, **which: str | None
) -> int:
    """Do orders again: new attempts with new tokens, under the same keys.

    A receiver that knows the key of an effect does not do it twice.
    """
    from shipway.cli.session import opened, person

    with opened(output) as system:
        chosen = _chosen(system, numbers, every=every, which=which)
        results = system.commands.replay(chosen, by=person(), reason=message or "replayed")
        system.ensure_progress()
        return _report(output, results, "replayed")


@dead.command(
    "discard",
    examples=(
        "shipway dead discard 3 -m 'the service is gone'",
        "shipway dead discard --all --run 12 -m 'done by hand'",
    ),
)
@click.argument("numbers", type=click.IntRange(1), nargs=-1, metavar="[NUMBER]...")
@click.option("--all", "every", is_flag=True, help="Every one that the filters leave.")
@_filters
@click.option("--message", "-m", metavar="WHY", required=True, help="Why; it is kept.")
@speaks
def discard(
    output: Output, numbers: tuple[int, ...], every: bool, message: str, **which: str | None
) -> int:
    """Put orders aside for good; their runs stay as they are."""
    from shipway.cli.session import opened, person

    with opened(output) as system:
        chosen = _chosen(system, numbers, every=every, which=which)
        return _report(output, system.commands.discard(chosen, person(), message), "discarded")


def _chosen(
    system: Session, numbers: tuple[int, ...], *, every: bool, which: dict[str, str | None]
) -> list[int]:
    if every and numbers:
        raise UsageError("--all and numbers do not go together", hint="give one of them")
    if numbers:
        if any(which.values()):
            raise UsageError(
                "filters go with --all, not with numbers", hint="shipway dead replay --all --code X"
            )
        return list(dict.fromkeys(numbers))
    if not every:
        raise UsageError(
            "say which: numbers, or --all with filters", hint='see them: "shipway dead list"'
        )
    wanted = _which(system, "dead", which)
    return [one.number for one in system.letters.list(wanted, limit=_AT_ONCE)]


def _report(output: Output, results: Sequence[ItemResult], done: str) -> int:
    """Each item's own line; 1 if any of them failed."""
    from shipway.cli import runtext

    failed = [one for one in results if not one.ok]
    if output.json:
        output.emit([runtext.as_json(one) for one in results])
    else:
        for one in results:
            error = one.error or {}
            words = done if one.ok else f"not {done}: {one_line(str(error.get('message')))}"
            write(sys.stdout, f"dead letter {one.number} {words}\n")
        if len(results) != 1:
            good = len(results) - len(failed)
            output.note(f"{good} of {plural(len(results), 'dead letter')} {done}")
    return ExitCode.FAILED if failed else ExitCode.DONE
