"""Identifiers of runs: sorted by time, unique without asking anybody."""

from __future__ import annotations

import secrets

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def run_id(now: float) -> str:
    """Ten characters of time (milliseconds) and ten of chance, in Crockford's base 32."""
    return _base32(int(now * 1000), 10) + _base32(secrets.randbits(50), 10)


def _base32(value: int, length: int) -> str:
    digits = []
    for _ in range(length):
        value, rest = divmod(value, 32)
        digits.append(_ALPHABET[rest])
    return "".join(reversed(digits))
