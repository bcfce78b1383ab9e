"""A request that may come twice and is carried out once: what it is known by, and its kept answer."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass

from shipway.contracts.views import RunSummary
from shipway.errors import ConflictError
from shipway.store import keys
from shipway.store.database import Connection, Database
from shipway.store.keys import KeptAnswer


class AnsweredError(ConflictError):
    """The same request was carried out a moment ago; its answer is kept."""


@dataclass(frozen=True, slots=True)
class Once:
    """``scope`` is who asks for what, ``fingerprint`` is of the whole request.

    ``answer`` makes what a new run is answered with; it is kept in the transaction that writes it.
    """

    scope: str
    key: str
    fingerprint: str
    answer: Callable[[RunSummary], KeptAnswer]

    def name(self, *parts: bytes | str) -> str:
        """The same for the same request: what it does is found under this name when it comes again."""
        words = [self.scope, self.key, self.fingerprint, *parts]
        raw = b"\0".join(one.encode() if isinstance(one, str) else one for one in words)
        return hashlib.sha256(raw).hexdigest()[:32]

    def keep(self, connection: Connection, answer: KeptAnswer, now: float) -> None:
        """Raises AnsweredError if there is one already, so that the transaction comes to nothing."""
        if not keys.keep(connection, self.scope, self.key, answer, now):
            raise AnsweredError("the same request was carried out already")


class Answers:
    """The kept answers; every method may be called from any thread."""

    def __init__(self, database: Database, now: Callable[[], float] = time.time) -> None:
        self._database = database
        self._now = now

    def find(self, scope: str, key: str) -> KeptAnswer | None:
        with self._database.reading() as connection:
            return keys.find(connection, scope, key, self._now())

    def keep(self, scope: str, key: str, answer: KeptAnswer) -> KeptAnswer:
        """Keep an answer, unless there is one; returns the one that counts."""
        now = self._now()
        with self._database.writing() as connection:
            if keys.keep(connection, scope, key, answer, now):
                return answer
            return keys.find(connection, scope, key, now) or answer
