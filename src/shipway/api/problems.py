"""Every error as ``application/problem+json``: a code, a reason, a next step, never the input."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson
from pydantic import Field, JsonValue

from shipway.contracts.model import Model
from shipway.errors import RETRYABLE, ShipwayError
from shipway.telemetry import failures
from shipway.telemetry.failures import STATUSES


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
    kind = STATUSES[refused.status].kind
    return Problem(
        type=failures.type_of(refused.code),
        title=failures.title_of(refused.code),
        status=refused.status,
        detail=refused.detail,
        instance=f"/requests/{asked.request_id}",
        code=refused.code,
        category=kind.category.value,
        recovery=kind.recovery.value,
        retryable=kind.category in RETRYABLE,
        retry_after=refused.retry_after,
        hint=refused.hint or STATUSES[refused.status].hint,
        request_id=asked.request_id,
        trace_id=asked.trace_id,
        errors=refused.faults,
    )


def refusal(status: int, detail: str | None = None, **given: Any) -> RefusedError:
    """A refusal in the usual words of its status."""
    usual = STATUSES[status]
    return RefusedError(status, given.pop("code", usual.code), detail or usual.detail, **given)


def of_status(status: int, asked: Asked) -> Problem:
    """What a framework answers with a bare status, in our words."""
    known = status if status in STATUSES else (500 if status >= 500 else 400)
    return of_refusal(refusal(known), asked)


def body(problem: Problem) -> bytes:
    return orjson.dumps(problem.model_dump(mode="json"))


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
