"""``shipway config``: the settings in force and where each value comes from."""

from __future__ import annotations

import os
import sys

import click

from shipway.cli.command import Command, Group, speaks
from shipway.cli.lines import Part
from shipway.cli.output import Output, one_line


@click.group(cls=Group, examples=("shipway config show", "shipway config show --json"))
@speaks
def config(output: Output) -> None:
    """Show the settings and where they come from."""


@config.command("show", cls=Command, examples=("shipway config show", "shipway config show --json"))
@speaks
def show(output: Output) -> None:
    """Show every setting: its value, its source and what it is for."""
    from shipway.cli.render import Screen
    from shipway.cli.session import settings

    found = settings()
    given = found.model_dump(mode="json")
    rows = []
    for name, field in type(found).model_fields.items():
        variable = f"SHIPWAY_{name.upper()}"
        rows.append(
            {
                "name": name,
                "variable": variable,
                "value": given[name],
                "source": "environment" if variable in os.environ else "default",
                "description": field.description,
            }
        )
    if output.json:
        output.emit(rows)
        return
    screen = Screen(sys.stdout, output.color)
    screen.table(
        ("variable", "value", "source", "what it is for"),
        [
            [
                Part(str(row["variable"]), "bold"),
                Part(one_line(str(row["value"]))),
                Part(str(row["source"]), "dim"),
                Part(one_line(str(row["description"] or ""))),
            ]
            for row in rows
        ],
        give=3,
    )
