"""``shipway check``: whether a change is good, told in any repository without set-up."""

from __future__ import annotations

from pathlib import Path

import click

from shipway.cli.command import Command, speaks
from shipway.cli.output import Output

EXAMPLES = (
    "shipway check",
    "shipway check feature/prices --base main",
    "shipway check main..HEAD --json > evidence.json",
    "shipway check --patch fix.patch --claim fix",
    "shipway check --gate tests --gate lint",
    "shipway check --explain",
    "shipway check --verify evidence.json",
)


@click.command(cls=Command, examples=EXAMPLES)
@click.argument("head", required=False)
@click.option(
    "--repo", type=click.Path(path_type=Path), default=".", metavar="PATH", help="Which repository."
)
@click.option(
    "--base", metavar="REV", help="What to compare with (default: where it branched off)."
)
@click.option("--patch", type=click.File("rb"), help="Judge this patch on the base (- is stdin).")
@click.option(
    "--claim",
    type=click.Choice(["fix", "feature", "refactor", "chore"]),
    help="What the change says it is (default: the type of its Conventional Commits).",
)
@click.option("--gate", "gates", multiple=True, metavar="NAME", help="Only this gate (repeatable).")
@click.option("--explain", is_flag=True, help="Say which gates apply and why; run nothing.")
@click.option("--again", is_flag=True, help="Judge again what is known from an earlier check.")
@click.option(
    "--verify", type=click.File("rb"), metavar="FILE", help="Judge again what this evidence says."
)
@click.option("--sarif", "form", flag_value="sarif", help="SARIF 2.1.0 on stdout.")
@click.option("--junit", "form", flag_value="junit", help="JUnit XML on stdout.")
@click.option("--markdown", "form", flag_value="markdown", help="A review comment on stdout.")
@speaks
def check(output: Output, head: str | None, repo: Path, **given: object) -> int:
    """Judge a change before it is merged: HEAD is a branch, a commit or a range A..B.

    Without HEAD the working tree is judged as it is, with new files that are not ignored. The
    change is compared with where it left the branch it will go to; gates are selected by what the
    repository is made of, and run on both in clean, fenced workspaces. Your repository is only
    read.

    What must pass can be said in .shipway/policy.yaml; only the copy on the base counts.

    Exit codes: 0 accepted, 1 rejected or nothing to judge, 3 a person has to decide.
    """
    from shipway.cli import checking

    return checking.perform(output, head, repo, **given)
