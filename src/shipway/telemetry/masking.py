"""The last look at every event: texts are bounded, secrets masked, then it becomes a line."""

from __future__ import annotations

import json
from typing import Any

import orjson
from structlog.typing import EventDict

from shipway.secrets import redact, redact_value

LONGEST_TEXT = 16_384
"""Characters of one field that are kept; a whole tool's output belongs into an artifact."""


def mask(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """A structlog processor: bounds every text, then masks what looks like a secret."""
    masked: EventDict = redact_value({key: _bounded(value) for key, value in event.items()})
    return masked


def rendered(event: EventDict) -> bytes:
    """The event as one line of JSON, without its end."""
    try:
        return orjson.dumps(event, default=_shown, option=orjson.OPT_NON_STR_KEYS)
    except (TypeError, ValueError):  # half a surrogate, a number beyond 64 bits: slower, never lost
        return json.dumps(event, default=_shown, skipkeys=True).encode()


def _shown(value: Any) -> str:
    """Anything that JSON does not know, as a masked text."""
    return redact(_bounded(repr(value))).encode(errors="replace").decode()


def _bounded(value: Any) -> Any:
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        return f"{value[:LONGEST_TEXT]}... ({len(value) - LONGEST_TEXT} characters more)"
    return value
