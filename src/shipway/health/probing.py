"""Asks one check again and again: with a time-out, in one place at a time, with hysteresis."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import threading
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
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

    async def run(self) -> None:
        try:
            while True:
                await self.ask()
                doubtful = self.standing is not None and self.standing.worse > 0
                await asyncio.sleep(CONFIRM_AFTER if doubtful else self.check.every)
        finally:
            if self._asked is not None:
                self._asked.cancel()

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
        self._asked = asyncio.create_task(_probed(self.check), name=f"health {self.check.name}")
        done, _ = await asyncio.wait({self._asked}, timeout=self.check.timeout)
        if not done:
            if inspect.iscoroutinefunction(self.check.probe):
                self._asked.cancel()  # it may not listen: some drivers wait for their server first
            return Finding(Status.FAIL, f"no answer within {self.check.timeout:g} s")
        return self._asked.result()

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


async def _probed(check: HealthCheck) -> Finding:
    try:
        if inspect.iscoroutinefunction(check.probe):
            finding: Finding = await check.probe()
        else:
            finding = await _in_thread(check)
    except Exception as error:  # noqa: BLE001 - a check that breaks has found a fault
        words = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return Finding(Status.FAIL, _shown(words))
    return replace(finding, output=_shown(finding.output)) if finding.output else finding


async def _in_thread(check: HealthCheck) -> Finding:
    """In a thread of its own: one that hangs costs nobody else a place in a pool."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Finding] = loop.create_future()

    def settle(found: Any, error: Exception | None) -> None:
        if answer.cancelled():
            return
        if error is not None:
            answer.set_exception(error)
        elif isinstance(found, Finding):
            answer.set_result(found)
        else:
            answer.set_exception(TypeError("the check found nothing that can be understood"))

    def work() -> None:
        found, error = None, None
        try:
            found = check.probe()
        except Exception as raised:  # noqa: BLE001 - handed to the loop
            error = raised
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(settle, found, error)

    threading.Thread(target=work, name=f"health {check.name}", daemon=True).start()
    return await answer


def _shown(output: str) -> str:
    return redact(" ".join(output.split()))[:_LONGEST_OUTPUT]


def stamp(seconds: float) -> str:
    """A time as documents write it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
