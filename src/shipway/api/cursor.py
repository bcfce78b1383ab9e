"""Cursors of lists: opaque, signed, and bound to the question that they continue."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Any

import orjson

from shipway.api.problems import FieldFault, RefusedError
from shipway.secrets import Secret

_MAC = 16


class Cursors:
    """One key for all servers of a home, so that a page may be continued at any of them."""

    def __init__(self, key: Secret) -> None:
        self._key = hashlib.sha256(b"cursor:" + key.reveal().encode()).digest()

    def write(self, question: Any, place: list[Any]) -> str:
        """The cursor for what follows ``place`` in the answer to ``question``."""
        text = orjson.dumps(place)
        sealed = self._seal(question, text) + text
        return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def read(self, question: Any, cursor: str) -> list[Any]:
        """The place; raises RefusedError for a cursor that is not ours, or of another question."""
        try:
            sealed = base64.b64decode(
                cursor.encode() + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True
            )
        except (binascii.Error, ValueError):
            raise _unknown() from None
        mac, text = sealed[:_MAC], sealed[_MAC:]
        if not hmac.compare_digest(mac, self._seal(question, text)):
            raise _unknown()
        place: list[Any] = orjson.loads(text)
        return place

    def _seal(self, question: Any, text: bytes) -> bytes:
        asked = orjson.dumps(question, option=orjson.OPT_SORT_KEYS)
        return hmac.digest(self._key, asked + b"\0" + text, "sha256")[:_MAC]


def _unknown() -> RefusedError:
    return RefusedError(
        400,
        "CURSOR",
        "the cursor is not one of this list",
        hint="begin without one, and keep filters and order while paging",
        faults=[
            FieldFault(pointer="/query/cursor", code="cursor", detail="is not one of this list")
        ],
    )
