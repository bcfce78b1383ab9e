"""``shipway run``: starts a run from a document or a change, or manages the runs there are."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shipway.cli import inputs
from shipway.cli.command import Group, Lazy, speaks
from shipway.cli.output import Output
from shipway.domain.limits import PRIORITIES
from shipway.domain.states import Claim
from shipway.errors import UsageError

if TYPE_CHECKING:
    from shipway.engine.commands import Submission

MANAGE = "Commands for the runs there are"

TABLE = {
    "list": Lazy("shipway.cli.runs:list_", MANAGE, "List runs, the latest first."),
    "view": Lazy("shipway.cli.runs:view", MANAGE, "Show one run: stages, gates, asks, files."),
    "watch": Lazy("shipway.cli.runs:watch", MANAGE, "Follow a run to its end."),
    "logs": Lazy("shipway.cli.logs:logs", MANAGE, "Print the log of a stage."),
    "diff": Lazy("shipway.cli.runs:diff", MANAGE, "Print the change that a run made."),
    "resume": Lazy("shipway.cli.control:resume", MANAGE, "Carry a stopped or paused run on."),
    "pause": Lazy("shipway.cli.control:pause", MANAGE, "Stop the work until it is resumed."),
    "cancel": Lazy("shipway.cli.control:cancel", MANAGE, "Stop a run."),
    "retry": Lazy("shipway.cli.control:retry", MANAGE, "Do again what failed, and go on."),
    "rewind": Lazy("shipway.cli.control:rewind", MANAGE, "Send a run back to a stage."),
    "repair": Lazy("shipway.cli.control:repair", MANAGE, "Rebuild a quarantined run."),
    "discard": Lazy("shipway.cli.control:discard", MANAGE, "Give a quarantined run up."),
}

EXAMPLES = (
    "shipway run --spec api.yaml --into ./library",
    "shipway run --spec api.yaml --dry-run",
    'shipway run --repo . --requirement "Round half up" --claim fix --patch round.patch',
    "shipway run --repo . --requirement @ticket.md --agent implement='command:my-agent --yes'",
    "shipway run --repo . --requirement @ticket.md --agent implement=acp:my-coding-agent",
    "shipway run --repo . -r @ticket.md --agent implement=model:gpt-5 --agent implement=acp:helper",
    "git diff | shipway run --repo . --requirement 'Tidy up' --claim refactor --patch -",
    "shipway run list",
    "shipway run watch @last",
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The options of ``shipway run`` as they were typed."""

    spec: str | None
    into: str | None
    repo: str | None
    requirement: str | None
    title: str | None
    claim: str | None
    patch: str | None
    agent: tuple[str, ...]
    pipeline: str | None
    target: str | None
    strategy: str | None
    port: int
    accept_unimplemented: bool
    priority: str
    answer: tuple[str, ...]


@click.group(
    "run",
    cls=Group,
    lazy=TABLE,
    examples=EXAMPLES,
    invoke_without_command=True,
    usages=(
        "--spec FILE [--into DIR] [OPTIONS]",
        "--repo PATH --requirement TEXT (--patch FILE | --agent implement=...) [OPTIONS]",
        "list|view|watch|logs|diff|resume|pause|cancel|retry|rewind [OPTIONS] [RUN]",
    ),
)
@click.option("--spec", metavar="FILE|-", help="An OpenAPI 3.0 or 3.1 document: make the service.")
@click.option("--into", metavar="DIR", help="Where the new repository goes (with --spec).")
@click.option("--repo", metavar="PATH", help="A git repository to change.")
@click.option("--requirement", "-r", metavar="TEXT|@FILE|-", help="What is asked for.")
@click.option("--title", metavar="TEXT", help="One line for lists and the commit.")
@click.option(
    "--claim", type=click.Choice([claim.value for claim in Claim]), help="What the change is."
)
@click.option("--patch", metavar="FILE|-", help="The change, as a patch.")
@click.option(
    "--agent",
    multiple=True,
    metavar="SLOT=KIND:VALUE",
    help="Who makes the change: implement=command:CMD, acp:CMD or model:NAME. "
    "Given again: who takes over when that one fails for good.",
)
@click.option("--pipeline", metavar="NAME|FILE", help="Default: service, or change with --repo.")
@click.option("--target", metavar="BRANCH", help="The branch that the result goes to.")
@click.option(
    "--strategy",
    type=click.Choice(["merge", "squash", "rebase", "fast-forward"]),
    help="How it gets there.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    help="Where the service listens on this machine; 0 lets the system choose.",
)
@click.option(
    "--accept-unimplemented",
    is_flag=True,
    help="Decide now to deploy without the operations that cannot be implemented.",
)
@click.option(
    "--priority",
    type=click.Choice(list(PRIORITIES)),
    default="normal",
    help="What goes first when there is no room for all.",
)
@click.option("--answer", multiple=True, metavar="ID=VALUE", help="Answer a question beforehand.")
@click.option("--detach", "-d", is_flag=True, help="Start it in the background and return.")
@click.option("--wait", is_flag=True, help="Keep waiting while a person has to answer.")
@click.option("--timeout", metavar="TIME", help="Stop waiting after 90s, 5m, 1h; the run goes on.")
@click.option("--quiet", "-q", is_flag=True, help="Say only how it ended.")
@click.option("--dry-run", is_flag=True, help="Check everything, show the stages, start nothing.")
@speaks
def run(output: Output, **given: Any) -> int | None:
    """Start a run, or manage the runs there are.

    With --spec an OpenAPI document becomes a git repository with a working service, merged and
    deployed on this machine. With --repo a change (--patch, or a command named by --agent) is
    validated, tested and merged. The run is followed to its end unless --detach is given.

    RUN is a number, the beginning of an id, or @last.
    """
    ctx = click.get_current_context()
    if ctx.invoked_subcommand is not None:
        _nothing_given(ctx)
        return None
    wish = {name: given.pop(name) for name in ("detach", "wait", "timeout", "quiet", "dry_run")}
    return _start(output, Wanted(**given), **wish)


def _nothing_given(ctx: click.Context) -> None:
    """An option before the sub-command would be lost without a word."""
    default = click.core.ParameterSource.DEFAULT
    for name in ctx.params:
        if name in {"json_wanted", "color"} or ctx.get_parameter_source(name) is default:
            continue
        raise UsageError(
            f"--{name.replace('_', '-')} starts a run and does not go with "
            f'"{ctx.invoked_subcommand}"',
            hint=f'see "shipway run {ctx.invoked_subcommand} --help"',
        )


def _start(
    output: Output,
    wanted: Wanted,
    *,
    detach: bool,
    wait: bool,
    timeout: str | None,
    quiet: bool,
    dry_run: bool,
) -> int | None:
    from shipway.cli.follow import Wish, follow
    from shipway.cli.session import opened

    limit = None if timeout is None else inputs.seconds(timeout)
    submission = submission_of(wanted)
    if dry_run:
        from shipway.cli.preview import preview

        preview(output, submission)
        return None
    with opened(output) as system:
        name = system.commands.submit(submission)
        for objection in system.objections(name):
            output.note(f"{objection}: the run waits for it (see: shipway worker list)")
        if not detach:
            return follow(system, name, output, Wish(limit, wait, quiet))
        system.detach(name)
        _announce(output, system.queries.run(name))
        return None


def _announce(output: Output, detail: Any) -> None:
    from shipway.cli import runtext

    number = detail.summary.number
    if output.json:
        output.emit(runtext.as_json(detail))
    else:
        sys.stdout.write(f"run {number} started in the background  {detail.summary.id}\n")
        output.note(f"  next: shipway run watch {number}")


def submission_of(wanted: Wanted) -> Submission:
    """Check what was typed and read what it names; nothing has started when this raises."""
    if wanted.spec is not None and wanted.repo is not None:
        raise UsageError(
            "--spec and --repo do not go together",
            hint="--spec makes a new service; --repo changes a repository that is there",
        )
    if wanted.spec is not None:
        return _specification(wanted, wanted.spec)
    if wanted.repo is not None:
        return _change(wanted, wanted.repo)
    raise UsageError(
        "say what to run: --spec FILE, or --repo PATH with --requirement",
        hint='see "shipway run --help"; the runs there are: "shipway run list"',
    )


def _refuse(wanted: Wanted, names: tuple[str, ...], other: str) -> None:
    for name in names:
        if getattr(wanted, name):
            raise UsageError(
                f"--{name.replace('_', '-')} does not go with {other}",
                hint='see "shipway run --help"',
            )


def _specification(wanted: Wanted, source: str) -> Submission:
    _refuse(wanted, ("requirement", "patch", "agent"), "--spec")
    into = None if wanted.into is None else inputs.new_directory(wanted.into, "--into")
    document = inputs.read(source, "--spec", inputs.SPECIFICATION_LIMIT)
    return _submission(
        wanted,
        kind="specification",
        requirement=document.data if source == "-" else _in_one_piece(Path(source)),
        requirement_name=document.name,
        repository=into,
    )


def _in_one_piece(path: Path) -> bytes:
    """The document with what it refers to in files beside it; raises SpecificationError."""
    from shipway.specs import bundled

    return bundled(path)


def _change(wanted: Wanted, place: str) -> Submission:
    _refuse(wanted, ("into", "accept_unimplemented"), "--repo")
    if wanted.requirement is None:
        raise UsageError(
            "--repo needs --requirement", hint='say what is asked for: -r "Fix the rounding"'
        )
    if bool(wanted.patch) == bool(wanted.agent):
        raise UsageError(
            "--repo needs the change: either --patch FILE or --agent implement='command:CMD ...'",
            hint="a patch is a change that is there; a command makes it in a workspace",
        )
    if wanted.requirement in {"-", "@-"} and wanted.patch == "-":
        raise UsageError(
            "--requirement and --patch cannot both be standard input",
            hint="give one of them as a file",
        )
    repository = inputs.directory(place, "--repo")
    asked = inputs.requirement(wanted.requirement)
    makers = inputs.makers(wanted.agent)
    patch = None
    if wanted.patch is not None:
        patch = inputs.read(wanted.patch, "--patch", inputs.PATCH_LIMIT).data
    return _submission(
        wanted,
        kind="change",
        requirement=asked.data,
        requirement_name=asked.name,
        repository=repository,
        patch=patch,
        makers=makers,
    )


def _submission(wanted: Wanted, **fields: Any) -> Submission:
    from shipway.engine.commands import Submission
    from shipway.engine.pipelines.loader import located

    return Submission(
        pipeline=located(wanted.pipeline, Path(wanted.repo or ".")) if wanted.pipeline else None,
        title=wanted.title,
        claim=Claim(wanted.claim) if wanted.claim else None,
        target=wanted.target,
        strategy=wanted.strategy,
        port=wanted.port,
        accept_unimplemented=wanted.accept_unimplemented,
        priority=PRIORITIES[wanted.priority],
        answers=inputs.answers(wanted.answer),
        **fields,
    )
