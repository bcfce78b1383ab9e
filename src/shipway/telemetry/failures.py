"""What is told of an error, everywhere the same: as JSON, as a problem, in logs and in metrics.

Whatever leaves here is masked and JSON-safe. ``TABLE`` is the one table of all errors, and
``STATUSES`` is what HTTP itself refuses, each as an error of that table; the catalogue in
docs/ERROR-HANDLING.md is written from both.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shipway import errors
from shipway.errors import Category, Recovery, ShipwayError
from shipway.secrets import redact, redact_value

MEDIA_TYPE = "application/problem+json"
LONGEST_CHAIN = 8
_LONGEST_TEXT = 4096
_DRAWN = re.compile(r"[├└]── (\w+)\s{2,}(.+)")
_HINTS: Mapping[Recovery, str] = {
    Recovery.RETRY: "try again",
    Recovery.WAIT: "wait a while, then try again",
    Recovery.FIX_INPUT: "correct what was handed in, then try again",
    Recovery.ASK_PERSON: "somebody has to look at it and decide",
    Recovery.REPORT: "please report it: it should not happen",
}


@dataclass(frozen=True, slots=True)
class Row:
    """All that is fixed about one class of errors."""

    kind: type[ShipwayError]
    code: str
    meaning: str
    category: Category
    recovery: Recovery
    http_status: int
    exit_code: int

    @property
    def type(self) -> str:
        """The ``type`` of its problem (RFC 9457)."""
        return type_of(self.code)

    @property
    def title(self) -> str:
        return title_of(self.code)

    @property
    def label(self) -> str:
        """The value of the label ``error_type`` in metrics: bounded, and never a message."""
        return self.code.lower()


def type_of(code: str) -> str:
    """The ``type`` of a problem (RFC 9457)."""
    return f"urn:shipway:error:{code.lower().replace('_', '-')}"


def title_of(code: str) -> str:
    return code.replace("_", " ").capitalize()


def _rows() -> Iterator[Row]:
    meanings = dict(_DRAWN.findall(errors.__doc__ or ""))
    waiting: list[type[ShipwayError]] = [ShipwayError]
    while waiting:
        kind = waiting.pop(0)
        if kind.__module__ != errors.__name__:
            continue  # a room's own specialisation: it is told as what it specialises
        yield Row(
            kind,
            kind.code,
            meanings.get(kind.__name__, "anything else that is our fault"),
            kind.category,
            kind.recovery,
            kind.http_status,
            kind.exit_code,
        )
        waiting += kind.__subclasses__()


TABLE: Mapping[type[ShipwayError], Row] = {row.kind: row for row in _rows()}


@dataclass(frozen=True, slots=True)
class Status:
    """What HTTP says with a bare status, in our words: of the category and recovery of ``kind``.

    ``own`` is a code that only HTTP has; without one it is the code of ``kind``. ``also`` are codes
    for particular reasons to answer with this status.
    """

    kind: type[ShipwayError]
    detail: str
    hint: str | None = None
    own: str | None = None
    also: tuple[str, ...] = ()

    @property
    def code(self) -> str:
        return self.own or self.kind.code


_DOCUMENT = "see /openapi.json for what it takes"

STATUSES: Mapping[int, Status] = {
    400: Status(
        errors.UsageError,
        "the request cannot be read",
        _DOCUMENT,
        own="BAD_REQUEST",
        also=("NOT_JSON", "CURSOR"),
    ),
    401: Status(
        errors.NotSignedInError,
        "this needs the token of this server",
        "send Authorization: Bearer with what is in SHIPWAY_HOME/token",
    ),
    403: Status(errors.ForbiddenError, "this is not allowed"),
    404: Status(
        errors.NotFoundError,
        "there is nothing at this address",
        "see /openapi.json for what there is",
    ),
    405: Status(
        errors.UsageError,
        "this address does not take that method",
        "the header Allow lists them",
        own="METHOD",
    ),
    406: Status(
        errors.UsageError,
        "this is answered in another form only",
        "accept application/json",
        own="NOT_ACCEPTABLE",
    ),
    408: Status(
        errors.NetworkError, "the request did not arrive in time", "send it faster", own="TOO_SLOW"
    ),
    409: Status(
        errors.ConflictError,
        "something else got there first",
        "look again, then decide",
        also=("IN_PROGRESS",),
    ),
    410: Status(errors.NotFoundError, "this is not there any more", own="GONE"),
    412: Status(
        errors.ConflictError,
        "it has changed since it was read",
        "read it again and send its new ETag",
        own="CHANGED",
    ),
    413: Status(errors.UsageError, "the body is larger than this address takes", own="TOO_LARGE"),
    414: Status(
        errors.UsageError,
        "the address is too long",
        "filter less, or page through",
        own="TOO_LONG",
    ),
    415: Status(
        errors.UsageError, "this address does not take that type of content", own="MEDIA_TYPE"
    ),
    421: Status(
        errors.UsageError,
        "this server does not answer to that name",
        "ask 127.0.0.1",
        own="WRONG_HOST",
    ),
    422: Status(
        errors.ValidationError,
        "a value is not as it should be",
        _DOCUMENT,
        also=("KEY_REUSED",),
    ),
    428: Status(
        errors.UsageError,
        "say which version is edited",
        "send If-Match with the ETag that was read",
        own="IF_MATCH",
    ),
    429: Status(errors.RateLimitError, "too many requests", "wait as long as Retry-After says"),
    431: Status(
        errors.UsageError,
        "the headers are too large or too many",
        "send fewer or shorter ones",
        own="HEADERS",
    ),
    500: Status(
        ShipwayError,
        "this is a fault of Shipway; it is logged under the request id",
        "report it with the request id",
    ),
    501: Status(errors.UnimplementedError, "Shipway does not do this yet"),
    502: Status(errors.NetworkError, "something behind this did not answer", own="BAD_GATEWAY"),
    503: Status(
        errors.OverloadError,
        "there is no room now",
        "wait as long as Retry-After says, then ask again",
    ),
    504: Status(errors.DeadlineError, "something behind this took too long"),
}


def kind_of(code: str, status: int) -> type[ShipwayError]:
    """The class of an error that a server told: by its code, else by the status it came with."""
    known = {row.code: kind for kind, row in TABLE.items()}
    if (kind := known.get(code)) is not None:
        return kind
    if status in STATUSES:
        return STATUSES[status].kind
    return errors.UsageError if status < 500 else errors.NetworkError


def row(error: ShipwayError) -> Row:
    """The row of the nearest class that is in the table."""
    return next(TABLE[kind] for kind in type(error).__mro__ if kind in TABLE)


def told(error: ShipwayError) -> dict[str, Any]:
    """The error as one object: in evidence, in the database and as ``--json``."""
    return {
        "code": error.code,
        "category": error.category.value,
        "recovery": error.recovery.value,
        "message": text(error.message),
        "hint": hint(error),
        "details": details(error),
    }


def revived(data: Mapping[str, Any]) -> ShipwayError:
    """An error that another process told, as an error of the same class."""
    known = {row.code: kind for kind, row in TABLE.items()}
    kind = known.get(str(data.get("code")), ShipwayError)
    return kind(
        str(data.get("message") or data.get("detail") or "it did not say why"),
        hint=data.get("hint"),
        details=data.get("details"),
        retry_after=data.get("retry_after"),
    )


def problem(error: ShipwayError, request_id: str) -> dict[str, Any]:
    """The members of the problem (RFC 9457) that answers request ``request_id``."""
    fixed = row(error)
    return {
        "type": fixed.type,
        "title": fixed.title,
        "status": fixed.http_status,
        "detail": text(error.message),
        "instance": f"/requests/{request_id}",
        "code": error.code,
        "category": error.category.value,
        "recovery": error.recovery.value,
        "retryable": error.retryable,
        "retry_after": error.retry_after,
        "hint": hint(error),
        "details": details(error),
        "request_id": request_id,
    }


def log_fields(error: BaseException) -> dict[str, Any]:
    """What a log line says about an error; ``causes`` is the whole chain, without the input."""
    fields: dict[str, Any] = {"error_type": label(error), "error": text(str(error))}
    if isinstance(error, ShipwayError):
        fields |= {"error_category": error.category.value, "error_recovery": error.recovery.value}
        if error.details:
            fields["error_details"] = details(error)
    if causes := chain(error)[1:]:
        fields["error_causes"] = causes
    return fields


def label(error: BaseException) -> str:
    """The metric label of any error: its code, or ``internal`` for what is not of our tree."""
    return row(error).label if isinstance(error, ShipwayError) else TABLE[ShipwayError].label


def hint(error: ShipwayError) -> str:
    """What to do next: the error's own hint, else what its recovery says."""
    return text(error.hint) if error.hint else _HINTS[error.recovery]


def details(error: ShipwayError) -> dict[str, Any]:
    return {str(key): value for key, value in redact_value(_plain(error.details)).items()}


def chain(error: BaseException) -> list[str]:
    """The error, its notes and what it came from, outermost first, each as one masked line."""
    lines: list[str] = []
    current: BaseException | None = error
    seen: set[int] = set()
    while current is not None and id(current) not in seen and len(seen) < LONGEST_CHAIN:
        seen.add(id(current))
        lines.append(text(f"{type(current).__name__}: {current}"))
        lines += [text(f"  {note}") for note in getattr(current, "__notes__", ())]
        current = current.__cause__ or (
            None if current.__suppress_context__ else current.__context__
        )
    return lines


def text(message: str) -> str:
    """A message as it may be shown: masked and bounded."""
    masked = redact(message)
    return masked if len(masked) <= _LONGEST_TEXT else f"{masked[:_LONGEST_TEXT]} ..."


def _plain(value: Any, levels: int = 8) -> Any:
    """The value as JSON knows it; what JSON does not know becomes a text."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Mapping) and levels:
        return {str(key): _plain(inner, levels - 1) for key, inner in value.items()}
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, bytes) and levels:
        return [_plain(inner, levels - 1) for inner in value]
    return text(str(value))
