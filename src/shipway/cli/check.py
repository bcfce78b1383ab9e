"""``shipway check``: is this change good? One command in any repository, without set-up."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from shipway.cli.command import Command, speaks
from shipway.cli.output import Output

if TYPE_CHECKING:
    pass

EXAMPLES = (
    "shipway check",
    "shipway check feature/prices --base main",
    "shipway check --patch fix.patch --claim fix",
    "shipway check --gate tests --gate lint",
    "shipway check --markdown > comment.md",
)


@click.command(cls=Command, examples=EXAMPLES)
@click.argument("head", required=False)
@click.option("--repo", type=click.Path(path_type=Path), default=".", help="Which repository.")
@click.option(
    "--base", metavar="REV", help="What to compare with (default: where it branched off)."
)
@click.option("--patch", type=click.File("rb"), help="Judge this patch on the base.")
@click.option(
    "--claim",
    type=click.Choice(["fix", "feature", "refactor", "chore"]),
    help="What it says it is.",
)
@click.option("--gate", "gates", multiple=True, metavar="NAME", help="Only this gate (repeatable).")
@click.option("--again", is_flag=True, help="Judge again what is known from an earlier check.")
@speaks
def check(output: Output, head: str | None, repo: Path, **given: object) -> int:
    """Judge a change before it is merged: HEAD is a branch, a commit or a range A..B.

    Without HEAD the working tree is judged as it is, with new files that are not ignored. The
    change is compared with where it left the branch it will go to; gates are selected by what the
    repository is made of, and run on both in clean, fenced workspaces.

    Exit codes: 0 accepted, 1 rejected or nothing to judge, 3 a person has to decide.
    """
    from shipway.cli import checking

    return checking.perform(output, head, repo, **given)
