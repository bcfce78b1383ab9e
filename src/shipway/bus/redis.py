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
from shipway.bus.link import Server
from shipway.errors import CircuitOpenError, NetworkError
from shipway.resilience.ports import guard
from shipway.secrets.redact import redact

#: Seconds that a command may take, to be connected and answered.
PATIENCE = 0.5
#: A command is one round trip for all that was asked in one turn of the loop: few connections do.
POOL = 4
#: The first whose scripts may ask for the time and write afterwards.
OLDEST = (6, 2)
_AGAIN = 0.5
_LOOK = 1.0
_QUIET = 4.0
_FAULTS = (RedisError, OSError, TimeoutError)
_Script = tuple[str, list[str], tuple[Any, ...]]


class RedisBus:
    """Commands go over a bounded pool, listening over a connection of its own.

    ``prefix`` keeps apart what several installations keep in one server. Scripts that are asked for
    in one turn of the loop travel together.
    """

    def __init__(self, url: str, prefix: str = "shipway", patience: float = PATIENCE) -> None:
        self._url = url
        self._patience = patience
        self._prefix = f"{prefix}:"
        self._listeners: list[Listener] = []
        self._subscribed: asyncio.Task[None] | None = None
        self._topics: set[str] = set()
        self._changed = asyncio.Event()
        self._port = guard("redis", per_try=patience * 1.5)
        self._asked: list[tuple[_Script, asyncio.Future[Any]]] = []
        self._asking: set[asyncio.Task[None]] = set()
        self.up = False
        self._log = structlog.get_logger("bus")
        self._reachable: bool | None = None

        pool = aioredis.BlockingConnectionPool.from_url(
            self._url,
            max_connections=POOL,
            timeout=self._patience / 2,
            socket_timeout=self._patience,
            socket_connect_timeout=self._patience / 2,
            retry=None,
        )
        self._commands = aioredis.Redis(connection_pool=pool)

    async def open(self) -> None:
        self._subscribed = asyncio.create_task(self._listen(), name="redis bell")

    async def close(self) -> None:
        if self._subscribed is not None:
            self._subscribed.cancel()
            await asyncio.wait([self._subscribed])
            self._subscribed = None
        self.up = False
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
        answer = asyncio.get_running_loop().create_future()
        if not self._asked:
            asyncio.get_running_loop().call_soon(self._ask_all)
        self._asked.append(((script, [self._prefix + key for key in keys], values), answer))
        return await answer

    def _ask_all(self) -> None:
        asked, self._asked = self._asked, []
        task = asyncio.get_running_loop().create_task(self._evaluate(asked), name="scripts")
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _evaluate(self, asked: list[tuple[_Script, asyncio.Future[Any]]]) -> None:
        """One round trip; a script that the server refuses fails alone."""
        try:
            async with self._commands.pipeline(transaction=False) as pipe:
                for (script, keys, values), _ in asked:
                    pipe.eval(script, len(keys), *keys, *values)
                answers = await self._guard(pipe.execute(raise_on_error=False))
        except NetworkError as error:
            answers = [error] * len(asked)
        for (_, future), answer in zip(asked, answers, strict=True):
            if future.done():
                continue  # who asked has gone
            if isinstance(answer, Exception):
                future.set_exception(_as_ours(answer))
            else:
                future.set_result(answer)

    async def reachable(self) -> bool:
        """Whether the server answers now."""
        try:
            await self._guard(cast("Awaitable[Any]", self._commands.ping()))
        except NetworkError:
            return False
        return True

    async def about(self) -> Server:
        """What the server says of itself; raises NetworkError."""
        found = await self._guard(self._commands.info())
        version = str(found["redis_version"])
        return Server(
            version,
            tuple(int(part) for part in version.split(".")[:2]) >= OLDEST,
            int(found["used_memory"]),
            int(found.get("maxmemory", 0)),
        )

    def usage(self) -> tuple[int, int, int]:
        """Connections in use for commands, how many there may be, and who waits for one."""
        active = self._port.bulkhead.details.active
        return min(active, POOL), POOL, max(0, active - POOL)

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
                self._url,
                socket_timeout=self._patience,
                socket_connect_timeout=self._patience / 2,
                retry=None,
            )
            try:
                async with client, client.pubsub() as subscription:
                    await self._follow(subscription)
            except _FAULTS as error:
                self._note(reachable=False, why=type(error).__name__)
            self.up = False
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
                heard_at, self.up = now, True
                self._hear(message)
            elif now - heard_at > _QUIET + self._patience:
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
        kind = message["type"]
        if kind not in {"message", "subscribe"}:
            return
        topic = message["channel"].decode(errors="replace").removeprefix(self._prefix)
        for listener in self._listeners:
            if kind == "message":
                listener.hear(Ring(topic, message["data"]))
            else:  # what rang until the server knew of us is lost
                listener.was_deaf(topic)

    def _note(self, *, reachable: bool, why: str | None = None) -> None:
        """One line when it goes and one when it comes back, not one for each command."""
        if reachable is self._reachable:
            return
        first, self._reachable = self._reachable is None, reachable
        if not reachable:
            self._log.warning("redis cannot be reached", why=why, url=redact(self._url))
        elif not first:
            self._log.info("redis is back")


def _as_ours(error: Exception) -> NetworkError:
    """Its own exception for each who waits; a server that refuses is one that cannot be used."""
    made = _unreachable()
    made.__cause__ = error
    return made


def _unreachable() -> NetworkError:
    return NetworkError(
        "Redis does not answer", hint="everything works without it, slower; see SHIPWAY_REDIS_URL"
    )
