"""Whether this machine is ready: the ground's own checks, the database, and the fence really tried."""

from __future__ import annotations

import time

from shipway.bus.link import Link
from shipway.bus.wiring import link
from shipway.config import Settings
from shipway.engine.places import Places
from shipway.errors import NetworkError
from shipway.health.check import Status
from shipway.health.ground import Check, CheckResult, doctor_checks
from shipway.store.opening import REVISION, database, revision_for_us
from shipway.telemetry.logs import configure
from shipway.workspace.fence import Fence


def doctor(settings: Settings) -> list[CheckResult]:
    """Whether this machine is ready: the ground's own checks, then the fence really tried."""
    configure("error")  # what a check finds is in its own line

    def fence() -> tuple[Status, str]:
        report = Fence(settings.fence).probe()
        walls = [name for name, stands in report.model_dump().items() if stands is True]
        missing = [name for name in ("user", "pids", "mounts", "network") if name not in walls]
        if missing:
            weak = Status.FAIL if settings.fence == "strict" else Status.WARN
            return weak, f"{report.mechanism}: no wall for {', '.join(missing)}"
        return Status.PASS, f"{report.mechanism}: {', '.join(walls)}"

    def stored() -> tuple[Status, str]:
        found = database(Places(settings.home).database, settings)
        began = time.monotonic()
        try:
            present, (release, fits) = revision_for_us(found), found.release()
            took = (time.monotonic() - began) * 1000
        finally:
            found.close()
        if not fits:
            return Status.FAIL, f"{release} is too old: {found.name}"
        if present not in {None, REVISION}:
            return Status.WARN, f"tables of another version ({present}): {found.name}"
        state = "no tables yet" if present is None else "up to date"
        return Status.PASS, f"{release}, {state}, answered in {took:.0f} ms: {found.name}"

    remedy = "apt install util-linux and allow user namespaces, or set SHIPWAY_FENCE=degraded"
    mend = "see what is wrong with: shipway db check"
    more = [Check("database", stored, mend), Check("fence", fence, remedy)]
    bus = link(settings)
    if bus is not None:
        more.append(_redis_check(bus, needed="redis:ping" in settings.health_required))
    try:
        return doctor_checks(settings, more)
    finally:
        if bus is not None:
            bus.close()


def _redis_check(bus: Link, *, needed: bool) -> Check:
    """It is not needed unless somebody said so; who uses one wants to know that it is there."""

    def probe() -> tuple[Status, str]:
        away = Status.FAIL if needed else Status.WARN
        began = time.monotonic()
        try:
            server = bus.about()
        except NetworkError as error:
            return away, error.message
        took = (time.monotonic() - began) * 1000
        if not server.fits:
            return away, f"Redis {server.version} is too old: 6.2 or later is needed"
        most = f" of {server.limit / 2**20:.0f}" if server.limit else ""
        memory = f"{server.used / 2**20:.1f}{most} MiB used"
        return Status.PASS, f"Redis {server.version}, {memory}, answered in {took:.0f} ms"

    return Check("redis", probe, "see that Redis runs and that SHIPWAY_REDIS_URL names it")
