"""The checks that Shipway itself brings: what each asks, whether readiness needs it, and why.

Rooms above hand in how to ask (a ping, a count); the names, limits and reasons are here alone, so that
docs/HEALTH-CHECKS.md can be made from them.
"""

from __future__ import annotations

import inspect
import os
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path

from shipway.health.check import Finding, HealthCheck, Status
from shipway.telemetry import metrics

MiB = 1024 * 1024
DISK_FULL_MB, DISK_LOW_MB = 256, 2048
QUEUE_OLD_S = 300.0

Ping = Callable[[], "Awaitable[object] | object"]
"""Returns when the other side has answered, and raises when it did not."""


def database(ping: Ping) -> HealthCheck:
    return HealthCheck(
        name="database:ping",
        probe=_timed(ping),
        component_type="datastore",
        required_for_ready=True,
        reason="the database is the truth: without it nothing can be accepted or shown",
        remedy="see that the database runs and can be reached at SHIPWAY_DATABASE_URL",
        timeout=0.3,
        every=0.25,
    )


def migrations(found: Callable[[], object], wanted: object) -> HealthCheck:
    """``found`` tells the revision of the tables, as the database was last heard to say."""

    def probe() -> Finding:
        current = found()
        if current == wanted:
            return Finding(value=str(current), unit="revision")
        return Finding(
            Status.FAIL, f"the tables are at {current or 'nothing'}, this version wants {wanted}"
        )

    return HealthCheck(
        name="database:migrations",
        probe=probe,
        component_type="datastore",
        required_for_ready=True,
        reason="reading or writing tables of another shape would damage what is kept",
        remedy="start one process of this version alone: it brings the tables up to date",
        every=0.25,
    )


def redis(ping: Ping) -> HealthCheck:
    return HealthCheck(
        name="redis:ping",
        probe=_timed(ping),
        component_type="datastore",
        required_for_ready=False,
        reason="Redis only rings the bell and shares breakers: without it everything still works, "
        "later, and each process finds out for itself who is ill",
        remedy="see that Redis runs and can be reached at SHIPWAY_REDIS_URL",
        timeout=0.5,
        every=0.25,
    )


def agents(capabilities: Callable[[], Mapping[str, Iterable[str]]]) -> HealthCheck:
    def probe() -> Finding:
        served = [name for name, agents in capabilities().items() if list(agents)]
        if served:
            return Finding(value=len(served), unit="capabilities")
        return Finding(Status.FAIL, "no agent serves any capability")

    return HealthCheck(
        name="agents:registry",
        probe=probe,
        component_type="component",
        required_for_ready=True,
        reason="a requirement that no agent could ever work on would be accepted and wait in vain",
        remedy="install agents, or start workers that have some",
    )


def filesystem(home: Path) -> HealthCheck:
    """The state directory takes a file, down to the disk."""

    def probe() -> Finding:
        began = time.monotonic()
        with tempfile.NamedTemporaryFile(dir=home, prefix=".health-") as trial:
            trial.write(b"x")
            trial.flush()
            os.fsync(trial.fileno())
        return Finding(value=_ms(began), unit="ms")

    return HealthCheck(
        name="filesystem:writable",
        probe=probe,
        component_type="system",
        required_for_ready=True,
        reason="artifacts and logs of what is accepted have to be kept",
        remedy="see that the disk of SHIPWAY_HOME is mounted, writable and not hanging",
        timeout=0.5,
    )


def disk(home: Path) -> HealthCheck:
    def probe() -> Finding:
        free = shutil.disk_usage(home).free // MiB
        if free < DISK_FULL_MB:
            return Finding(Status.FAIL, f"only {free} MiB are free", free, "MiB")
        if free < DISK_LOW_MB:
            return Finding(Status.WARN, f"only {free} MiB are free", free, "MiB")
        return Finding(value=free, unit="MiB")

    return HealthCheck(
        name="disk:free",
        probe=probe,
        component_type="system",
        required_for_ready=True,
        reason=f"below {DISK_FULL_MB} MiB what is accepted now would fail later, half-way",
        remedy="free some space on the disk of SHIPWAY_HOME",
    )


def breakers(states: Callable[[], Mapping[str, str]]) -> HealthCheck:
    """``states`` gives a word for each breaker: closed, open, half-open."""

    def probe() -> Finding:
        found = states()
        bad = {name: state for name, state in found.items() if state not in _QUIET}
        if not bad:
            return Finding(value=0, unit="open")
        words = ", ".join(f"{name} is {state}" for name, state in sorted(bad.items()))
        return Finding(Status.WARN, words, len(bad), "open")

    return HealthCheck(
        name="breakers:state",
        probe=probe,
        component_type="component",
        required_for_ready=False,
        reason="an open breaker means that somebody else is ill, for all processes alike: taking "
        "them out of traffic would turn a part into the whole",
        remedy="look at what the breaker protects from; it closes by itself when that is well",
    )


_QUIET = {"closed", "disabled", "metrics-only", "metrics_only"}


def pools(usage: Callable[[], Mapping[str, tuple[int, int, int]]]) -> HealthCheck:
    """``usage`` gives for each pool how many are in use, how many there may be, how many wait."""

    def probe() -> Finding:
        found = usage()
        waiting = {name: waits for name, (_, _, waits) in found.items() if waits}
        metrics.POOL_WAITING.keep_only({(name,): float(one[2]) for name, one in found.items()})
        connections: dict[tuple[str, ...], float] = {}
        for name, (in_use, most, _) in found.items():
            connections |= {(name, "in_use"): in_use, (name, "max"): most}
        metrics.POOL_CONNECTIONS.keep_only(connections)
        if not waiting:
            return Finding(value=0, unit="waiting")
        words = ", ".join(f"{count} wait for {name}" for name, count in sorted(waiting.items()))
        return Finding(Status.WARN, words, sum(waiting.values()), "waiting")

    return HealthCheck(
        name="pools:waiting",
        probe=probe,
        component_type="component",
        required_for_ready=False,
        reason="a full pool is load, which limits shed; it is no reason to send more to the others",
        remedy="look for slow queries, or raise the size of the pool",
    )


def queue(look: Callable[[], tuple[int, float, int]]) -> HealthCheck:
    """``look``: runs that wait to begin, for how many seconds the oldest does, orders that are open."""

    def probe() -> Finding:
        depth, age, orders = look()
        metrics.QUEUE_DEPTH.set(depth)
        metrics.QUEUE_AGE.set(age)
        metrics.OPEN_ORDERS.set(orders)
        if age > QUEUE_OLD_S:
            return Finding(
                Status.WARN, f"the oldest of {depth} waits for {age:.0f} s", depth, "runs"
            )
        return Finding(value=depth, unit="runs")

    return HealthCheck(
        name="queue:age",
        probe=probe,
        component_type="component",
        required_for_ready=False,
        reason="work that waits is kept and will be done; only its delay is worth a warning",
        remedy="start more workers, raise the limits, or look at what holds the present ones",
    )


def dead_letters(depth_and_age: Callable[[], tuple[int, float | None]]) -> HealthCheck:
    """``depth_and_age``: dead letters that nobody has dealt with, and the age of the oldest."""

    def probe() -> Finding:
        depth, age = depth_and_age()
        metrics.DEAD_LETTERS.set(depth)
        metrics.DEAD_LETTER_AGE.set(age or 0.0)
        if depth:
            return Finding(
                Status.WARN,
                f"{depth} wait for a person, the oldest for {age:.0f} s",
                depth,
                "orders",
            )
        return Finding(value=0, unit="orders")

    return HealthCheck(
        name="dead-letters:depth",
        probe=probe,
        component_type="component",
        required_for_ready=False,
        reason="what nobody could do is kept for a person; everything else goes on",
        remedy='see why with "shipway dead list", mend it, then "shipway dead replay"',
    )


def workers(alive_and_waiting: Callable[[], tuple[int, int]]) -> HealthCheck:
    """``alive_and_waiting``: workers with a fresh heartbeat, and orders that wait for one."""

    def probe() -> Finding:
        alive, waiting = alive_and_waiting()
        metrics.WORKERS.set(alive)
        if not alive and waiting:
            return Finding(Status.WARN, f"no worker lives and {waiting} orders wait", 0, "workers")
        return Finding(value=alive, unit="workers")

    return HealthCheck(
        name="workers:alive",
        probe=probe,
        component_type="component",
        required_for_ready=False,
        reason="what is accepted while no worker lives waits in the database and is not lost",
        remedy="start workers",
    )


def event_loop(finding: Callable[[], Finding]) -> HealthCheck:
    async def probe() -> Finding:
        return finding()

    return HealthCheck(
        name="process:event_loop",
        probe=probe,
        component_type="component",
        required_for_ready=False,
        reason="a loop that is late for a moment is busy, and sending its work to the others would "
        "make them late as well; one that stands still is seen by /health",
        remedy="look for work that blocks the loop",
    )


def _timed(ping: Ping) -> Callable[[], Finding] | Callable[[], Awaitable[Finding]]:
    """The ping as a probe of its own kind, with the time it took."""
    if inspect.iscoroutinefunction(ping):

        async def awaited() -> Finding:
            began = time.monotonic()
            await ping()
            return Finding(value=_ms(began), unit="ms")

        return awaited

    def called() -> Finding:
        began = time.monotonic()
        ping()
        return Finding(value=_ms(began), unit="ms")

    return called


def _ms(began: float) -> float:
    return round((time.monotonic() - began) * 1000, 2)


def everything() -> list[HealthCheck]:
    """One of each, not to be asked: what the documentation is made from."""

    def never() -> object:
        raise AssertionError("this check is only described")

    return [
        database(never),
        migrations(never, None),
        redis(never),
        agents(dict),
        filesystem(Path()),
        disk(Path()),
        queue(lambda: (0, 0.0, 0)),
        dead_letters(lambda: (0, None)),
        workers(lambda: (0, 0)),
        breakers(dict),
        pools(dict),
        event_loop(Finding),
    ]
