"""Which bus the settings name, and how what a database says after a commit gets onto it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from shipway.bus.doorbell import Ring
from shipway.bus.link import Link
from shipway.bus.shared import SharedState
from shipway.config import Settings
from shipway.errors import ConfigurationError
from shipway.resilience.shared import Sharing

#: What engines and workers say to each other, and what those hear who watch events.
FLEET, EVENTS = "fleet", "events"


def link(settings: Settings) -> Link | None:
    """The process's line to the Redis that the settings name, not begun; None if they name none."""
    if settings.redis_url is None:
        return None
    from shipway.bus.redis import RedisBus  # only here: it takes a tenth of a second

    url, patience = settings.redis_url.reveal(), settings.redis_patience_s
    try:
        return Link(RedisBus(url, settings.redis_prefix, patience), patience)
    except ValueError:
        raise ConfigurationError(
            "SHIPWAY_REDIS_URL is no address of a Redis server",
            hint="write it like redis://user:password@host:6379/0",
        ) from None


def sharing(bus: Link) -> Sharing:
    """What breakers share with other processes over a bus, for loops and for threads."""
    return Sharing(SharedState(bus), SharedState(_Waiting(bus)))


class _Waiting:
    """Scripts whose answer the thread waits for."""

    def __init__(self, bus: Link) -> None:
        self._bus = bus

    async def evaluate(self, script: str, keys: Sequence[str], *values: Any) -> Any:
        return self._bus.evaluate_blocking(script, keys, *values)


def wire(bus: Link) -> Callable[[Collection[str]], None]:
    """What a database's bell is to be connected with."""

    def tell(words: Collection[str]) -> None:
        bus.ring(*(Ring(EVENTS if word == EVENTS else FLEET, word.encode()) for word in words))

    return tell
