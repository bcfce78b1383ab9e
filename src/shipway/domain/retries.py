"""When to try again: one formula for stages and for calls, with chance and time handed in."""

from __future__ import annotations

from dataclasses import dataclass

#: How far a server's hint may stretch a delay where nobody waits for a person's answer.
HINT_SLACK = 5.0


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """``retries`` more tries after the first; delays in seconds."""

    retries: int = 3
    base: float = 1.0
    maximum: float = 30.0


def delay(policy: RetryPolicy, failures: int, chance: float) -> float:
    """Seconds to wait after the ``failures``-th failure (1, 2, ...); ``chance`` in [0, 1).

    Full jitter after the cap, ``chance * min(maximum, base * 2**(failures - 1))``, so that delays
    stay spread out at the cap (AWS Architecture Blog, "Exponential Backoff And Jitter").
    """
    exponent = min(failures - 1, 62)
    return chance * min(policy.maximum, policy.base * 2.0**exponent)


def hinted(drawn: float, hint: float | None, *, patient: bool = False) -> float:
    """The delay when the server said after how long to come back.

    A ``patient`` caller honours the hint in full; between our own services it stretches the drawn
    delay by ``HINT_SLACK`` at most, so that a wrong hint cannot hold everything up.
    """
    if hint is None or hint <= 0:
        return drawn
    return max(drawn, hint if patient else min(hint, drawn + HINT_SLACK))


def may_retry(policy: RetryPolicy, failures: int) -> bool:
    return failures <= policy.retries
