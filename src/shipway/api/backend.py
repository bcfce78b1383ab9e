"""What the routes work with: one object, made when the server starts, found through the request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from shipway.api.cursor import Cursors
from shipway.api.feed import Feed
from shipway.api.problems import Asked
from shipway.bootstrap import System
from shipway.health.monitor import Monitor

ASKED = "shipway.asked"
CALLER = "shipway.caller"


@dataclass(frozen=True, slots=True)
class Backend:
    """``monitor`` answers for the health of this process; ``revision`` is what it was made from."""

    system: System
    cursors: Cursors
    revision: str
    monitor: Monitor
    feed: Feed


def backend_of(request: Request) -> Backend:
    found: Backend = request.app.state.backend
    return found


def asked_of(request: Request) -> Asked:
    found: Asked | None = request.scope.get(ASKED)
    return found or Asked("unknown", "0" * 32)


def caller_of(request: Request) -> str:
    """Who asks, as commands record it."""
    return str(request.scope.get(CALLER, "local token"))


Here = Annotated[Backend, Depends(backend_of)]
Caller = Annotated[str, Depends(caller_of)]
