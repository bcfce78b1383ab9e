"""``shipway calibrate``: how often the gates are wrong, measured on changes known to be good."""

from __future__ import annotations

from pathlib import Path

import click

from shipway.cli.command import Command, speaks
from shipway.cli.output import Output
from shipway.errors import UsageError

EXAMPLES = (
    "shipway calibrate corpus.yaml",
    "shipway calibrate corpus.yaml --jobs 4 --json > calibration.json",
    "shipway calibrate corpus.yaml --variant gold --variant weakened",
    "shipway calibrate corpus.yaml --case shop-17 --variant gold --again",
    "shipway calibrate corpus.yaml --known",
    "shipway calibrate --from ../shop --since 2024-01-01 > corpus.yaml",
)


@click.command(cls=Command, examples=EXAMPLES)
@click.argument("corpus", type=click.Path(path_type=Path), required=False)
@click.option("--case", "cases", multiple=True, metavar="ID", help="Only this case (repeatable).")
@click.option(
    "--variant", "variants", multiple=True, metavar="NAME", help="Only this variant (repeatable)."
)
@click.option("--jobs", type=click.IntRange(1, 64), help="Checks at once (default: one a core).")
@click.option("--again", is_flag=True, help="Judge again what is known from an earlier time.")
@click.option("--known", is_flag=True, help="Show what is known so far; judge nothing.")
@click.option(
    "--from",
    "history",
    type=click.Path(path_type=Path),
    metavar="REPO",
    help="Judge nothing: print a corpus of the bug fixes in a repository's history.",
)
@click.option(
    "--since", default="2 years ago", show_default=True, help="With --from: how far back."
)
@click.option(
    "--most",
    type=click.IntRange(1, 10000),
    default=20,
    show_default=True,
    help="With --from: how many, spread over that time.",
)
@speaks
def calibrate(
    output: Output, corpus: Path | None, history: Path | None, since: str, most: int, **given: object
) -> int:  # fmt: skip
    """Judge the good change of each case in CORPUS, and copies of it bent in known ways.

    CORPUS is a manifest, or a directory with a corpus.yaml. Every case names a repository, a base
    and a change that is known to be good. It is checked as it is, and with a test deleted, skipped
    or weakened, without its source, with a broken test command, with one fault, a key or `eval` in
    the source. The table says how often each was accepted, with 95 % intervals.

    What has been judged is kept: ended at any moment, the same command goes on.

    Exit codes: 0 everything came out as it should, 1 something did not, 8 not all is judged yet.
    """
    from shipway.cli import calibrating

    if history is not None:
        return calibrating.gather(output, history, since, most)
    if corpus is None:
        raise UsageError("which corpus?", hint="name a manifest, or make one with --from REPO")
    return calibrating.perform(output, corpus, **given)
