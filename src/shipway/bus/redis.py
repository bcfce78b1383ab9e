"""The doorbell of many machines: Redis, held so that a dead or stalled one costs milliseconds.

redis-py's own defaults make a stalled server cost a minute for each command; the values here make
it half a second once, after which the server is left alone for a moment.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Sequence
from typing import Any, cast

import structlog
from redis import asyncio as aioredis
from redis.exceptions import RedisError

from shipway.bus.doorbell import LONGEST, Listener, Ring
from shipway.errors import CircuitOpenError, NetworkError
from shipway.resilience.ports import guard
from shipway.secrets.redact import redact

_COMMAND = 0.5
_CONNECT = 0.25
_POOL = 16
_WAIT_FOR_ONE = 0.25
_AGAIN = 0.5
_LOOK = 0.25
_QUIET = 5.0
_FAULTS = (RedisError, OSError, TimeoutError)


class RedisBus:
    """Commands go over a bounded pool, listening over a connection of its own.

    ``prefix`` keeps apart what several installations keep in one server.
    """

    def __init__(self, url: str, prefix: str = "shipway") -> None:
        self._url = url
        self._prefix = f"{prefix}:"
        self._listeners: list[Listener] = []
        self._commands: aioredis.Redis
        self._subscribed: asyncio.Task[None] | None = None
        self._topics: set[str] = set()
        self._changed = asyncio.Event()
        self._port = guard("redis")
        self._log = structlog.get_logger("bus")
        self._reachable: bool | None = None

    async def open(self) -> None:
        pool = aioredis.BlockingConnectionPool.from_url(
            self._url,
            max_connections=_POOL,
            timeout=_WAIT_FOR_ONE,
            socket_timeout=_COMMAND,
            socket_connect_timeout=_CONNECT,
            retry=None,
        )
        self._commands = aioredis.Redis(connection_pool=pool)
        self._subscribed = asyncio.create_task(self._listen(), name="redis bell")

    async def close(self) -> None:
        if self._subscribed is not None:
            self._subscribed.cancel()
            await asyncio.wait([self._subscribed])
            self._subscribed = None
        with contextlib.suppress(*_FAULTS):
            await self._commands.aclose(close_connection_pool=True)

    def listener(self, *topics: str) -> Listener:
        made = Listener(frozenset(topics), self._forget)
        self._listeners.append(made)
        self._change()
        return made

    async def ring(self, *rings: Ring) -> bool:
        """One round trip for all of them."""
        try:
            async with self._commands.pipeline(transaction=False) as pipe:
                for ring in rings:
                    pipe.publish(self._prefix + ring.topic, ring.data[:LONGEST])
                await self._guard(pipe.execute())
        except NetworkError:
            return False
        return True

    async def evaluate(self, script: str, keys: Sequence[str], *values: Any) -> Any:
        """Run a script on the server (EVAL; 6.2 or later); raises NetworkError within half a second.

        A script gives every key that it writes an expiry.
        """
        named = [self._prefix + key for key in keys]
        asked = self._commands.eval(script, len(named), *named, *values)
        return await self._guard(asked)

    async def reachable(self) -> bool:
        """Whether the server answers now."""
        try:
            await self._guard(cast("Awaitable[Any]", self._commands.ping()))
        except NetworkError:
            return False
        return True

    async def _guard(self, asked: Awaitable[Any]) -> Any:
        """Wait for a command, but never long, and not at all right after one that failed."""

        async def work() -> Any:
            try:
                return await asked
            except _FAULTS as error:
                self._note(reachable=False, why=type(error).__name__)
                raise _unreachable() from error

        try:
            answer = await self._port.call(work)
        except CircuitOpenError as error:
            if asyncio.iscoroutine(asked):
                asked.close()
            raise _unreachable() from error
        except NetworkError as error:
            self._note(reachable=False, why=type(error).__name__)
            raise _unreachable() from error
        self._note(reachable=True)
        return answer

    # Listening

    def _forget(self, listener: Listener) -> None:
        self._listeners.remove(listener)
        self._change()

    def _change(self) -> None:
        self._topics = {topic for listener in self._listeners for topic in listener.topics}
        self._changed.set()

    async def _listen(self) -> None:
        """For ever: connect, subscribe, hear; and again when the server went away."""
        while True:
            client = aioredis.Redis.from_url(
                self._url, socket_timeout=_COMMAND, socket_connect_timeout=_CONNECT, retry=None
            )
            try:
                async with client, client.pubsub() as subscription:
                    await self._follow(subscription)
            except _FAULTS as error:
                self._note(reachable=False, why=type(error).__name__)
            await asyncio.sleep(_AGAIN)

    async def _follow(self, subscription: Any) -> None:
        """Hear until the connection fails; a quiet one is asked now and then whether it lives."""
        subscribed: set[str] = set()
        asked = heard_at = time.monotonic()
        while True:
            subscribed = await self._subscribe(subscription, subscribed)
            if not subscribed:
                await self._changed.wait()
                continue
            message = await subscription.get_message(timeout=_LOOK)
            now = time.monotonic()
            if message is not None:
                heard_at = now
                self._hear(message)
            elif now - heard_at > _QUIET + 1:
                raise TimeoutError
            elif now - max(asked, heard_at) > _QUIET / 2:
                asked = now
                await subscription.ping()

    async def _subscribe(self, subscription: Any, known: set[str]) -> set[str]:
        self._changed.clear()
        wanted = set(self._topics)
        if gone := known - wanted:
            await subscription.unsubscribe(*(self._prefix + topic for topic in gone))
        if new := wanted - known:
            await subscription.subscribe(*(self._prefix + topic for topic in new))
        return wanted

    def _hear(self, message: dict[str, Any]) -> None:
        if message["type"] == "message":
            topic = message["channel"].decode(errors="replace").removeprefix(self._prefix)
            for listener in self._listeners:
                listener.hear(Ring(topic, message["data"]))

    def _note(self, *, reachable: bool, why: str | None = None) -> None:
        """One line when it goes and one when it comes back, not one for each command."""
        if reachable is self._reachable:
            return
        first, self._reachable = self._reachable is None, reachable
        if not reachable:
            self._log.warning("redis cannot be reached", why=why, url=redact(self._url))
        elif not first:
            self._log.info("redis is back")


def _unreachable() -> NetworkError:
    return NetworkError(
        "Redis does not answer", hint="everything works without it, slower; see SHIPWAY_REDIS_URL"
    )
