"""Every command either works by way of a server, with the same output, or is of this machine by nature."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import click
import pytest
from serving import Served

from shipway.cli.commands import root as commands
from shipway.cli.main import main

#: What works by way of the server at SHIPWAY_URL, with what is typed to see that it says the same.
#: Where it is None another test types it: it starts, changes or follows something.
THERE: dict[str, str | None] = {
    "agent drain": "agent drain plan",
    "agent list": "agent list --json",
    "agent resume": "agent resume plan",
    "answer": "answer 99/q-1 x",
    "config show": "config show --sources --json",
    "contract check": "contract check plan@1 plan@1",
    "contract list": "contract list",
    "contract show": "contract show plan@1",
    "dead discard": "dead discard 99 --reason no",
    "dead list": "dead list",
    "dead replay": "dead replay 99 --reason again",
    "dead view": "dead view 99",
    "decide": "decide 99/go approve",
    "flag get": "flag get gates.mutants --for ada",
    "flag history": "flag history gates.complexity",
    "flag list": "flag list",
    "flag rollout": None,
    "flag set": None,
    "health": None,
    "inbox": "inbox --json",
    "pipeline graph": "pipeline graph service --mermaid",
    "pipeline list": "pipeline list",
    "pipeline show": "pipeline show change",
    "pipeline validate": "pipeline validate change --json",
    "release list": "release list --json",
    "release rollback": "release rollback nothing",
    "release stop": "release stop --all --json",
    "release view": "release view nothing",
    "run cancel": None,
    "run diff": "run diff 99",
    "run discard": "run discard 99 --reason no",
    "run list": "run list --json",
    "run logs": None,
    "run pause": "run pause 99",
    "run repair": "run repair 99",
    "run resume": "run resume 99",
    "run retry": "run retry 99",
    "run rewind": "run rewind 99 plan",
    "run view": None,
    "run watch": None,
    "worker list": "worker list --json",
}

#: What is about this machine whatever SHIPWAY_URL says, and why.
HERE = {
    "calibrate": "judges a corpus that lies here",
    "check": "judges a working tree that lies here",
    "completion": "prints a script for this shell",
    "config check": "says whether a process could start here",
    "config env": "writes a file here",
    "db backup": "looks after the database that is reached from here, and says so",
    "db check": "the same",
    "db migrate": "the same",
    "db prune": "the same",
    "db restore": "the same",
    "dev": "is a process here",
    "doctor": "looks at this machine",
    "engine": "is a process here",
    "serve": "is the server",
    "worker": "is a process here",
}


def _leaves(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[str]:
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        assert found is not None
        if isinstance(found, click.Group):
            yield from _leaves(found, (*path, name))
            if not found.invoke_without_command:
                continue
        yield " ".join((*path, name))


def test_of_every_command_it_is_decided_where_it_works():
    found = set(_leaves(commands))
    assert found - {"run"} == {*THERE, *HERE}
    assert not THERE.keys() & HERE.keys()


@pytest.fixture
def typed(
    server: Served, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """What a command says, here or by way of the server; both see the same home."""
    monkeypatch.setenv("SHIPWAY_HOME", str(server.home))

    def say(line: str, *, there: bool) -> tuple[int, str, str]:
        if there:
            monkeypatch.setenv("SHIPWAY_URL", server.url)
        else:
            monkeypatch.delenv("SHIPWAY_URL", raising=False)
        code = main(line.split())
        return (code, *capfd.readouterr())

    return say


@pytest.mark.parametrize("line", [line for line in THERE.values() if line is not None])
def test_it_says_the_same_by_way_of_a_server(typed, line):
    assert typed(line, there=True) == typed(line, there=False)


def test_a_flag_is_made_changed_and_rolled_out_by_way_of_a_server(typed):
    new = (
        "flag set new.editor --create --about an-editor --owner web --expires 2030-01-31 --why try"
    )
    assert typed(new, there=True)[0] == 0
    rule = "flag set new.editor --when role=admin,owner --variant on --why staff --json"
    assert typed(rule, there=True)[0] == 0
    assert typed("flag rollout new.editor 25", there=True)[0] == 0
    here = typed("flag get new.editor --for ada --role admin --json", there=False)
    assert '"variant": "on"' in here[1]
    assert '"percent": 25.0' in here[1]
    assert typed("flag history new.editor --json", there=True) == typed(
        "flag history new.editor --json", there=False
    )
    code, _, said = typed(new, there=True)
    assert (code, "new.editor already" in said) == (2, True)


def test_what_looks_after_the_database_says_that_it_is_the_one_here(typed):
    code, _, said = typed("db check", there=True)
    assert code == 0
    assert "not that of the server at SHIPWAY_URL" in said
