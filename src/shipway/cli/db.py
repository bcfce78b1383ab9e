"""``shipway db``: bring the database up to date, look at it, back it up, restore it, tidy it."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shipway.cli.command import Command, Group, speaks
from shipway.cli.lines import Field, Part
from shipway.cli.output import Output, one_line, write
from shipway.cli.words import plural
from shipway.errors import ExitCode

if TYPE_CHECKING:
    from shipway.engine.saved import Saved

EXAMPLES = (
    "shipway db check",
    "shipway db backup",
    "shipway db prune --dry-run",
    "shipway db restore shipway.backup",
)


@click.group(cls=Group, examples=EXAMPLES)
@speaks
def db(output: Output) -> None:
    """Migrate, check, back up, restore and tidy what this installation keeps.

    The database is a file in the state directory, or the PostgreSQL that SHIPWAY_DATABASE_URL names.
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
    examples=(
        "shipway db backup",
        "shipway db backup /mnt/safe/shipway.backup --json",
        "shipway db backup rows.gz --database-only --portable",
    ),
)
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option(
    "--database-only", is_flag=True, help="Leave out artifacts, repositories, logs and releases."
)
@click.option(
    "--portable", is_flag=True, help="Copy the database row by row, in a format of its own."
)
@speaks
def backup(output: Output, file: Path | None, database_only: bool, portable: bool) -> int:
    """Back everything up into a new FILE, and verify it (exit code 1: something is not in it).

    The database, and the files that belong to it: artifacts, repositories, logs and reports of
    runs, releases with their secrets. Without FILE: a new one in the state directory, named after
    the time. Runs may go on meanwhile.
    """
    from shipway.cli.session import stored

    with stored(output) as keeper:
        target, saved = keeper.backup(file, portable=portable, database_only=database_only)
    if output.json:
        output.emit({"file": str(target), **_told(saved)})
    else:
        size = f"{target.stat().st_size:,} bytes"
        write(sys.stdout, f"{one_line(str(target))}: {_held(saved)}; {size}, verified\n")
        if saved.listed is None:
            output.note(
                "the database alone: artifacts, repositories, logs and releases are not in it"
            )
        if saved.without_data:
            output.note(f"not in it: what these services store: {', '.join(saved.without_data)}")
    return _name_absent(output, saved, "not in it")


def _held(saved: Saved) -> str:
    parts = [plural(saved.contents.rows.get("runs", 0), "run")]
    if saved.listed is not None:
        parts.append(plural(saved.listed.artifacts, "artifact"))
        parts.append(plural(saved.listed.files, "other file"))
    return ", ".join(parts)


def _told(saved: Saved) -> dict[str, Any]:
    listed = saved.listed
    return {
        **dataclasses.asdict(saved.contents),
        "database_only": listed is None,
        "artifacts": 0 if listed is None else listed.artifacts,
        "files": 0 if listed is None else listed.files,
        "bytes": 0 if listed is None else listed.bytes,
        "absent": [] if listed is None else listed.absent,
        "without_data": list(saved.without_data),
        "stopped": list(saved.stopped),
    }


def _name_absent(output: Output, saved: Saved, word: str) -> int:
    """A backup that lacks something is told from a whole one by the exit code, too."""
    absent = [] if saved.listed is None else saved.listed.absent
    for one in absent:
        output.note(f"{word}: {one}")
    return ExitCode.FAILED if absent else ExitCode.DONE


@db.command(
    "restore",
    cls=Command,
    examples=("shipway db restore shipway.backup", "shipway db restore shipway.backup --json"),
)
@click.argument("file", type=click.Path(path_type=Path))
@speaks
def restore(output: Output, file: Path) -> int:
    """Fill an empty database and state directory from a backup, and check it.

    All of FILE is looked at before anything is written. Nothing is overwritten: point SHIPWAY_HOME
    or SHIPWAY_DATABASE_URL at a new place first. Exit code 1: restored, but the backup lacked
    something.
    """
    from shipway.cli.session import stored

    with stored(output) as keeper:
        saved = keeper.restore(file)
        name = keeper.name
    if output.json:
        output.emit({"database": name, **_told(saved)})
    else:
        write(sys.stdout, f"restored and checked: {_held(saved)}\n{name}\n")
        if saved.listed is None:
            output.note(
                "the database alone: artifacts, repositories, logs and releases were not in it"
            )
        if saved.stopped:
            output.note(
                f"stopped, with the data they have here: {', '.join(saved.stopped)};"
                f" next: shipway release rollback {saved.stopped[0]}"
            )
    return _name_absent(output, saved, "was not in the backup")


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
