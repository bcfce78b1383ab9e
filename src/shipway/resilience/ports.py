"""Every way out of this process, with what stands before it; a test fails for one that is not here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from weakref import WeakSet

from shipway.domain.retries import RetryPolicy
from shipway.resilience.breaker import Breaker, BreakerDetails, BreakerPolicy
from shipway.resilience.guard import Guard, GuardPolicy
from shipway.resilience.shared import Sharing
from shipway.telemetry.metrics import BREAKERS

_NEVER = RetryPolicy(retries=0)

PORTS: Mapping[str, GuardPolicy] = {
    # Everything works without it: a command that fails is not worth a second one, and after a
    # fault nobody is sent there for a second.
    "redis": GuardPolicy(
        retry=_NEVER,
        breaker=BreakerPolicy(window=1, minimum=1, open_s=1.0),
        per_try=0.75,
        total=None,
        at_once=1024,
        queue=0,
        shared=False,
    ),
    # The client decides from the answer whether it sends a call again; here is counted whether
    # there was an answer at all.
    "server": GuardPolicy(
        retry=_NEVER, breaker=BreakerPolicy(open_s=1.0), per_try=None, total=None, shared=False
    ),
    # Each request is paid for and reserved before: the stage's retries begin anew, not this.
    "model": GuardPolicy(retry=_NEVER, per_try=None, total=None),
    # An installation that was cut off is begun again where it was: packages are only read. It may
    # take long, and how long is the limit of its command; the fence ends it.
    "packages": GuardPolicy(
        retry=RetryPolicy(retries=2, base=1.0, maximum=5.0),
        breaker=BreakerPolicy(slow_s=3600.0),
        per_try=None,
        total=None,
        at_once=16,
        queue=0,
    ),
    # Who writes asks again every second until it is back; a server that refuses is not flooded,
    # and is noticed within half a second once it does not.
    "database": GuardPolicy(
        retry=_NEVER,
        breaker=BreakerPolicy(window=3, minimum=3, ratio=1.0, open_s=0.5),
        per_try=None,
        total=None,
    ),
}


#: The breakers of this process, and what they share with those of others.
_breakers: WeakSet[Breaker] = WeakSet()
_sharing: list[Sharing] = []


def share(sharing: Sharing) -> Callable[[], None]:
    """Let all breakers of this process share a state, those to come too; returns what ends that."""
    _sharing.append(sharing)
    _adopt()

    def end() -> None:
        _sharing.remove(sharing)
        _adopt()

    return end


def _adopt() -> None:
    for breaker in list(_breakers):
        breaker.share(_sharing[-1] if _sharing else None)


@cache
def standing(port: str) -> Guard:
    """The one guard of this process before ``port``, however often who calls it is made anew."""
    return guard(port)


def guard(port: str, *, per_try: float | None = None) -> Guard:
    """What stands before ``port``; its breaker's state is among the metrics."""
    policy = PORTS[port] if per_try is None else replace(PORTS[port], per_try=per_try)
    breaker = Breaker(port, policy.breaker, observe=_measured)
    if policy.shared:
        _breakers.add(breaker)
        breaker.share(_sharing[-1] if _sharing else None)
    for name, state in list(BREAKERS.children):
        if name == port:  # what stood here before this one is gone
            BREAKERS.of(name, state).set(0)
    BREAKERS.of(port, breaker.state.value).set(1)
    return Guard(port, policy, breaker=breaker)


def _measured(details: BreakerDetails) -> None:
    BREAKERS.of(details.name, details.before.value).set(0)
    BREAKERS.of(details.name, details.after.value).set(1)
