"""Asks one check again and again: with a time-out, in one place at a time, with hysteresis."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import threading
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from queue import SimpleQueue
from typing import Any

import structlog

from shipway.health.check import Finding, HealthCheck, Status
from shipway.secrets import redact
from shipway.telemetry import metrics

WORSE_AFTER = 2
"""Results in a row that a check takes to become worse; better it becomes at once."""
CONFIRM_AFTER = 0.05
STALE_AFTER = 3.0
_LONGEST_OUTPUT = 300

_log = structlog.get_logger("health")


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a check stands: what is told of it, and what was seen last."""

    status: Status
    seen: Finding
    since: float
    """When the status became what it is, in seconds since 1970."""
    at: float
    """When it was last asked, likewise."""
    answered: float
    """The same on the clock that never jumps, to tell how old this is."""
    latency: float
    worse: int = 0
    """How many results in a row were worse than the status."""

    def is_stale(self, now: float) -> bool:
        return now - self.answered > STALE_AFTER


class Prober:
    """One check and where it stands; ``run`` asks until it is cancelled."""

    def __init__(self, check: HealthCheck) -> None:
        self.check = check
        self.standing: Standing | None = None
        self._asked: asyncio.Task[Finding] | None = None
        self._asked_at = 0.0
        self._thread = _Thread(check)

    async def run(self) -> None:
        try:
            while True:
                await self.ask()
                doubtful = self.standing is not None and self.standing.worse > 0
                await asyncio.sleep(CONFIRM_AFTER if doubtful else self.check.every)
        finally:
            self.close()

    def close(self) -> None:
        """Ask no more; who has not come back by now is left alone."""
        if self._asked is not None:
            self._asked.cancel()
        self._thread.close()

    async def ask(self) -> Standing:
        """Ask once and take the answer in."""
        began = time.monotonic()
        finding = await self._answer(began)
        now = time.monotonic()
        self._take_in(finding, now, now - began)
        assert self.standing is not None  # noqa: S101 - just taken in
        return self.standing

    async def _answer(self, now: float) -> Finding:
        """What the probe says within its time. One that hangs is left alone and not asked again."""
        if self._asked is not None and not self._asked.done():
            return Finding(Status.FAIL, f"no answer for {now - self._asked_at:.1f} s")
        self._asked_at = now
        self._asked = asyncio.create_task(self._probed(), name=f"health {self.check.name}")
        done, _ = await asyncio.wait({self._asked}, timeout=self.check.timeout)
        if not done:
            if inspect.iscoroutinefunction(self.check.probe):
                self._asked.cancel()  # it may not listen: some drivers wait for their server first
            return Finding(Status.FAIL, f"no answer within {self.check.timeout:g} s")
        return self._asked.result()

    async def _probed(self) -> Finding:
        probe = self.check.probe
        try:
            if inspect.iscoroutinefunction(probe):
                finding: Finding = await probe()
            else:
                finding = await self._thread.answer()
        except Exception as error:  # noqa: BLE001 - a check that breaks has found a fault
            words = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            return Finding(Status.FAIL, _shown(words))
        return replace(finding, output=_shown(finding.output)) if finding.output else finding

    def _take_in(self, seen: Finding, now: float, latency: float) -> None:
        before, wall = self.standing, time.time()
        metrics.HEALTH.of(self.check.name).set(seen.status.rank)
        if before is None:
            self.standing = Standing(seen.status, seen, wall, wall, now, latency)
            return
        worse = before.worse + 1 if seen.status.rank > before.status.rank else 0
        if worse in range(1, WORSE_AFTER):
            self.standing = replace(
                before, seen=seen, at=wall, answered=now, latency=latency, worse=worse
            )
            return
        since = before.since if seen.status is before.status else wall
        self.standing = Standing(seen.status, seen, since, wall, now, latency)
        if seen.status is not before.status:
            tell = _log.info if seen.status is Status.PASS else _log.warning
            tell("health changed", check=self.check.name, status=seen.status, output=seen.output)


class _Thread:
    """The one thread in which a plain probe is asked: one that hangs costs nobody else anything.

    Always the same one, since connections of a database may belong to the thread that opened them.
    """

    def __init__(self, check: HealthCheck) -> None:
        self._check = check
        self._jobs: SimpleQueue[tuple[asyncio.AbstractEventLoop, asyncio.Future[Finding]] | None]
        self._jobs = SimpleQueue()
        self._thread: threading.Thread | None = None

    async def answer(self) -> Finding:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Finding] = loop.create_future()
        if self._thread is None:
            name = f"health {self._check.name}"
            self._thread = threading.Thread(target=self._work, name=name, daemon=True)
            self._thread.start()
        self._jobs.put((loop, answer))
        return await answer

    def close(self) -> None:
        """Let the thread end, when its probe has come back."""
        if self._thread is not None:
            self._jobs.put(None)
            self._jobs, self._thread = SimpleQueue(), None

    def _work(self) -> None:
        jobs = self._jobs
        while (job := jobs.get()) is not None:
            loop, answer = job
            found, error = None, None
            try:
                found = self._check.probe()
            except Exception as raised:  # noqa: BLE001 - handed to the loop
                error = raised
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(_settle, answer, found, error)


def _settle(answer: asyncio.Future[Finding], found: Any, error: Exception | None) -> None:
    if answer.cancelled():
        return
    if error is not None:
        answer.set_exception(error)
    elif isinstance(found, Finding):
        answer.set_result(found)
    else:
        answer.set_exception(TypeError("the check found nothing that can be understood"))


def _shown(output: str) -> str:
    return redact(" ".join(output.split()))[:_LONGEST_OUTPUT]


def stamp(seconds: float) -> str:
    """A time as documents write it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
