"""Which bus the settings name, and how what a database says after a commit gets onto it."""

from __future__ import annotations

from collections.abc import Callable, Collection

from shipway.bus.doorbell import Ring
from shipway.bus.link import Link
from shipway.config import Settings
from shipway.errors import ConfigurationError

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


def wire(bus: Link) -> Callable[[Collection[str]], None]:
    """What a database's bell is to be connected with."""

    def tell(words: Collection[str]) -> None:
        bus.ring(*(Ring(EVENTS if word == EVENTS else FLEET, word.encode()) for word in words))

    return tell
