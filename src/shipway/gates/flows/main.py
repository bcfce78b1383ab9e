"""Reads the plan from standard input, walks its checks, writes one JSON report."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from shipway.gates.flows.client import Client, Credentials, Failed, Impossible, Json
from shipway.gates.flows.values import same
from shipway.gates.flows.walks import WALKS, read_back
from shipway.gates.flows.world import Row, World

POLL_S = 0.05


def main(arguments: list[str]) -> int:
    """``wait``, ``walk`` or ``after``: see each function. The report goes to the named file."""
    what, target = arguments
    asked = json.load(sys.stdin)
    report = {"wait": wait, "walk": walk, "after": after}[what](asked)
    Path(target).write_text(json.dumps(report), encoding="utf-8")
    return 0


def _client(asked: Json) -> Client:
    plan = asked["plan"]
    held = {
        one["id"]: Credentials(one, asked["secrets"][one["setting"]])
        for one in plan["security_schemes"]
        if one["setting"] in asked["secrets"]
    }
    return Client("127.0.0.1", asked["port"], plan["prefix"], held)


def wait(asked: Json) -> Json:
    """Ask for health until it is there or ``seconds`` are over; the last answer is the evidence."""
    client = Client("127.0.0.1", asked["port"], "", {})
    until = time.monotonic() + asked["seconds"]
    said: Json = {"healthy": False, "status": None, "message": "no answer"}
    while not said["healthy"] and time.monotonic() < until:
        try:
            answer = client.exchange("GET", asked["health"], {}, None, {})
            said = {
                "healthy": 200 <= answer.status < 300,
                "status": answer.status,
                "message": answer.raw[:200].decode("utf-8", "replace"),
            }
        except Failed as error:
            said["message"] = str(error)
        if not said["healthy"]:
            time.sleep(POLL_S)
    return said


def walk(asked: Json) -> Json:
    """Every check but what needs a restart; rows to look for after one are remembered."""
    world = World(asked["plan"], _client(asked))
    checks, kept = [], []
    for check in asked["plan"]["checks"]:
        if check["kind"] == "persists":
            made = _judge(world, check, lambda w, c: kept.append(_remember(w, c)))
            if made["verdict"] != "passed":
                checks.append(made)
        else:
            checks.append(_judge(world, check, WALKS[check["kind"]]))
    return {"complete": True, "checks": checks, "kept": kept}


def _remember(world: World, check: Json) -> Json:
    """Make the row that has to be there after a restart, and read it once."""
    named = [world.operations[one] for one in check["operations"] if one in world.operations]
    making = next((one for one in named if one["behaviour"] in {"create", "replace"}), None)
    if making is None:
        raise Impossible("the check names no operation that makes a row")
    row = world.make(world.entity_of(making), check["operations"])
    got = read_back(world, row, check["operations"])
    return {
        "check": check, "entity": row.entity["name"], "key": row.key, "path": row.path,
        "sent": row.sent, "got": row.got if got is None else got,
    }  # fmt: skip


def after(asked: Json) -> Json:
    """After a restart on the same data: every remembered row is there as it was."""
    world = World(asked["plan"], _client(asked))
    checks = [_judge(world, one["check"], _still(one)) for one in asked["kept"]]
    return {"complete": True, "checks": checks}


def _still(kept: Json) -> Callable[[World, Json], None]:
    def look(world: World, check: Json) -> None:
        row = Row(
            world.entities[kept["entity"]], kept["key"], kept["sent"], kept["got"], kept["path"]
        )
        now = read_back(world, row, check["operations"])
        if now is None:
            now = _listed(world, row, check)
        for name, value in (kept["got"] or {}).items():
            if not same(None, value, now.get(name)):
                raise Failed(f"after a restart {name} is not what it was")

    return look


def _listed(world: World, row: Row, check: Json) -> Json:
    from shipway.gates.flows.lists import everything, same_row

    listing = world.need(row.entity, "list", check["operations"])
    for item in everything(world, listing, world.at(listing, row)):
        if same_row(world, item, row):
            found: Json = item
            return found
    raise Failed(f"after a restart {listing['id']} does not list the row any more")


def _judge(world: World, check: Json, flow: Callable[[World, Json], Any]) -> Json:
    """One check's entry: how it went, every request, and the command that repeats the last one."""
    world.client.calls.clear()
    verdict, message = "passed", check["title"]
    try:
        flow(world, check)
    except Failed as error:
        verdict, message = "failed", str(error)
    except Impossible as error:
        verdict, message = "impossible", str(error)
    except Exception as error:  # noqa: BLE001 - a fault of ours must not look like one of the service
        verdict, message = "error", f"the flow broke: {type(error).__name__}: {error}"
    calls = [{k: v for k, v in call.items() if k != "curl"} for call in world.client.calls]
    last = world.client.calls[-1]["curl"] if world.client.calls else None
    return {
        "id": check["id"], "kind": check["kind"], "verdict": verdict, "message": message,
        "requests": calls, "reproduce": last if verdict == "failed" else None,
    }  # fmt: skip
