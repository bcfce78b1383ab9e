"""What a worker says of an attempt, as it lies in the database between worker and engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shipway.domain.run import events as e
from shipway.domain.run.state import ask_from_json
from shipway.engine.codec import decode, encode
from shipway.errors import ContractError
from shipway.store.fleet import Key

_KINDS = {kind.__name__: kind for kind in (e.Started, e.Held, e.Completed, e.Interrupted)}
_CORRUPT = "Corrupt"
Word = e.Started | e.Held | e.Completed | e.Interrupted


@dataclass(frozen=True, slots=True)
class Report:
    """An input of the reducer, and what is kept of it with the order.

    With ``corrupt`` there is no input: the order itself could not be read.
    """

    given: Word | None
    outcome: bytes | None = None
    corrupt: str | None = None


def pack(given: Word, outcome: bytes | None = None) -> bytes:
    kept = None if outcome is None else outcome.decode()
    return encode({"kind": type(given).__name__, "given": given, "outcome": kept})


def unpack(data: bytes) -> Report:
    """Raises ContractError for what no version of ours has written."""
    try:
        found = decode(data)
        if found["kind"] == _CORRUPT:
            return Report(None, corrupt=str(found["why"]))
        fields: dict[str, Any] = found["given"]
        if found["kind"] == "Completed":
            fields["asks"] = tuple(ask_from_json(ask) for ask in fields["asks"])
        outcome = found["outcome"]
        return Report(
            _KINDS[found["kind"]](**fields), None if outcome is None else outcome.encode()
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ContractError("a worker's report cannot be read") from error


def corrupt(why: str) -> bytes:
    """The word for an order that cannot be read: its run cannot be trusted."""
    return encode({"kind": _CORRUPT, "why": why})


def lost(key: Key, why: str) -> bytes:
    """The word for an attempt whose worker died."""
    return pack(e.Interrupted(key.stage, key.attempt, key.token, why, suspect=True))
