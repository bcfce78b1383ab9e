"""What production refuses: choices that are fine on a desk and dangerous in front of people."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from shipway.config.layers import Fault
from shipway.config.setting import Declared
from shipway.config.tree import Settings
from shipway.secrets import Secret

#: What documentation, images and examples give as passwords and keys: whoever guesses tries these.
_KNOWN = frozenset(
    {"admin", "changeit", "changeme", "change-me", "default", "example", "guest", "key", "pass"}
    | {"password", "postgres", "redis", "root", "secret", "shipway", "sk-xxx", "test", "token"}
    | {"1234", "12345", "123456", "xxx", "your-api-key", "your-key"}
)


class Refused(NamedTuple):
    """One unsafe choice: the setting, whether it was made, what production wants instead."""

    name: str
    chosen: Callable[[Settings], bool]
    expectation: str
    remedy: str


def _is_known(secret: Secret | None) -> bool:
    return secret is not None and secret.reveal().strip().lower() in _KNOWN


def _has_known_password(url: Secret | None) -> bool:
    password = None if url is None else urlsplit(url.reveal()).password
    return password is not None and unquote(password).lower() in _KNOWN


def _is_open(url: Secret | None) -> bool:
    """Whether anybody who reaches that host may use it: no password, and not on this machine."""
    parts = None if url is None else urlsplit(url.reveal())
    return bool(parts and parts.hostname and not parts.password and not _here(parts.hostname))


def _here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_spoken_in_clear(url: str | None) -> bool:
    parts = urlsplit(url or "")
    return parts.scheme == "http" and bool(parts.hostname) and not _here(parts.hostname or "")


REFUSED = (
    Refused(
        "fence",
        lambda settings: settings.fence != "strict",
        "should be strict: work of agents would run behind a weaker fence",
        "set it to strict and let the kernel allow user namespaces",
    ),
    Refused(
        "log_level",
        lambda settings: settings.log_level == "debug",
        "should not be debug: its lines say more of requests and work than anybody should keep",
        "set it to info, or look closer in another environment",
    ),
    Refused(
        "database_url",
        lambda settings: settings.redis_url is not None and settings.database_url is None,
        "is missing: Redis wakes many processes, and they cannot share a file of SQLite",
        "name the PostgreSQL database of the fleet, or leave SHIPWAY_REDIS_URL out",
    ),
    Refused(
        "database_url",
        lambda settings: _has_known_password(settings.database_url),
        "should not have a password that everybody knows from documentation",
        "give the database's user a random one",
    ),
    Refused(
        "redis_url",
        lambda settings: _has_known_password(settings.redis_url) or _is_open(settings.redis_url),
        "should have a password of its own: who reaches that Redis can wake and slow the fleet",
        "set a random one there (requirepass, or a user's), and here",
    ),
    Refused(
        "model_key",
        lambda settings: _is_known(settings.model_key),
        "should not be a placeholder",
        "put the key of the endpoint there, or leave it out",
    ),
    Refused(
        "model_url",
        lambda settings: _is_spoken_in_clear(settings.model_url),
        "should begin with https: source code and the key would cross the network in the clear",
        "name the endpoint with https, or one on this machine",
    ),
)


def unsafe_choices(settings: Settings, known: Mapping[str, Declared]) -> Iterator[Fault]:
    """The faults of settings that are valid and yet refused in production."""
    if settings.environment != "production":
        return
    for name, one in known.items():
        if one.facts.required and not getattr(settings, name):
            source = f"{one.variable} or {one.variable}_FILE" if one.secret else one.variable
            yield Fault(
                one.variable, f"is missing, and should be {one.expectation}", f"set {source}"
            )
    for refused in REFUSED:
        if refused.chosen(settings):
            yield Fault(known[refused.name].variable, refused.expectation, refused.remedy)
