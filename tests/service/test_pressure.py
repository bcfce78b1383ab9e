"""More than can be served: it is refused at once, with a time to come back, and health still answers."""

from __future__ import annotations

import asyncio
from typing import Any

from shipway.resilience.adaptive import AdaptiveLimit, AdaptivePolicy
from shipway.server.edge import Edge, Traffic


async def asked(edge: Edge, path: str) -> tuple[int, dict[bytes, bytes]]:
    """The status and the headers of a GET."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1")],
    }
    await edge(scope, receive, send)
    return sent[0]["status"], dict(sent[0]["headers"])


def test_what_is_too_much_is_shed_early_and_health_answers():
    async def work() -> None:
        go = asyncio.Event()

        async def app(scope, _receive, send):
            if scope["path"] != "/health":
                await go.wait()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        limit = AdaptiveLimit(AdaptivePolicy(initial=2, least=2, most=2))
        traffic = Traffic(hosts=frozenset({b"127.0.0.1"}))
        edge = Edge(app, traffic, lambda _header: True, admission=limit)
        served = [asyncio.create_task(asked(edge, "/api/v1/runs")) for _ in range(2)]
        while traffic.in_flight < 2:  # noqa: ASYNC110 - both have to be inside
            await asyncio.sleep(0)
        status, headers = await asked(edge, "/api/v1/runs")
        assert (status, headers[b"retry-after"]) == (503, b"1")
        assert headers[b"content-type"] == b"application/problem+json"
        assert (await asked(edge, "/health"))[0] == 200
        go.set()
        assert [one[0] for one in await asyncio.gather(*served)] == [200, 200]
        assert (await asked(edge, "/api/v1/runs"))[0] == 200
        assert traffic.in_flight == 0

    asyncio.run(work())
