"""What the routes work with: one object, made when the server starts, found through the request."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from shipway.api.cursor import Cursors
from shipway.api.feed import Feed
from shipway.api.problems import Asked
from shipway.bootstrap.system import System
from shipway.engine.commands import Commands
from shipway.health.monitor import Monitor

ASKED = "shipway.asked"
CALLER = "shipway.caller"
ONCE = "shipway.once"


@dataclass(frozen=True, slots=True)
class Backend:
    """``monitor`` answers for the health of this process; ``revision`` is what it was made from."""

    system: System
    cursors: Cursors
    revision: str
    monitor: Monitor
    feed: Feed
    keyed: set[tuple[str, str]] = field(default_factory=set)


def backend_of(request: Request) -> Backend:
    found: Backend = request.app.state.backend
    return found


def asked_of(request: Request) -> Asked:
    found: Asked | None = request.scope.get(ASKED)
    return found or Asked("unknown", "0" * 32)


def caller_of(request: Request) -> str:
    """Who asks, as commands record it."""
    return str(request.scope.get(CALLER, "local token"))


# Asynchronous, though they wait for nothing: FastAPI takes any other to a thread, which costs more
# than what most routes do.


async def _backend(request: Request) -> Backend:
    return backend_of(request)


async def _caller(request: Request) -> str:
    return caller_of(request)


async def _commands(request: Request) -> Commands:
    """The commands, which have no second effect when the request came with a key."""
    return backend_of(request).system.commands.once(request.scope.get(ONCE))


Here = Annotated[Backend, Depends(_backend)]
Caller = Annotated[str, Depends(_caller)]
Doing = Annotated[Commands, Depends(_commands)]
