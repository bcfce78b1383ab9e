"""What processes share: who opened which breaker, who holds its probe, and how much was taken of a limit.

Redis provides it (``bus.shared``). Every method raises NetworkError when the shared state cannot be
reached, and then each process decides alone.
"""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

from shipway.domain.limits import Rate

_T = TypeVar("_T")


class Seen(NamedTuple):
    """A breaker as its peers know it; ``wait`` is how long it is open or its probe is leased."""

    state: Literal["unknown", "closed", "open", "leased", "granted"]
    generation: int
    wait: float


class Breakers(Protocol):
    async def look(self, name: str) -> Seen: ...

    async def trip(self, name: str, token: str | None, seconds: float) -> Seen:
        """Open it for others too; with a token only while that token holds the probe."""
        ...

    async def enter(self, name: str, known: int, token: str, lease: float) -> Seen:
        """Ask for the one probe; ``known`` is the generation at which the caller's own opened."""
        ...

    async def close(self, name: str, token: str) -> Seen: ...

    async def free(self, name: str, token: str) -> Seen: ...


@dataclass(frozen=True, slots=True)
class Sharing:
    """The same state twice: ``asked`` on an event loop, ``waited`` by threads that may block.

    What ``waited`` returns never rests on a loop: each call is over when it comes back.
    """

    asked: Breakers
    waited: Breakers


def at_once(work: Coroutine[Any, Any, _T]) -> _T:
    """The result of something that never waits for a loop."""
    try:
        work.send(None)
    except StopIteration as over:
        result: _T = over.value
        return result
    work.close()
    raise AssertionError("it would have to wait for an event loop")


@dataclass(frozen=True, slots=True)
class Taken:
    """``retry_after`` is 0 when allowed; ``reset`` is when all of it is there again."""

    allowed: bool
    remaining: int
    retry_after: float
    reset: float


class Rates(Protocol):
    async def peek(self, key: str, rate: Rate, cost: int) -> Taken:
        """Whether a take would be allowed now; nothing changes."""
        ...

    async def take(self, key: str, rate: Rate, cost: int) -> Taken: ...
