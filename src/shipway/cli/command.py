"""The shape of every command: examples in its help, ``--json`` and ``--color``, loaded on use."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import click

from shipway.cli.output import Output


class Lazy(NamedTuple):
    """A command that is imported when it is used; ``help`` is shown without importing it."""

    place: str
    section: str
    help: str


class Examples:
    """Mixed into commands and groups: usage lines, and examples at the end of the help."""

    examples: tuple[str, ...] = ()
    usages: tuple[str, ...] = ()

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The usual line, or one for each of the ways in which a command can be used."""
        if not self.usages:
            super().format_usage(ctx, formatter)  # type: ignore[misc]  # of the class beside
        prefix = "Usage: "
        for usage in self.usages:
            formatter.write_usage(ctx.command_path, usage, prefix=prefix)
            prefix = " " * len(prefix)

    def format_epilog(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples as they would be typed, one a line."""
        if self.examples:
            with formatter.section("Examples"):
                for example in self.examples:
                    formatter.write(f"{'':{formatter.current_indent}}{example}\n")


class Command(Examples, click.Command):
    """A command with examples."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)


class Group(Examples, click.Group):
    """A group with examples whose commands are imported when they are used, in their own order."""

    command_class = Command

    def __init__(
        self,
        *args: Any,
        examples: Sequence[str] = (),
        usages: Sequence[str] = (),
        lazy: Mapping[str, Lazy] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)
        self.usages = tuple(usages)
        self.lazy = dict(lazy or {})

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order they were written: what people need first comes first."""
        return [*self.lazy, *(name for name in self.commands if name not in self.lazy)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now if it has to be."""
        if cmd_name in self.lazy and cmd_name not in self.commands:
            module, _, name = self.lazy[cmd_name].place.partition(":")
            self.commands[cmd_name] = getattr(importlib.import_module(module), name)
        return super().get_command(ctx, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with what may have been meant, also of commands not imported yet."""
        try:
            return super().resolve_command(ctx, args)
        except click.NoSuchCommand as error:
            known = [name for name in self.list_commands(ctx) if self.is_shown(name)]
            raise click.NoSuchCommand(error.command_name, possibilities=known, ctx=ctx) from None

    def is_shown(self, name: str) -> bool:
        """Whether it is for people: a lazy command without a section is not."""
        return name not in self.lazy or bool(self.lazy[name].section)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Sections of lazy commands from their table; nothing is imported to print help."""
        if not self.lazy:
            super().format_commands(ctx, formatter)
            return
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, lazy in self.lazy.items():
            if self.is_shown(name):
                sections.setdefault(lazy.section, []).append((name, lazy.help))
        for title, rows in sections.items():
            with formatter.section(title):
                formatter.write_dl(rows)


def speaks(function: Callable[..., int | None]) -> Callable[..., int | None]:
    """Add ``--json`` and ``--color`` to a command and hand it an Output as its first argument."""

    @functools.wraps(function)
    @click.pass_context
    def with_output(ctx: click.Context, /, **given: Any) -> int | None:
        outer = ctx.find_object(Output) or Output()
        color = given.pop("color")
        output = Output(
            json=given.pop("json_wanted") or outer.json,
            color=outer.color if color is None else color,
        )
        ctx.obj = output
        return function(output, **given)

    json_option = click.option(
        "--json", "json_wanted", is_flag=True, help="JSON on stdout; errors as JSON on stderr."
    )
    color_option = click.option(
        "--color",
        type=click.Choice(["auto", "always", "never"]),
        help="When to colour (also: NO_COLOR, FORCE_COLOR).",
    )
    return json_option(color_option(with_output))
