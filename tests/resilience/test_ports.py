"""Every way out of the process is guarded: who adds one without a guard is told here."""

from __future__ import annotations

import ast
from pathlib import Path

import shipway
from shipway.resilience.ports import PORTS

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
#: Not guarded, and why a guard would be wrong.
BARE = {
    "release/probe.py": "it is itself the check of health: each question has its own time-out, and no answer"
    " is what it is there to find out",
    "agents/implementing/session.py": "it speaks over pipes to a process of its own, in the fence and with"
    " a time-out",
    "engine/dispatch/fleet/queue.py": "the queue's library keeps its own pool to the database and its own"
    " pauses between tries; what it loses is reconciled from the orders",
    "engine/dispatch/fleet/listening.py": "the same: it listens, and connects again by itself",
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


def reaches_out(text):
    return any(
        way in CALLS or way in WAYS_OUT or way.split(".")[0] in WAYS_OUT for way in ways_out(text)
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
    words = [way.split(".")[-1] for way in WAYS_OUT] + list(CALLS)
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
    assert guarded_by("port = guard('redis')\n") == {"redis"}
