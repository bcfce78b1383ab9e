"""A server that drains as ours does, with an application that takes its time: a program for tests."""

from __future__ import annotations

import asyncio
import json
import sys
import time

from shipway.health.check import Answer
from shipway.resilience.adaptive import AdaptiveLimit, AdaptivePolicy
from shipway.server.drain import DrainServer, Times
from shipway.server.edge import Edge, Limits, Traffic
from shipway.server.protocol import Protocol
from shipway.server.sockets import address_of, own
from shipway.telemetry.logs import configure


async def app(scope, _receive, send):
    """``.../N`` answers after N seconds; ``/stuck/N`` holds the whole loop for so long."""
    what, seconds = scope["path"].split("/")[-2:]
    if what == "stuck":
        time.sleep(float(seconds))  # noqa: ASYNC251 - that is the point
    await asyncio.sleep(float(seconds))
    headers = [(b"content-length", b"4")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"done"})


def say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def main() -> None:
    configure("error")
    times = Times(*json.loads(sys.argv[1]))
    listener = own("127.0.0.1", 0)
    traffic = Traffic(hosts=frozenset({b"127.0.0.1"}))
    given = json.loads(sys.argv[2])
    Protocol.headers_within = given.get("headers_within", Protocol.headers_within)
    room = AdaptivePolicy(initial=4, least=4, most=4) if given else AdaptivePolicy()
    edge = Edge(
        app,
        traffic,
        lambda _header: True,
        limits=Limits(**given.get("limits", {})),
        admission=AdaptiveLimit(room),
        health={"/health": lambda: Answer(200, b"alive", {})},
    )
    server = DrainServer(
        edge,
        traffic,
        times,
        asked=lambda: say("asked"),
        closed=lambda: say("closed"),
        connections=given.get("connections", 4096),
    )
    say(address_of(listener))
    server.run(sockets=[listener])
    say("ended")


if __name__ == "__main__":
    main()
