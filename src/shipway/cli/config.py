"""``shipway config``: the settings in force, where each value comes from, and whether they can be used."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from shipway.cli.command import Command, Group, speaks
from shipway.cli.lines import Part
from shipway.cli.output import Output, one_line, write
from shipway.errors import ConflictError

EXAMPLES = ("shipway config check", "shipway config show --sources", "shipway config env > .env")


@click.group(cls=Group, examples=EXAMPLES)
@speaks
def config(output: Output) -> None:
    """Check the settings, show where they come from, write a file of them."""


@config.command(
    "check", cls=Command, examples=("shipway config check", "shipway config check --json")
)
@speaks
def check(output: Output) -> None:
    """Check every setting as a start would; each fault says what to do (exit code 78)."""
    from shipway.config import load

    loaded = load()
    environment = loaded.settings.environment
    given = sum(not source.startswith("default") for source in loaded.sources.values())
    if output.json:
        output.emit({"usable": True, "environment": environment, "given": given})
    else:
        write(sys.stdout, f"the settings can be used: {environment}, {given} given\n")


@config.command(
    "show", cls=Command, examples=("shipway config show", "shipway config show --sources --json")
)
@click.option("--sources", is_flag=True, help="Say for each value who gave it.")
@speaks
def show(output: Output, sources: bool) -> None:
    """Show every setting in force, secrets masked, and what it is for."""
    from shipway.cli.render import Screen
    from shipway.cli.session import settings_in_force

    rows = settings_in_force()
    if output.json:
        output.emit(rows)
        return
    heads = ("variable", "value", *(("source",) if sources else ()), "what it is for")
    lines = [
        [
            Part(str(row["variable"]), "bold"),
            Part(one_line("" if row["value"] is None else str(row["text"]))),
            *([Part(one_line(str(row["source"])), "dim")] if sources else []),
            Part(one_line(str(row["description"]))),
        ]
        for row in rows
    ]
    Screen(sys.stdout, output.color).table(heads, lines, give=len(heads) - 1)


@config.command(
    "env",
    cls=Command,
    examples=("shipway config env", "shipway config env --write .env.production"),
)
@click.option(
    "--write", "target", type=click.Path(path_type=Path), help="A new file, for its owner only."
)
@speaks
def env(output: Output, target: Path | None) -> None:
    """Write a complete, commented file of variables for production, with safe defaults."""
    from shipway.config.reference import production_file

    text = production_file()
    if target is None:
        if output.json:
            output.emit({"text": text})
        else:
            write(sys.stdout, text)
        return
    try:
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConflictError(
            f"there is a file already: {target}", hint="name another one, or move it away"
        ) from None
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    if output.json:
        output.emit({"file": str(target)})
    else:
        write(sys.stdout, f"{target}: fill in what is marked as required, then start with it\n")
