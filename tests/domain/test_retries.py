"""Delays are spread over the whole span up to the cap, at the cap as well."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shipway.domain.retries import RetryPolicy, delay, may_retry


@given(st.integers(1, 2000), st.floats(0, 1, exclude_max=True))
def test_a_delay_is_never_longer_than_the_cap(failures: int, chance: float) -> None:
    policy = RetryPolicy(3, base=1.0, maximum=30.0)
    longest = min(30.0, 2.0 ** min(failures - 1, 62))
    assert 0 <= delay(policy, failures, chance) <= longest


def test_delays_at_the_cap_are_still_spread_out() -> None:
    policy = RetryPolicy(3, base=1.0, maximum=30.0)
    assert delay(policy, 50, 0.1) == 3.0
    assert delay(policy, 50, 0.9) == 27.0


def test_three_retries_mean_four_attempts() -> None:
    assert [may_retry(RetryPolicy(3), failures) for failures in (1, 2, 3, 4)] == [
        True, True, True, False,
    ]  # fmt: skip
