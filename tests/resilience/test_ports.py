"""Every way out of the process is guarded: who adds one without a guard is told here."""

from __future__ import annotations

import ast
import socket
from pathlib import Path

import pytest

import shipway
from shipway.errors import CommandError
from shipway.resilience.ports import PORTS
from shipway.workspace.gitcommand import git

SOURCE = Path(shipway.__file__).parent
#: What can reach something outside of this process.
WAYS_OUT = {
    "http.client",
    "urllib.request",
    "httpx",
    "requests",
    "aiohttp",
    "redis",
    "psycopg",
    "psycopg_pool",
    "procrastinate",
    "openai",
    "pydantic_ai",
    "acp",
    "smtplib",
}
CALLS = {"create_connection", "open_connection"}
#: A command in the fence that has the network is a way out as well.
OPENED = "network"
#: Not guarded, and why a guard would be wrong.
BARE = {
    "release/probe.py": "it is itself the check of health: each question has its own time-out, and no answer"
    " is what it is there to find out",
    "agents/implementing/session.py": "it speaks over pipes to a process of its own, in the fence and with"
    " a time-out",
    "engine/dispatch/fleet/queue.py": "the queue's library keeps its own pool to the database and its own"
    " pauses between tries; what it loses is reconciled from the orders",
    "engine/dispatch/fleet/listening.py": "the same: it listens, and connects again by itself",
    "agents/implement.py": "the command is the user's own, and so is whether it may use the network;"
    " it runs in the fence for the time that the stage has left, and the stage has its retries",
    "gates/comparison.py": "the same for the base policy's own `prepare`",
    "workspace/fence.py": "it only says in its report whether the network was closed",
    "gates/flows/client.py": "it judges a candidate inside the fence: an answer that fails must not be"
    " asked for again",
}


def ways_out(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
        elif isinstance(node, ast.Attribute) and node.attr in CALLS:
            yield node.attr
        elif isinstance(node, ast.Call):
            yield from (
                OPENED for word in node.keywords if word.arg == OPENED and may_be(word.value)
            )


def may_be(value):
    """Whether an argument is anything but a plain False."""
    return not (isinstance(value, ast.Constant) and value.value is False)


def reaches_out(text):
    return any(
        way in CALLS or way == OPENED or way in WAYS_OUT or way.split(".")[0] in WAYS_OUT
        for way in ways_out(text)
    )


def guarded_by(text):
    return {
        node.args[0].value
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in {"guard", "standing"}
        and isinstance(node.args[0], ast.Constant)
    }


def modules():
    words = [way.split(".")[-1] for way in WAYS_OUT] + [*CALLS, f"{OPENED}="]
    for path in sorted(SOURCE.rglob("*.py")):
        name = path.relative_to(SOURCE).as_posix()
        if not name.startswith("agents/templates/"):
            text = path.read_text("utf-8")
            if any(word in text for word in words):  # only these are worth parsing
                yield name, text


def test_no_way_out_is_bare():
    found = {name: guarded_by(text) for name, text in modules() if reaches_out(text)}
    bare = {name for name, guards in found.items() if not guards & set(PORTS)}
    there = {name for name in BARE if (SOURCE / name).exists()}
    assert bare == there, "guard it (shipway.resilience.ports), or say here why not"
    assert {guard for guards in found.values() for guard in guards} == set(PORTS)


def test_a_bare_way_out_is_seen():
    assert reaches_out("import httpx\n")
    assert reaches_out("from redis import asyncio as aioredis\n")
    assert reaches_out(
        "import asyncio\nasync def f():\n    await asyncio.open_connection('x', 1)\n"
    )
    assert not reaches_out("import json\nfrom shipway.bus.redis import RedisBus\n")
    assert reaches_out("Command(('pip',), place, network=True)\n")
    assert not reaches_out("Command(('cat',), place, network=False)\n")
    assert guarded_by("port = guard('redis')\n") == {"redis"}


#: Who starts programs, and why none of them reaches out of the machine by itself.
PROGRAMS = {
    "agents/scaffold.py": "our own renderer, over files, with a time limit",
    "engine/host.py": "our own engine",
    "gates/importing.py": "a Python in the fence, with a time limit",
    "health/ground.py": "asks programs of this machine for their version, with a time limit",
    "release/releases.py": "our own supervisor",
    "release/running.py": "the candidate's own service: watched by its health, and started again",
    "server/serving.py": "asks git which revision this checkout is",
    "workspace/environments.py": "asks our Python about itself; what installs is behind a guard",
    "workspace/fence.py": "commands in the fence: those with the network are among the ways out above",
    "workspace/gitcommand.py": "git may use no protocol but files (see test_git_reaches_no_network)",
    "workspace/interpreters.py": "asks Pythons on this machine for their version, with a time limit",
}
#: Calls of ``subprocess`` and ``asyncio`` that start a program.
STARTS = {
    ("subprocess", "run"),
    ("subprocess", "Popen"),
    ("asyncio", "create_subprocess_exec"),
    ("asyncio", "create_subprocess_shell"),
}


def starts_programs(text):
    return any(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and (node.func.value.id, node.func.attr) in STARTS
        for node in ast.walk(ast.parse(text))
    )


def test_every_program_that_is_started_is_known_not_to_reach_out():
    found = {
        path.relative_to(SOURCE).as_posix()
        for path in SOURCE.rglob("*.py")
        if "subprocess" in (text := path.read_text("utf-8")) and starts_programs(text)
    }
    found = {name for name in found if not name.startswith("agents/templates/")}
    assert found == set(PROGRAMS), "guard it, or say here why it reaches nobody outside"


def test_git_reaches_no_network(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.2)
        for scheme in ("http", "git", "ssh"):
            address = f"{scheme}://127.0.0.1:{listener.getsockname()[1]}/x"
            with pytest.raises(CommandError, match="not allowed"):
                git("ls-remote", address, cwd=tmp_path)
        with pytest.raises(TimeoutError):
            listener.accept()
