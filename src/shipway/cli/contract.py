"""``shipway contract list|show|check``: what agents and the engine say to each other, by version."""

from __future__ import annotations

import json
import sys
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shipway.cli.command import Group, speaks
from shipway.cli.inputs import MEGABYTE, read
from shipway.cli.lines import Part
from shipway.cli.output import Output, write
from shipway.cli.words import plural
from shipway.errors import ExitCode, NotFoundError, ValidationError

if TYPE_CHECKING:
    from shipway.contracts.compare import Break, Comparison


@click.group(
    cls=Group,
    examples=(
        "shipway contract list",
        "shipway contract show validate",
        "shipway contract check validate@1 ./new.json",
    ),
)
@speaks
def contract(output: Output) -> None:
    """List, show and compare contracts."""


@contract.command("list", examples=("shipway contract list", "shipway contract list --json"))
@speaks
def list_(output: Output) -> None:
    """List every capability, the versions that are understood here, and what the oldest cannot carry."""
    from shipway.cli.render import Screen
    from shipway.cli.session import contracts

    with contracts() as found:
        rows = found.lines()
    if output.json:
        output.emit(rows)
        return
    Screen(sys.stdout, output.color).table(
        ("capability", "version", "understood", "request", "result", "lost on the way down"),
        [
            [
                Part(str(row["capability"]), "bold"),
                Part(str(row["version"])),
                Part(f"{row['oldest']} to {row['version']}"),
                Part(str(row["request"])),
                Part(str(row["result"])),
                Part(", ".join(chain(*row.get("lost", {}).values())) or "nothing"),
            ]
            for row in rows
        ],
        give=4,
    )


@contract.command(
    "show", examples=("shipway contract show validate", "shipway contract show plan@1")
)
@click.argument("name", metavar="CAPABILITY[@VERSION]")
@speaks
def show(output: Output, name: str) -> None:
    """Print a contract as JSON Schema: what is accepted and what is written of each message."""
    write(sys.stdout, json.dumps(_found(name), indent=2) + "\n")


@contract.command(
    "check",
    examples=(
        "shipway contract check validate@1 ./new.json",
        "shipway contract check old.json new.json --json",
    ),
)
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@speaks
def check(output: Output, old: str, new: str) -> int:
    """Say whether a change breaks anybody, in each direction; ends with 1 if it does.

    OLD and NEW are capabilities (CAPABILITY[@VERSION]) or files as "contract show" prints them.
    """
    from shipway.contracts.compare import compare

    found = compare(_found(old), _found(new))
    if output.json:
        output.emit(_told(found))
    else:
        _say("who is still old reads what the new one writes", found.forward)
        _say("the new one reads what the old one writes", found.backward)
    return ExitCode.DONE if found.compatible else ExitCode.FAILED


def _told(found: Comparison) -> dict[str, Any]:
    def rows(breaks: tuple[Break, ...]) -> list[dict[str, str]]:
        return [{"message": one.message, "place": one.place, "why": one.why} for one in breaks]

    return {
        "compatible": found.compatible,
        "forward": rows(found.forward),
        "backward": rows(found.backward),
    }


def _say(direction: str, breaks: tuple[Break, ...]) -> None:
    verdict = plural(len(breaks), "break") if breaks else "compatible"
    write(sys.stdout, f"{direction}: {verdict}\n")
    for one in breaks:
        write(sys.stdout, f"  {one.message}{one.place}: {one.why}\n")


def _found(name: str) -> dict[str, Any]:
    """A contract by name, or as a file has it."""
    from shipway.cli.session import contracts

    capability, _, version = name.partition("@")
    with contracts() as known:
        versions = {str(row["capability"]): str(row["version"]) for row in known.lines()}
        if capability in versions:
            number = version or versions[capability]
            if not number.isdigit():
                raise ValidationError("a version is a number", hint=f"for example {capability}@1")
            return known.text(capability, int(number))
    path = Path(name)
    if not path.is_file():
        raise NotFoundError(
            "there is no such contract, and no such file",
            hint=f"contracts are: {', '.join(versions)}",
        )
    try:
        data = json.loads(read(name, "a contract", MEGABYTE).data)
        return {key: {side: data[key][side] for side in ("reads", "writes")} for key in _MESSAGES}
    except (ValueError, KeyError, TypeError):
        raise ValidationError(
            f"{path.name} is not a contract", hint='write one with "shipway contract show NAME"'
        ) from None


_MESSAGES = ("request", "result")
