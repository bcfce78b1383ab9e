"""Every command shows an example, and every example is one that the command line understands."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator

import click
import pytest

from shipway.cli.command import Group
from shipway.cli.commands import TABLE, root


def walk(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    ctx = click.Context(group, info_name="shipway")
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        assert command is not None
        yield " ".join((*path, name)), command
        if isinstance(command, click.Group):
            yield from walk(command, (*path, name))


COMMANDS = dict(walk(root))


def parse(words: list[str]) -> None:
    """Parse as the real thing does, down to the last sub-command, without running any of it."""
    with contextlib.ExitStack() as opened:
        ctx = opened.enter_context(root.make_context("shipway", words))
        while isinstance(ctx.command, click.Group) and (rest := [*ctx._protected_args, *ctx.args]):
            name, command, rest = ctx.command.resolve_command(ctx, rest)
            assert command is not None
            ctx = opened.enter_context(command.make_context(name, rest, parent=ctx))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_an_example_of_itself_that_parses(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    examples = COMMANDS[name].examples
    assert any(f"shipway {name}" in example for example in examples)
    for example in examples:
        words = shlex.split(example.rpartition("| ")[2])
        assert words[0] == "shipway"
        words = words[1 : words.index(">")] if ">" in words else words[1:]
        for word in words:
            if word.endswith((".patch", ".yaml", ".json")) and "/" not in word:
                (tmp_path / word).touch()
        parse(words)


def test_an_example_with_an_unknown_option_would_be_found():
    with pytest.raises(click.UsageError):
        parse(["run", "list", "--nothing"])


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_takes_json_and_says_what_it_is_for(name):
    command = COMMANDS[name]
    assert command.help
    assert any("--json" in one.opts for one in command.params)
    for one in command.params:
        if isinstance(one, click.Option):
            assert one.help, f"{name} {one.opts}"


def groups() -> Iterator[tuple[str, Group]]:
    yield "shipway", root
    for name, command in COMMANDS.items():
        if isinstance(command, Group):
            yield name, command


def test_every_name_in_the_tables_leads_to_its_command():
    for name, group in groups():
        for sub in group.lazy:
            command = group.get_command(click.Context(group), sub)
            assert command is not None, f"{name} {sub}"
            assert command.name == sub
    assert set(TABLE) >= {"run", "decide", "answer", "inbox", "pipeline", "release", "doctor"}


def test_help_of_run_shows_both_of_its_faces(shipway):
    text = shipway("run", "--help").stdout
    assert "--spec FILE" in text
    assert "--repo PATH --requirement TEXT" in text
    for name in ("list", "view", "watch", "logs", "resume", "cancel", "diff"):
        assert f"\n  {name} " in text
    assert "Examples:" in text


def test_the_engine_is_not_for_people(shipway):
    assert "engine" not in shipway("--help").stdout.replace("an engine", "")
