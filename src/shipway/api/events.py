"""``/api/v1/events`` and ``/runs/{ref}/events``: server-sent events that begin where a reader left off."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Header, Query, Response
from pydantic import StringConstraints
from starlette.types import Receive, Scope, Send

from shipway.api import wire
from shipway.api.backend import Here
from shipway.api.feed import PAGE, Feed
from shipway.api.routing import Route, problems
from shipway.api.runs import Ref
from shipway.contracts.views import EventView, FeedEvent

router = APIRouter(prefix="/api/v1", tags=["events"], route_class=Route)

#: Seconds: between signs of life, and after which a reader that takes nothing is too slow.
BEAT_EVERY, SLOW_AFTER = 15.0, 5.0
_RETRY = b"retry: 1000\n"

Place = Annotated[
    str | None,
    Header(description="the id of the last event that was seen; begins after it"),
    StringConstraints(pattern=r"^[0-9]{1,18}$"),
]


class StreamQuestion(wire.Question):
    """``after`` is for callers that cannot send Last-Event-ID; that one counts if both are given."""

    after: Annotated[str, StringConstraints(pattern=r"^(now|[0-9]{1,18})$")] | None = None


_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "events: backlog first, then live",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}
Chunk = tuple[int, bytes]


@router.get(
    "/events",
    operation_id="followEvents",
    summary="The events of all runs, live",
    response_class=Response,
    responses=problems() | _STREAM,
)
async def follow(
    here: Here, asked: Annotated[StreamQuestion, Query()], last_event_id: Place = None
) -> Response:
    after = last_event_id or asked.after or "0"
    if after == "now":
        after = str(await asyncio.to_thread(here.system.queries.position_now))

    async def more(place: int) -> Sequence[Chunk]:
        return [
            (event.position, written(event.position, event)) for event in await feed.since(place)
        ]

    feed = here.feed
    return EventStream(Reading(feed, int(after), more))


@router.get(
    "/runs/{ref}/events",
    operation_id="followRun",
    summary="The events of one run, live, until it is over",
    response_class=Response,
    responses=problems(404, 409)
    | _STREAM
    | {204: {"description": "it is over, and nothing follows what was seen"}},
)
async def follow_run(
    ref: Ref,
    here: Here,
    asked: Annotated[StreamQuestion, Query()],
    last_event_id: Place = None,
) -> Response:
    queries = here.system.queries
    run = await asyncio.to_thread(queries.resolve, ref)
    after = last_event_id or asked.after or "0"
    if after == "now":
        found = await asyncio.to_thread(queries.events, run)
        after = str(found[-1].seq if found else 0)

    async def more(place: int) -> Sequence[Chunk]:
        found = await asyncio.to_thread(queries.events, run, place, PAGE)
        return [(event.seq, written(event.seq, event)) for event in found]

    async def over() -> bool:
        return (await asyncio.to_thread(queries.status, run)).is_final

    if last_event_id is not None and await over() and not await more(int(after)):
        return Response(status_code=204)
    return EventStream(Reading(here.feed, int(after), more, over, run))


def written(place: int, event: EventView | FeedEvent) -> bytes:
    """One event on the wire; JSON has no line ends, so that one ``data`` line is enough."""
    return b"id: %d\ndata: %b\n\n" % (place, orjson.dumps(event.model_dump(mode="json")))


def _control(name: str, **told: Any) -> bytes:
    return b"event: %b\n%bdata: %b\n\n" % (name.encode(), _RETRY, orjson.dumps(told))


@dataclass(slots=True)
class Reading:
    """Where a reader is, how it gets what follows, and whether anything still can."""

    feed: Feed
    place: int
    more: Callable[[int], Awaitable[Sequence[Chunk]]]
    over: Callable[[], Awaitable[bool]] | None = None
    run: str | None = None


class EventStream(Response):
    """Reads on for as long as the caller takes it; holds a page at most."""

    media_type = "text/event-stream"

    def __init__(
        self, reading: Reading, *, beat_every: float = BEAT_EVERY, slow_after: float = SLOW_AFTER
    ) -> None:
        super().__init__(headers={"cache-control": "no-store", "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._reading = reading
        self._beat_every = beat_every
        self._slow_after = slow_after

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until the caller goes, the run is over, the reader is too slow or the server stops."""
        del scope
        with self._reading.feed.reader(self._reading.run) as bell:
            gone = asyncio.create_task(_gone(receive))
            try:
                await send(
                    {
                        "type": "http.response.start",
                        "status": 200,
                        "headers": self.raw_headers,
                    }
                )
                last = await self._stream(bell, gone, send)
                await _send(send, last, more=False)
            finally:
                gone.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await gone

    async def _stream(self, bell: asyncio.Event, gone: asyncio.Task[None], send: Send) -> bytes:
        """Everything but the last words, which are returned."""
        reading = self._reading
        await _send(send, _RETRY + b"\n")
        while not gone.done():
            bell.clear()
            chunks = await reading.more(reading.place)
            if chunks:
                reading.place = chunks[-1][0]
                began = time.monotonic()
                await _send(send, b"".join(data for _, data in chunks))
                if time.monotonic() - began > self._slow_after:
                    return _control("slow", after=reading.place)
            elif reading.over is not None and await reading.over():
                if not await reading.more(reading.place):
                    return _control("end", after=reading.place)
            elif reading.feed.closing:
                return _control("bye", after=reading.place)
            elif not await _rung(bell, gone, self._beat_every):
                await _send(send, b": still here\n\n")
        return b""


async def _rung(bell: asyncio.Event, gone: asyncio.Task[None], seconds: float) -> bool:
    """Wait for news or for the caller to go; False when it is time for a sign of life."""
    news = asyncio.create_task(bell.wait())
    try:
        done, _ = await asyncio.wait({news, gone}, timeout=seconds, return_when="FIRST_COMPLETED")
    finally:
        news.cancel()
    return bool(done)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue


async def _send(send: Send, data: bytes, *, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": data, "more_body": more})
