"""``shipway db``: bring the database up to date, look at it, back it up, restore it, tidy it."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import click

from shipway.cli.command import Command, Group, speaks
from shipway.cli.lines import Field, Part
from shipway.cli.output import Output, one_line, write
from shipway.cli.words import plural
from shipway.errors import ExitCode

EXAMPLES = (
    "shipway db check",
    "shipway db backup",
    "shipway db prune --dry-run",
    "shipway db restore shipway.backup",
)


@click.group(cls=Group, examples=EXAMPLES)
@speaks
def db(output: Output) -> None:
    """Migrate, check, back up, restore and tidy the database of this installation.

    It is a file in the state directory, or the PostgreSQL that SHIPWAY_DATABASE_URL names.
    """


@db.command(
    "migrate",
    cls=Command,
    examples=("shipway db migrate", "shipway db migrate --dry-run --json"),
)
@click.option("--dry-run", is_flag=True, help="Only say which migrations are missing.")
@speaks
def migrate(output: Output, dry_run: bool) -> None:
    """Bring the tables to this version's, or leave them.

    Every command does so by itself when it finds older tables. Runs may be under way meanwhile.
    """
    from shipway.cli.session import stored

    with stored(output) as keeper:
        names = keeper.pending() if dry_run else keeper.migrate()
        if output.json:
            output.emit({"database": keeper.name, "missing" if dry_run else "ran": names})
        elif not names:
            write(sys.stdout, f"up to date: {keeper.name}\n")
        else:
            done = "missing" if dry_run else "ran"
            write(sys.stdout, f"{done}: {', '.join(names)}\n{keeper.name}\n")


@db.command("check", cls=Command, examples=("shipway db check", "shipway db check --json"))
@speaks
def check(output: Output) -> int:
    """Check migrations, tables and contents (exit code 1: a fault)."""
    from shipway.cli.session import stored

    with stored(output) as keeper:
        faults = keeper.check()
        rows = {} if keeper.pending() else keeper.rows()
        if output.json:
            output.emit(
                {
                    "database": keeper.name,
                    "revision": keeper.revision(),
                    "sound": not faults,
                    "faults": faults,
                    "rows": rows,
                }
            )
        else:
            _show_check(output, keeper.name, faults, rows)
    return ExitCode.FAILED if faults else ExitCode.DONE


def _show_check(output: Output, name: str, faults: list[str], rows: dict[str, int]) -> None:
    from shipway.cli.render import Screen

    screen = Screen(sys.stdout, output.color)
    screen.fields(
        [
            Field("database", [Part(one_line(name))]),
            *(Field("wrong", [Part(one_line(fault), "red")], prose=True) for fault in faults),
            *(Field(table, [Part(f"{count:,}")]) for table, count in rows.items() if count),
        ],
        indent=0,
    )
    screen.say([Part("not sound", "bold red")] if faults else [Part("sound", "green")])
    if faults:
        screen.say("  next: shipway db migrate, or restore a backup into a new place")


@db.command(
    "backup",
    cls=Command,
    examples=("shipway db backup", "shipway db backup shipway.backup --portable --json"),
)
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option(
    "--portable", is_flag=True, help="Row by row, so that it can be restored into PostgreSQL."
)
@speaks
def backup(output: Output, file: Path | None, portable: bool) -> None:
    """Back everything up into a new FILE, and verify it.

    Without FILE: a new one in the state directory, named after the time. Runs may go on meanwhile.
    Artifacts and run folders are files beside the database; copy the state directory for those.
    """
    from shipway.cli.session import stored

    with stored(output) as keeper:
        target, contents = keeper.backup(file, portable=portable)
    if output.json:
        output.emit({"file": str(target), **dataclasses.asdict(contents)})
    else:
        runs = plural(contents.rows.get("runs", 0), "run")
        write(sys.stdout, f"{target}: {runs}, {target.stat().st_size:,} bytes, verified\n")


@db.command(
    "restore",
    cls=Command,
    examples=("shipway db restore shipway.backup", "shipway db restore shipway.backup --json"),
)
@click.argument("file", type=click.Path(path_type=Path))
@speaks
def restore(output: Output, file: Path) -> None:
    """Fill an empty database from a backup, and check it.

    Nothing is overwritten: point SHIPWAY_HOME or SHIPWAY_DATABASE_URL at a new place first.
    """
    from shipway.cli.session import stored

    with stored(output) as keeper:
        contents = keeper.restore(file)
        name = keeper.name
    if output.json:
        output.emit({"database": name, **dataclasses.asdict(contents)})
    else:
        runs = plural(contents.rows.get("runs", 0), "run")
        write(sys.stdout, f"restored and checked: {runs}\n{name}\n")


@db.command(
    "prune", cls=Command, examples=("shipway db prune --dry-run", "shipway db prune --json")
)
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@speaks
def prune(output: Output, dry_run: bool) -> None:
    """Remove what the policy no longer keeps.

    An engine does so by itself once a day. The policy is SHIPWAY_KEEP_RUNS_DAYS and its neighbours
    ("shipway config show"). What is live is never touched.
    """
    from shipway.cli.session import stored

    with stored(output) as keeper:
        swept = keeper.plan() if dry_run else keeper.prune()
    if output.json:
        output.emit({"dry_run": dry_run, **dataclasses.asdict(swept)})
        return
    parts = [
        plural(swept.runs, "run"),
        plural(swept.commands, "answered command"),
        plural(swept.folders, "run folder"),
        plural(swept.artifacts, "artifact"),
    ]
    word = "would go" if dry_run else "gone"
    write(sys.stdout, f"{word}: {', '.join(parts)}; {swept.bytes:,} bytes of files\n")
