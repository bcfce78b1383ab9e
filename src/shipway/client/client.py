"""Sends calls to a server, again where that is safe, and raises its problems as errors of our tree."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from functools import partial
from typing import Self, TypeVar

import httpx
import orjson

from shipway.client.calls import Call
from shipway.domain import retries
from shipway.domain.retries import RetryPolicy
from shipway.errors import NetworkError, ShipwayError
from shipway.resilience.ports import guard
from shipway.secrets import Secret
from shipway.telemetry import failures

Answer = TypeVar("Answer")

#: Times a call is sent at most, and the longest wait between two of them in seconds.
ATTEMPTS, LONGEST_WAIT = 4, 5.0
_RETRIES = RetryPolicy(ATTEMPTS - 1, base=0.5, maximum=LONGEST_WAIT)
_AGAIN = frozenset({408, 429, 502, 503, 504})
_IN_PROGRESS = "IN_PROGRESS"


class _Sending:
    """What both clients share: what is sent, whether it is sent again, and what the answer means."""

    def __init__(self, url: str, token: Secret) -> None:
        self._url = url.rstrip("/")
        self._token = token
        self._port = guard("server")

    def request(self, call: Call[Answer]) -> httpx.Request:
        headers = {"authorization": f"Bearer {self._token.reveal()}"} | dict(call.headers)
        content = call.content
        if call.body is not None:
            content = orjson.dumps(call.body)
            headers["content-type"] = "application/json"
        return httpx.Request(
            call.method,
            self._url + call.path,
            params=list(call.query),
            headers=headers,
            content=content,
        )

    def wait(self, attempt: int, came: httpx.Response | httpx.HTTPError) -> float | None:
        """Seconds until it is sent again; None when it is not."""
        if not retries.may_retry(_RETRIES, attempt):
            return None
        drawn = retries.delay(_RETRIES, attempt, random.random())  # noqa: S311 - only spreads callers
        if isinstance(came, httpx.HTTPError):
            return drawn
        busy = came.status_code == 409 and _told(came).get("code") == _IN_PROGRESS
        if came.status_code not in _AGAIN and not busy:
            return None
        told = came.headers.get("retry-after", "")
        return max(drawn, min(float(told), LONGEST_WAIT)) if told.isdigit() else drawn

    def answer(self, call: Call[Answer], came: httpx.Response | httpx.HTTPError) -> Answer:
        """What was asked for; raises the error that it came to."""
        if isinstance(came, httpx.HTTPError):
            raise NetworkError(
                f"the server at {self._url} does not answer",
                hint="see that it runs, and that SHIPWAY_URL is where; start one: shipway serve",
            ) from came
        if came.is_success:
            return call.read(came.content)
        raise _error(came)


def _parsed(data: bytes) -> dict[str, object]:
    found: dict[str, object] = orjson.loads(data)
    return found


def _told(came: httpx.Response) -> dict[str, object]:
    try:
        found = orjson.loads(came.content)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _error(came: httpx.Response) -> ShipwayError:
    """The error of the same class as the server's; ours for what only HTTP knows."""
    told = _told(came)
    kind = failures.kind_of(str(told.get("code")), came.status_code)
    detail = told.get("detail") or f"the server answered {came.status_code}"
    hint = told.get("hint")
    wait = told.get("retry_after")
    return kind(
        "\n".join([str(detail), *_fields(told)]),
        hint=None if hint is None else str(hint),
        retry_after=wait if isinstance(wait, float) else None,
    )


def _fields(told: dict[str, object]) -> list[str]:
    faults = told.get("errors")
    if not isinstance(faults, list):
        return []
    return [f"{one.get('pointer')} {one.get('detail')}" for one in faults if isinstance(one, dict)]


class Client(_Sending):
    """``with Client(url, token) as client: client.send(calls.runs())``; for one thread at a time."""

    def __init__(
        self,
        url: str,
        token: Secret,
        *,
        timeout: float = 60.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(url, token)
        self._http = httpx.Client(timeout=timeout, trust_env=False)
        self._sleep = sleep

    def health(self) -> dict[str, object]:
        """The detailed document, whatever it says; asked once, since a second try would hide a fault."""
        call = Call("GET", "/health/detailed", _parsed)
        came: httpx.Response | httpx.HTTPError
        try:
            came = self._http.send(self.request(call))
        except httpx.HTTPError as error:
            came = error
        if isinstance(came, httpx.Response) and "checks" in (told := _told(came)):
            return told
        return self.answer(call, came)

    def send(self, call: Call[Answer]) -> Answer:
        """The answer; raises the server's error, or NetworkError when it does not answer."""
        attempt = 1
        while True:
            came: httpx.Response | httpx.HTTPError
            try:
                asked = self.request(call)
                came = self._port.call_blocking(partial(self._http.send, asked))
            except httpx.HTTPError as error:
                came = error
            wait = self.wait(attempt, came)
            if wait is None:
                return self.answer(call, came)
            self._sleep(wait)
            attempt += 1

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncClient(_Sending):
    """The same for an event loop: ``await client.send(calls.runs())``."""

    def __init__(self, url: str, token: Secret, *, timeout: float = 60.0) -> None:
        super().__init__(url, token)
        self._http = httpx.AsyncClient(timeout=timeout, trust_env=False)

    async def send(self, call: Call[Answer]) -> Answer:
        """The answer; raises the server's error, or NetworkError when it does not answer."""
        attempt = 1
        while True:
            came: httpx.Response | httpx.HTTPError
            try:
                asked = self.request(call)
                came = await self._port.call(partial(self._http.send, asked))
            except httpx.HTTPError as error:
                came = error
            wait = self.wait(attempt, came)
            if wait is None:
                return self.answer(call, came)
            await asyncio.sleep(wait)
            attempt += 1

    async def close(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
