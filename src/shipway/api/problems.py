"""Every error as ``application/problem+json``: a code, a reason, a next step, never the input."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson
from pydantic import Field, JsonValue

from shipway.contracts.model import Model
from shipway.errors import Category, Recovery, ShipwayError
from shipway.telemetry import failures


class FieldFault(Model):
    """One field that is not as it should be; ``pointer`` is a JSON pointer into what was sent."""

    pointer: str
    code: str
    detail: str


class Problem(Model):
    """RFC 9457: what went wrong and what to do about it. ``code`` never changes its meaning."""

    type: str
    title: str
    status: int
    detail: str
    instance: str = Field(description="names this request, also in the log")
    code: str
    category: str
    recovery: str
    retryable: bool
    retry_after: float | None = None
    hint: str | None = None
    request_id: str
    trace_id: str
    errors: list[FieldFault] = Field(default_factory=list)
    details: dict[str, JsonValue] = Field(default_factory=dict)


class RefusedError(Exception):
    """An answer that is an error of HTTP's own: what was asked for is not how it is asked."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        hint: str | None = None,
        faults: Sequence[FieldFault] = (),
        headers: Mapping[str, str] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.hint = hint
        self.faults = list(faults)
        self.headers = dict(headers or {})
        self.retry_after = retry_after


class _Kind(NamedTuple):
    code: str
    detail: str
    hint: str | None = None
    category: Category = Category.PERMANENT


STATUSES: Mapping[int, _Kind] = {
    400: _Kind("BAD_REQUEST", "the request cannot be read", "see /openapi.json for what it takes"),
    401: _Kind(
        "NOT_SIGNED_IN",
        "this needs the token of this server",
        "send Authorization: Bearer with what is in SHIPWAY_HOME/token",
    ),
    403: _Kind("FORBIDDEN", "this is not allowed"),
    404: _Kind(
        "NOT_FOUND", "there is nothing at this address", "see /openapi.json for what there is"
    ),
    405: _Kind("METHOD", "this address does not take that method", "the header Allow lists them"),
    406: _Kind(
        "NOT_ACCEPTABLE", "this is answered in another form only", "accept application/json"
    ),
    408: _Kind(
        "TOO_SLOW", "the request did not arrive in time", "send it faster", Category.TRANSIENT
    ),
    409: _Kind("CONFLICT", "something else got there first", "look again, then decide"),
    410: _Kind("GONE", "this is not there any more"),
    412: _Kind(
        "CHANGED", "it has changed since it was read", "read it again and send its new ETag"
    ),
    413: _Kind("TOO_LARGE", "the body is larger than this address takes"),
    414: _Kind("TOO_LONG", "the address is too long", "filter less, or page through"),
    415: _Kind("MEDIA_TYPE", "this address does not take that type of content"),
    421: _Kind("WRONG_HOST", "this server does not answer to that name", "ask 127.0.0.1"),
    422: _Kind("INVALID", "a value is not as it should be", "see /openapi.json for what it takes"),
    428: _Kind(
        "IF_MATCH", "say which version is edited", "send If-Match with the ETag that was read"
    ),
    429: _Kind(
        "TOO_MANY", "too many requests", "wait as long as Retry-After says", Category.THROTTLED
    ),
    431: _Kind("HEADERS", "the headers are too large or too many", "send fewer or shorter ones"),
    500: _Kind(
        "INTERNAL",
        "this is a fault of Shipway; it is logged under the request id",
        "report it with the request id",
        Category.INTERNAL,
    ),
    501: _Kind("UNIMPLEMENTED", "Shipway does not do this yet"),
    502: _Kind("NETWORK", "something behind this did not answer", None, Category.TRANSIENT),
    504: _Kind("DEADLINE", "something behind this took too long", None, Category.TRANSIENT),
    503: _Kind(
        "OVERLOAD",
        "there is no room now",
        "wait as long as Retry-After says, then ask again",
        Category.THROTTLED,
    ),
}

_RECOVERY = {
    Category.PERMANENT: Recovery.FIX_INPUT,
    Category.TRANSIENT: Recovery.RETRY,
    Category.THROTTLED: Recovery.WAIT,
    Category.INTERNAL: Recovery.REPORT,
}
_PATH = re.compile(r"(?<![\w:/.])(?:~|/)[\w.@%+-]*(?:/[\w.@%+-]*)+")
_SAID = re.compile(r"'[^']*'|\"(?!shipway )[^\"]*\"")


class Asked(NamedTuple):
    """The names of a request that its answer carries."""

    request_id: str
    trace_id: str


def public(text: str) -> str:
    """A message without places of this machine and without what was handed in."""
    return _SAID.sub("(…)", _PATH.sub("(path)", text))


def of_error(error: ShipwayError, asked: Asked) -> Problem:
    """An error of our tree; one of ours that nobody expected says no more than that."""
    told = failures.problem(error, asked.request_id)
    if told["status"] == 500:
        return of_status(500, asked)
    if told["status"] in {429, 503}:
        told["retry_after"] = told["retry_after"] or 1.0
    told |= {"detail": public(told["detail"]), "hint": public(told["hint"]), "details": {}}
    return Problem(**told, trace_id=asked.trace_id)


def of_refusal(refused: RefusedError, asked: Asked) -> Problem:
    kind = STATUSES[refused.status]
    retryable = kind.category in {Category.TRANSIENT, Category.THROTTLED}
    return Problem(
        type=_type(refused.code),
        title=refused.code.replace("_", " ").capitalize(),
        status=refused.status,
        detail=refused.detail,
        instance=f"/requests/{asked.request_id}",
        code=refused.code,
        category=kind.category.value,
        recovery=_RECOVERY[kind.category].value,
        retryable=retryable,
        retry_after=refused.retry_after,
        hint=refused.hint or kind.hint,
        request_id=asked.request_id,
        trace_id=asked.trace_id,
        errors=refused.faults,
    )


def refusal(status: int, detail: str | None = None, **given: Any) -> RefusedError:
    """A refusal in the usual words of its status."""
    kind = STATUSES[status]
    return RefusedError(status, given.pop("code", kind.code), detail or kind.detail, **given)


def of_status(status: int, asked: Asked) -> Problem:
    """What a framework answers with a bare status, in our words."""
    known = status if status in STATUSES else (500 if status >= 500 else 400)
    return of_refusal(refusal(known), asked)


def body(problem: Problem) -> bytes:
    return orjson.dumps(problem.model_dump(mode="json"))


def _type(code: str) -> str:
    return f"urn:shipway:error:{code.lower().replace('_', '-')}"


def field_faults(found: Sequence[Mapping[str, Any]]) -> list[FieldFault]:
    """The faults that validation found, without the values that were sent."""
    return [
        FieldFault(
            pointer=_pointer(fault.get("loc", ())),
            code=str(fault.get("type", "invalid")),
            detail=_expected(fault),
        )
        for fault in found[:20]
    ]


def _pointer(place: Sequence[str | int]) -> str:
    """``/body/title``, ``/query/limit``; a name that was made up by the caller is not repeated."""
    parts = [str(part) for part in place]
    safe = [part if re.fullmatch(r"[A-Za-z0-9_-]{1,40}", part) else "(…)" for part in parts]
    return "/" + "/".join(safe)


def _expected(fault: Mapping[str, Any]) -> str:
    if fault.get("type") == "extra_forbidden":
        return "there is no such field"
    message = str(fault.get("msg", "is not as it should be")).removeprefix("Value error, ")
    return (message[:1].lower() + message[1:])[:200]
