"""HTTP/1.1 on the wire: what cannot even be read is answered in our words, and nobody may dawdle."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from shipway.api.problems import Asked, body, of_refusal, refusal
from shipway.server.doorkeeper import closes
from shipway.server.edge import Edge
from shipway.server.headers import SECURITY
from shipway.telemetry.failures import MEDIA_TYPE
from shipway.telemetry.trace import Trace

#: Seconds for the headers of a request to arrive, from the first byte or the opening on.
HEADERS_WITHIN = 10.0
#: Bytes of one request's line and headers that are read at most.
HEADERS_AT_MOST = 32 * 1024
#: Seconds for a caller to take what was written, before the connection is cut.
TAKEN_WITHIN = 30.0
#: Connections that are open at once; fewer where the system gives us fewer descriptors.
CONNECTIONS_AT_MOST = 8192
_ON_ITS_WAY = 0.5


def _let_in(_data: bytes) -> bytes | None:
    """For applications behind no edge of ours."""
    return None


class Crowd(ServerState):
    """The connections of a server, at most so many: who has been silent longest gives way to the next."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most
        #: Those from whom no whole request came since they were opened or answered, oldest first.
        self.silent: dict[Protocol, None] = {}

    def speaks(self, one: Protocol) -> None:
        """It asked and was answered at once: the last in line again, if it stood there."""
        if one in self.silent:
            del self.silent[one]
            self.silent[one] = None

    def make_room(self) -> None:
        if len(self.connections) > self.most and self.silent:
            next(iter(self.silent)).give_way()


class Protocol(H11Protocol):
    """uvicorn's protocol, with a deadline for headers and errors as problem+json."""

    headers_within = HEADERS_WITHIN

    def __init__(self, *args: Any, **given: Any) -> None:
        super().__init__(*args, **given)
        state = self.server_state
        self._crowd = state if isinstance(state, Crowd) else Crowd(CONNECTIONS_AT_MOST)
        self._deadline: asyncio.TimerHandle | None = None
        self._stuck: asyncio.TimerHandle | None = None
        self._asked = False
        self._rests = True
        self._rests_since = 0.0
        self._at_the_wire = self.app.at_the_wire if isinstance(self.app, Edge) else _let_in

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A connection that says nothing is closed in time, too."""
        super().connection_made(transport)
        self._expect_headers()
        self._crowd.silent[self] = None
        self._crowd.make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadline with the connection."""
        self._stop_expecting()
        self._unstick()
        self._crowd.silent.pop(self, None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Headers that begin have to end; a request that has begun is the application's affair."""
        if (
            self._rests
            and not self.flow.write_paused
            and (answer := self._at_the_wire(data)) is not None
        ):
            self._answer_unread(answer)
            return
        super().data_received(data)
        self._rests = self._is_at_rest()
        if self.conn.their_state is h11.IDLE and self.conn.trailing_data[0]:
            self._expect_headers()
        elif self.conn.their_state is not h11.IDLE:
            self._asked = True
            self._stop_expecting()
            self._crowd.silent.pop(self, None)

    def on_response_complete(self) -> None:
        """From now on it is silent again."""
        super().on_response_complete()
        self._rests = self._is_at_rest()
        if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            self._crowd.silent[self] = None

    def give_way(self) -> None:
        """There are too many, and this one has been silent for longest."""
        self._crowd.silent.pop(self, None)
        self.transport.abort()

    def _answer_unread(self, answer: bytes) -> None:
        """h11 never hears of the request; for everybody else it was one like any other."""
        self.transport.write(answer)
        self._asked = True
        self._stop_expecting()
        self._crowd.speaks(self)
        if closes(answer):
            self.transport.close()
        else:
            self._keep_alive()

    def _is_at_rest(self) -> bool:
        """Nothing has come in that is not answered."""
        return self.conn.their_state is h11.IDLE and not self.conn.trailing_data[0]

    def _keep_alive(self) -> None:
        """From now on; a timer that runs already is told when it fires."""
        self._rests_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def timeout_keep_alive_handler(self) -> None:
        """It was silent for so long: uvicorn closes it, unless we answered something meanwhile."""
        left = self._rests_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self.timeout_keep_alive_task = self.loop.call_later(
                left, self.timeout_keep_alive_handler
            )
        else:
            super().timeout_keep_alive_handler()

    def _expect_headers(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.headers_within, self._too_slow)

    def _stop_expecting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        self._deadline = None
        if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            if self.conn.trailing_data[0]:
                self._answer(408)
            self.transport.close()

    def pause_writing(self) -> None:
        """A caller that takes nothing for so long is let go, with what was written for it."""
        super().pause_writing()
        self._stuck = self.loop.call_later(TAKEN_WITHIN, self.transport.abort)

    def resume_writing(self) -> None:
        """It takes something again."""
        self._unstick()
        super().resume_writing()

    def _unstick(self) -> None:
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None

    def shutdown(self) -> None:
        """Close what is idle; a request that is on its way in is still read and answered."""
        if not self._asked or self.conn.trailing_data[0]:
            self.loop.call_later(_ON_ITS_WAY, super().shutdown)
        else:
            super().shutdown()

    def send_400_response(self, msg: str) -> None:
        """What uvicorn calls for anything that is not HTTP: too long, or not HTTP at all."""
        too_long = len(self.conn.trailing_data[0]) > HEADERS_AT_MOST
        self._answer(431 if too_long else 400)
        self.transport.close()

    def _answer(self, status: int) -> None:
        if self.conn.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            return
        asked = Asked(secrets.token_hex(8), Trace.begin().trace_id)
        data = body(of_refusal(refusal(status), asked))
        headers = [
            *self.server_state.default_headers,
            (b"content-type", MEDIA_TYPE.encode()),
            (b"content-length", b"%d" % len(data)),
            (b"cache-control", b"no-store"),
            (b"connection", b"close"),
            (b"x-request-id", asked.request_id.encode()),
            *SECURITY,
        ]
        for event in (
            h11.Response(status_code=status, headers=headers),
            h11.Data(data=data),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
