"""Bucketing 1: which of 10,000 buckets somebody is in, for ever the same; never changed in place.

``hash = murmur3_32(salt:key:unit, seed)``, ``bucket = (hash * 10000) >> 32``. A share of p percent are
the buckets below ``p * 100``: raising p never takes anybody out. Rollouts and splits both ask
``chosen``, so that turning one into the other moves nobody. Another way of bucketing gets another
number; a flag says which one it was made with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from struct import unpack

BUCKETING = 1
BUCKETS = 10_000
WHO, WHICH = 1, 2
"""Seeds: who takes part, and which variant those get. They must not be the same, or the variants
of a rollout to 10 % would all fall into the first of ten."""

_REMEMBERED = 16_384


def murmur3_32(data: bytes, seed: int = 0) -> int:
    """MurmurHash3, x86, 32 bits, as published."""
    whole = len(data) & ~3
    return _ended(_mixed(seed, data[:whole]), data[whole:], len(data))


def bucketing(salt: str, key: str, seed: int) -> Callable[[str], int]:
    """From a unit to its bucket, 0 to 9,999; what all units of a flag share is hashed only once."""
    prefix = _bytes(f"{salt}:{key}:")
    whole = len(prefix) & ~3
    begun, rest = _mixed(seed, prefix[:whole]), prefix[whole:]

    @lru_cache(maxsize=_REMEMBERED)
    def bucket(unit: str) -> int:
        data = rest + _bytes(unit)
        size = len(data) & ~3
        found = _ended(_mixed(begun, data[:size]), data[size:], whole + len(data))
        return found * BUCKETS >> 32

    return bucket


def _mixed(found: int, data: bytes) -> int:
    """Whole words mixed into what was found before them."""
    for word in unpack(f"<{len(data) >> 2}I", data):
        mixed = word * 0xCC9E2D51 & 0xFFFFFFFF
        found ^= (mixed << 15 | mixed >> 17) * 0x1B873593 & 0xFFFFFFFF
        found = (found << 13 & 0xFFFFFFFF | found >> 19) * 5 + 0xE6546B64 & 0xFFFFFFFF
    return found


def _ended(found: int, tail: bytes, size: int) -> int:
    """The last bytes, fewer than a word, and the finish."""
    if tail:
        mixed = int.from_bytes(tail, "little") * 0xCC9E2D51 & 0xFFFFFFFF
        found ^= (mixed << 15 | mixed >> 17) * 0x1B873593 & 0xFFFFFFFF
    found ^= size
    found = (found ^ found >> 16) * 0x85EBCA6B & 0xFFFFFFFF
    found = (found ^ found >> 13) * 0xC2B2AE35 & 0xFFFFFFFF
    return found ^ found >> 16


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")


def chosen(found: int, shares: Sequence[tuple[str, int]]) -> str | None:
    """Whose share a bucket falls into; shares are counted in buckets, one after the other.

    None when it lies behind all of them. This is the only place where a boundary is compared.
    """
    end = 0
    for name, share in shares:
        end += share
        if found < end:
            return name
    return None
