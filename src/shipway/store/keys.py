"""Answers that are kept under a caller's idempotency key: written with the effect, for a day."""

from __future__ import annotations

from dataclasses import dataclass

from shipway.store.database import Connection

KEPT_FOR = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """``fingerprint`` is of what was asked; the rest is what it was answered with."""

    fingerprint: str
    status: int
    location: str | None
    body: bytes


def find(connection: Connection, scope: str, key: str, now: float) -> KeptAnswer | None:
    row = connection.execute(
        "SELECT fingerprint, status, location, body FROM answers"
        " WHERE scope = ? AND key = ? AND at > ?",
        (scope, key, now - KEPT_FOR),
    ).fetchone()
    return KeptAnswer(*row) if row else None


def keep(connection: Connection, scope: str, key: str, answer: KeptAnswer, now: float) -> bool:
    """False if there is an answer already: somebody with the same key was quicker."""
    kept = connection.execute(
        "INSERT INTO answers (scope, key, at, fingerprint, status, location, body)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (scope, key) DO NOTHING",
        (scope, key, now, answer.fingerprint, answer.status, answer.location, answer.body),
    )
    return kept.rowcount == 1


def forget(connection: Connection, now: float) -> None:
    """Whatever is older than a day; before ``keep``, since an old answer would be in its way."""
    connection.execute("DELETE FROM answers WHERE at <= ?", (now - KEPT_FOR,))
