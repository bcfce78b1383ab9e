"""When to try again: one formula for stages and for calls, with chance and time handed in."""

from __future__ import annotations

from dataclasses import dataclass


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


def may_retry(policy: RetryPolicy, failures: int) -> bool:
    return failures <= policy.retries
