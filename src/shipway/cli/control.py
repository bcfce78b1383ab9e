"""``shipway run pause|resume|cancel|retry|rewind|repair|discard``: what can be done to a run."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shipway.cli import inputs
from shipway.cli.command import Command, speaks
from shipway.cli.output import Output, write
from shipway.cli.runs import found, reference
from shipway.domain.states import Claim, RunStatus
from shipway.errors import ConflictError, UsageError

if TYPE_CHECKING:
    from shipway.cli.seam import Session
    from shipway.engine.commands import Changes

_why = click.option("--message", "-m", metavar="WHY", default="", help="Why; it is kept.")
_detach = click.option("--detach", "-d", is_flag=True, help="Go on in the background and return.")
_wait = click.option("--wait", is_flag=True, help="Keep waiting while a person has to answer.")
_timeout = click.option(
    "--timeout", metavar="TIME", help="Stop waiting after 90s, 5m, 1h; it goes on."
)
_quiet = click.option("--quiet", "-q", is_flag=True, help="Say only how it ended.")


@click.command(
    "resume",
    cls=Command,
    examples=("shipway run resume @last", "shipway run resume 12 --detach"),
)
@reference
@_detach
@_wait
@_timeout
@_quiet
@speaks
def resume(
    output: Output, ref: str, detach: bool, wait: bool, timeout: str | None, quiet: bool
) -> int | None:
    """Carry a stopped or paused run on: what is finished is not done again."""
    from shipway.cli.follow import Wish, follow
    from shipway.cli.session import opened, person

    limit = None if timeout is None else inputs.seconds(timeout)
    with opened(output, progress=False) as system:
        detail = found(system, ref)
        run, status = detail.summary.id, detail.summary.status
        if status.is_final:
            output.note(f"run {detail.summary.number} has ended and cannot be carried on")
        if status is RunStatus.PAUSED:
            system.commands.resume(run, by=person())
        if detach and not status.is_final:
            system.detach(run)
            _told(system, run, output, "goes on in the background")
            return None
        return follow(system, run, output, Wish(limit, wait, quiet))


@click.command(
    "pause",
    cls=Command,
    examples=("shipway run pause 12", "shipway run pause 12 --grace 10m -m 'the branch is frozen'"),
)
@reference
@click.option("--grace", metavar="TIME", help="Let what runs now go on for so long: 90s, 5m, 1h.")
@_why
@speaks
def pause(output: Output, ref: str, grace: str | None, message: str) -> None:
    """Stop the work on a run until it is resumed; what is finished is kept.

    A stage that is running is stopped at once, and done anew when the run is resumed. With
    --grace it has so long to finish first.
    """
    from shipway.cli.session import opened, person

    left = 0.0 if grace is None else inputs.seconds(grace, "--grace")
    with opened(output) as system:
        run = _open_run(system, ref)
        system.commands.pause(run, by=person(), reason=message or "paused", grace=left)
        _told(system, run, output, "is paused")


@click.command(
    "cancel",
    cls=Command,
    examples=("shipway run cancel 12", "shipway run cancel @last -m 'not needed any more' --json"),
)
@reference
@_why
@speaks
def cancel(output: Output, ref: str, message: str) -> None:
    """Stop a run; what it has merged or deployed is not undone, but listed."""
    from shipway.cli.session import opened, person

    with opened(output) as system:
        run = _open_run(system, ref)
        system.commands.cancel(run, by=person(), reason=message or "asked to")
        _told(system, run, output, "is cancelled")


@click.command(
    "retry",
    cls=Command,
    examples=(
        "shipway run retry 12",
        "shipway run retry 12 --from validate",
        "shipway run retry @last -m 'the disk was full' --detach",
    ),
)
@reference
@click.option("--from", "stage", metavar="STAGE", help="Begin there, not at what failed.")
@_why
@_detach
@_wait
@_timeout
@_quiet
@speaks
def retry(
    output: Output,
    ref: str,
    stage: str | None,
    message: str,
    detach: bool,
    wait: bool,
    timeout: str | None,
    quiet: bool,
) -> int | None:
    """Do again what failed in a run, with all its attempts, and go on from there.

    What passed before is kept as long as it is asked to do the same.
    """
    from shipway.cli.session import opened, person

    limit = None if timeout is None else inputs.seconds(timeout)
    with opened(output, progress=False) as system:
        detail = found(system, ref)
        run = detail.summary.id
        _known_stage(stage, [one.id for one in detail.stages])
        system.commands.retry(run, by=person(), reason=message or "asked to", stage=stage)
        return _goes_on(system, run, output, detach=detach, wish=(limit, wait, quiet))


@click.command(
    "rewind",
    cls=Command,
    examples=(
        "shipway run rewind 12 implement",
        "shipway run rewind 12 plan --requirement @ticket-v2.md",
        "shipway run rewind 12 implement --patch better.patch --detach",
        "shipway run rewind 12 plan --spec api-v2.yaml -m 'paging by cursor'",
    ),
)
@reference
@click.argument("stage", metavar="STAGE")
@click.option("--requirement", "-r", metavar="TEXT|@FILE|-", help="What is asked for from now on.")
@click.option("--spec", metavar="FILE", help="The document from now on.")
@click.option("--patch", metavar="FILE|-", help="The change from now on, as a patch.")
@click.option(
    "--agent", multiple=True, metavar="SLOT=KIND:VALUE", help="Who makes it; again: who else."
)
@click.option(
    "--claim", type=click.Choice([claim.value for claim in Claim]), help="What the change is."
)
@click.option("--answer", multiple=True, metavar="ID=VALUE", help="Another answer to a question.")
@_why
@_detach
@_wait
@_timeout
@_quiet
@speaks
def rewind(output: Output, ref: str, stage: str, **given: Any) -> int | None:
    """Send a run back to a stage, also one that has ended, perhaps with changed input.

    Results, verdicts and decisions that were bound to what changes are invalid from then on and
    are made anew; all others stand. Merges and deployments that have happened are listed.
    """
    from shipway.cli.session import opened, person

    limit = None if given["timeout"] is None else inputs.seconds(given["timeout"])
    changes = _changes(given)
    with opened(output, progress=False) as system:
        detail = found(system, ref)
        run = detail.summary.id
        _known_stage(stage, [one.id for one in detail.stages])
        _fits(detail.requirement_kind, given["spec"], given["requirement"])
        system.commands.rewind(run, stage, person(), given["message"] or "asked to", changes)
        wish = (limit, given["wait"], given["quiet"])
        return _goes_on(system, run, output, detach=given["detach"], wish=wish)


def _changes(given: Mapping[str, Any]) -> Changes:
    """What is to be different, read and checked before anything happens."""
    from shipway.engine.commands import Changes

    asked, patch, claim = (
        _requirement(given["requirement"], given["spec"]),
        given["patch"],
        given["claim"],
    )
    return Changes(
        requirement=None if asked is None else asked.data,
        requirement_name="requirement.md" if asked is None else asked.name,
        patch=None if patch is None else inputs.read(patch, "--patch", inputs.PATCH_LIMIT).data,
        makers=inputs.makers(given["agent"]),
        claim=None if claim is None else Claim(claim),
        answers=inputs.answers(given["answer"]),
    )


@click.command(
    "repair", cls=Command, examples=("shipway run repair 12", "shipway run repair 12 --json")
)
@reference
@_why
@speaks
def repair(output: Output, ref: str, message: str) -> None:
    """Rebuild a quarantined run from its events, and let it go on.

    Only a history that is whole is used; nothing is guessed. What was being worked on when the
    run was put aside is done anew.
    """
    from shipway.cli.session import opened, person

    with opened(output) as system:
        run = found(system, ref).summary.id
        system.commands.repair(run, by=person(), reason=message or "repaired")
        system.detach(run)
        _told(system, run, output, "is rebuilt from its events")


@click.command(
    "discard", cls=Command, examples=("shipway run discard 12 -m 'started again as run 15'",)
)
@reference
@click.option("--message", "-m", metavar="WHY", required=True, help="Why; it is kept.")
@speaks
def discard(output: Output, ref: str, message: str) -> None:
    """Give a quarantined run up; it ends as cancelled."""
    from shipway.cli.session import opened, person

    with opened(output) as system:
        run = found(system, ref).summary.id
        system.commands.give_up(run, person(), message)
        _told(system, run, output, "is discarded")


def _requirement(requirement: str | None, spec: str | None) -> inputs.Given | None:
    if requirement is not None and spec is not None:
        raise UsageError(
            "--requirement and --spec do not go together",
            hint="a run begins with one of them; give that one",
        )
    if requirement is not None:
        return inputs.requirement(requirement)
    if spec is not None:
        from shipway.specs import bundled

        given = inputs.read(spec, "--spec", inputs.SPECIFICATION_LIMIT)
        return inputs.Given(bundled(Path(spec)), given.name)
    return None


def _fits(kind: str, spec: str | None, requirement: str | None) -> None:
    if kind == "specification" and requirement is not None:
        raise UsageError("this run began with a document", hint="give the new one with --spec FILE")
    if kind == "change" and spec is not None:
        raise UsageError(
            "this run began with a requirement", hint="give the new one with --requirement"
        )


def _known_stage(stage: str | None, stages: list[str]) -> None:
    if stage is not None and stages and stage not in stages:
        raise UsageError(
            f"this run has no stage {stage[:40]!r}", hint=f"its stages are {', '.join(stages)}"
        )


def _goes_on(
    system: Session,
    run: str,
    output: Output,
    *,
    detach: bool,
    wish: tuple[float | None, bool, bool],
) -> int | None:
    """Say what has happened already, then follow the run, or let it go on by itself."""
    from shipway.cli.follow import Wish, follow

    if system.queries.status(run) is RunStatus.PAUSED:
        _told(system, run, output, "is sent back, and still paused")
        output.note(f"  next: shipway run resume {system.queries.run(run).summary.number}")
        return None
    if detach:
        system.detach(run)
        _told(system, run, output, "goes on in the background")
        return None
    _effects(system, run, output)
    return follow(system, run, output, Wish(*wish))


def _open_run(system: Session, ref: str) -> str:
    """The id of a run that has not ended; raises ConflictError for one that has."""
    summary = found(system, ref).summary
    if summary.status.is_final:
        raise ConflictError(
            f"run {summary.number} has ended already: {summary.status.value}",
            hint=f'see how with "shipway run view {summary.number}"',
        )
    return summary.id


def _told(system: Session, run: str, output: Output, words: str) -> None:
    from shipway.cli import runtext

    detail = system.queries.run(run)
    if output.json:
        output.emit(runtext.as_json(detail))
    else:
        write(sys.stdout, f"run {detail.summary.number} {words}\n")
    _effects(system, run, output)


def _effects(system: Session, run: str, output: Output) -> None:
    """What the run did before and is not undone by this."""
    effects = system.queries.run(run).effects
    if effects:
        output.note("what it has done already stays done:")
    for effect in effects:
        output.note(
            f"  {effect.what}" + (f"\n    to undo it: {effect.undo}" if effect.undo else "")
        )
