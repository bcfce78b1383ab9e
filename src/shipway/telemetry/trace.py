"""W3C trace context, level 2: who caused this, in a form that any tool can follow."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

SAMPLED, RANDOM = 0x01, 0x02
MOST_MEMBERS = 32
#: Where the ids are in a traceparent.
TRACE_ID, SPAN_ID = slice(3, 35), slice(36, 52)

_PARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
_KEY = re.compile(r"[a-z0-9][a-z0-9_\-*/@]{0,255}", re.ASCII)
_VALUE = re.compile(r"[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]", re.ASCII)


@dataclass(frozen=True, slots=True)
class Trace:
    """A place in a trace: which trace, which span of it, and what others told us to pass on."""

    trace_id: str
    span_id: str
    flags: int = SAMPLED | RANDOM
    state: tuple[tuple[str, str], ...] = ()

    @property
    def traceparent(self) -> str:
        """The header as we send it: version 00, unknown flags cleared."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags & (SAMPLED | RANDOM):02x}"

    @property
    def tracestate(self) -> str:
        """The header that goes with it; empty if there is nothing to pass on."""
        return ",".join(f"{key}={value}" for key, value in self.state)

    @property
    def sampled(self) -> bool:
        return bool(self.flags & SAMPLED)

    def child(self) -> Trace:
        """A new span of the same trace."""
        return replace(self, span_id=_random_id(8))

    @classmethod
    def begin(cls) -> Trace:
        """A new trace with random ids."""
        return cls(_random_id(16), _random_id(8))


def new() -> str:
    """The traceparent of a new trace."""
    return f"00-{_random_id(16)}-{_random_id(8)}-{SAMPLED | RANDOM:02x}"


def child(traceparent: str) -> str:
    """The traceparent of a new span below the given one."""
    before, after = _around_span(traceparent)
    return f"{before}{_random_id(8)}{after}"


@lru_cache(maxsize=4096)
def _around_span(traceparent: str) -> tuple[str, str]:
    """A run's own context without its span id: every order of the run asks for it."""
    known = _parse_parent(traceparent) or Trace.begin()
    before = f"00-{known.trace_id}-"
    return before, known.traceparent[len(before) + len(known.span_id) :]


def parse(
    traceparent: str | Sequence[str] | None, tracestate: str | Sequence[str] | None = None
) -> Trace:
    """What a caller sent, as headers; anything that is not exactly valid begins a new trace.

    A repeated header is a list. An invalid tracestate is dropped without losing the parent.
    """
    parents = [traceparent] if isinstance(traceparent, str) else list(traceparent or [])
    parent = _parse_parent(parents[0]) if len(parents) == 1 else None
    if parent is None:
        return Trace.begin()
    states = [tracestate] if isinstance(tracestate, str) else list(tracestate or [])
    return replace(parent, state=_parse_state(",".join(states)) or ())


def _parse_parent(header: str) -> Trace | None:
    match = _PARENT.fullmatch(header.strip(" \t"))
    if match is None:
        return None
    version, trace_id, span_id, flags, more = match.groups()
    if version == "ff" or (version == "00" and more is not None):
        return None
    if not (int(trace_id, 16) and int(span_id, 16)):
        return None
    return Trace(trace_id, span_id, int(flags, 16))


def _parse_state(header: str) -> tuple[tuple[str, str], ...] | None:
    members = [member for member in (part.strip(" \t") for part in header.split(",")) if member]
    pairs = [tuple(member.split("=", 1)) for member in members]
    if len(pairs) > MOST_MEMBERS or len({pair[0] for pair in pairs}) < len(pairs):
        return None
    for pair in pairs:
        if len(pair) < 2 or not _KEY.fullmatch(pair[0]) or not _VALUE.fullmatch(pair[1]):
            return None
    return tuple((key, value) for key, value in pairs)


def _random_id(size: int) -> str:
    """A random number as hex, never zero: the specification gives zero no meaning."""
    while not (number := random.getrandbits(size * 8)):
        continue
    return f"{number:0{size * 2}x}"
