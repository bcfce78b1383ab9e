"""What can be asked of a server: each function builds one call, which either client can send."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import quote
from uuid import uuid4

from pydantic import BaseModel, TypeAdapter

from shipway.contracts.fleet import AgentView, WorkerView
from shipway.contracts.views import (
    AskView,
    DeadLetterDetail,
    DeadLetterView,
    EventView,
    ItemResult,
    ReleaseView,
    RunDetail,
    RunSummary,
)
from shipway.flags.flag import Flag

Answer = TypeVar("Answer")
Shape = TypeVar("Shape", bound=BaseModel)
_V1 = "/api/v1"
_RELEASES = f"{_V1}/releases"
_FLAGS = f"{_V1}/flags"


@dataclass(frozen=True, slots=True)
class Call(Generic[Answer]):
    """One request. It may be sent again: it only reads, or it has a key under which it counts once."""

    method: str
    path: str
    read: Callable[[bytes], Answer]
    query: Sequence[tuple[str, str]] = ()
    body: Any = None
    content: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Page(Generic[Shape]):
    """A page of a list; hand ``next_cursor`` in for the next one."""

    items: list[Shape]
    next_cursor: str | None


def runs(
    limit: int = 50, state: str | None = None, cursor: str | None = None
) -> Call[Page[RunSummary]]:
    asked = {"limit": str(limit), "state": state, "cursor": cursor}
    query = [(name, value) for name, value in asked.items() if value is not None]
    return Call("GET", f"{_V1}/runs", _page(RunSummary), query)


def _json(value: Any) -> bytes:
    return TypeAdapter(Any).dump_json(value)


def run(ref: str) -> Call[RunDetail]:
    return Call("GET", _run(ref), _one(RunDetail))


def history(ref: str, after: int = 0, limit: int = 200) -> Call[list[EventView]]:
    query = [("after", str(after)), ("limit", str(limit))]
    return Call("GET", f"{_run(ref)}/history", _many(EventView), query)


def log(ref: str, stage: str | None = None, attempt: int | None = None) -> Call[bytes]:
    asked = {"stage": stage, "attempt": None if attempt is None else str(attempt)}
    query = [(name, value) for name, value in asked.items() if value is not None]
    return Call("GET", f"{_run(ref)}/logs", bytes, query)


def diff(ref: str) -> Call[bytes]:
    return Call("GET", f"{_run(ref)}/diff", bytes)


def asks() -> Call[list[AskView]]:
    return Call("GET", f"{_V1}/asks", _many(AskView))


def upload(data: bytes, name: str) -> Call[str]:
    """Hand in a document or patch; the answer is the digest that it is named by from now on."""
    kind = {"content-type": "application/octet-stream"}
    return Call(
        "POST", f"{_V1}/uploads", _digest, [("name", name)], content=data, headers=_keyed() | kind
    )


def _digest(data: bytes) -> str:
    return str(TypeAdapter(dict[str, Any]).validate_json(data)["sha256"])


def submit(new: Mapping[str, Any]) -> Call[RunSummary]:
    """Start a run; ``new`` is what POST /api/v1/runs takes."""
    return Call("POST", f"{_V1}/runs", _one(RunSummary), body=dict(new), headers=_keyed())


def steer(ref: str, how: str, **given: Any) -> Call[RunSummary]:
    """``how``: cancel, pause, resume, retry, rewind, repair, discard."""
    told = {name: value for name, value in given.items() if value is not None}
    body = None if how == "resume" else told
    return Call("POST", f"{_run(ref)}/{how}", _one(RunSummary), body=body, headers=_keyed())


def decide(
    ref: str, ask: str, choice: str, comment: str | None = None, subject: str | None = None
) -> Call[RunSummary]:
    body = {"choice": choice, "comment": comment, "subject": subject}
    path = f"{_run(ref)}/asks/{quote(ask, safe='')}/decision"
    return Call("POST", path, _one(RunSummary), body=body, headers=_keyed())


def answer(ref: str, ask: str, value: str) -> Call[RunSummary]:
    path = f"{_run(ref)}/asks/{quote(ask, safe='')}/answer"
    return Call("POST", path, _one(RunSummary), body={"value": value}, headers=_keyed())


def letters(limit: int = 100, after: int = 0, **which: str | None) -> Call[list[DeadLetterView]]:
    query = [(name, value) for name, value in which.items() if value is not None]
    query += [("limit", str(limit)), ("after", str(after))]
    return Call("GET", f"{_V1}/dead-letters", _many(DeadLetterView), query)


def letter(number: int) -> Call[DeadLetterDetail]:
    return Call("GET", f"{_V1}/dead-letters/{number}", _one(DeadLetterDetail))


def settle_letters(how: str, numbers: Sequence[int], reason: str) -> Call[list[ItemResult]]:
    """``how``: replay, discard."""
    body = {"numbers": list(numbers), "reason": reason}
    path = f"{_V1}/dead-letters/{how}"
    return Call("POST", path, _many(ItemResult), body=body, headers=_keyed())


def releases(cursor: str | None = None) -> Call[Page[ReleaseView]]:
    query = [("limit", "200")] + ([] if cursor is None else [("cursor", cursor)])
    return Call("GET", _RELEASES, _page(ReleaseView), query)


def release(ref: str) -> Call[ReleaseView]:
    return Call("GET", f"{_RELEASES}/{_quoted(ref)}", _one(ReleaseView))


def stop_release(ref: str) -> Call[list[ReleaseView]]:
    """A service by its name, or one release of it."""
    path = f"{_RELEASES}/{_quoted(ref)}/stop"
    return Call("POST", path, _many(ReleaseView), headers=_keyed())


def stop_releases() -> Call[list[ReleaseView]]:
    """Whatever is deployed there."""
    body = {"everything": True}
    return Call("POST", f"{_RELEASES}/stop", _many(ReleaseView), body=body, headers=_keyed())


def rollback(service: str) -> Call[ReleaseView]:
    path = f"{_RELEASES}/{_quoted(service)}/rollback"
    return Call("POST", path, _one(ReleaseView), headers=_keyed())


def flags() -> Call[list[Flag]]:
    return Call("GET", _FLAGS, _many(Flag))


def flag(key: str) -> Call[Flag]:
    return Call("GET", f"{_FLAGS}/{_quoted(key)}", _one(Flag))


def create_flag(new: Mapping[str, Any]) -> Call[Flag]:
    """``new`` is what POST /api/v1/flags takes."""
    return Call("POST", _FLAGS, _one(Flag), body=dict(new), headers=_keyed())


def edit_flag(key: str, version: int, edit: Mapping[str, Any]) -> Call[Flag]:
    """Only if it is still at this version, so that a second try has no second effect."""
    match = {"if-match": f'"{version}"'}
    return Call("PATCH", f"{_FLAGS}/{_quoted(key)}", _one(Flag), body=dict(edit), headers=match)


def flag_history(key: str) -> Call[list[dict[str, Any]]]:
    return Call("GET", f"{_FLAGS}/{_quoted(key)}/history", _objects)


def workers() -> Call[list[WorkerView]]:
    return Call("GET", f"{_V1}/workers", _many(WorkerView))


def agents() -> Call[list[AgentView]]:
    return Call("GET", f"{_V1}/agents", _many(AgentView))


def drain(ref: str, *, draining: bool) -> Call[list[WorkerView]]:
    """Let workers drain, or take work again."""
    path = f"{_V1}/agents/{_quoted(ref)}/{'drain' if draining else 'resume'}"
    return Call("POST", path, _many(WorkerView), headers=_keyed())


def settings() -> Call[list[dict[str, Any]]]:
    return Call("GET", f"{_V1}/config", _objects)


def contracts() -> Call[list[dict[str, Any]]]:
    return Call("GET", f"{_V1}/contracts", _objects)


def contract(capability: str, version: int) -> Call[dict[str, Any]]:
    return Call("GET", f"{_V1}/contracts/{_quoted(capability)}/{version}", _object)


def pipelines() -> Call[list[dict[str, Any]]]:
    return Call("GET", f"{_V1}/pipelines", _objects)


def pipeline(name: str) -> Call[dict[str, Any]]:
    """Its definition with every default filled in, and its source."""
    return Call("GET", f"{_V1}/pipelines/{_quoted(name)}", _object)


def _quoted(text: str) -> str:
    return quote(text, safe="")


_object: Callable[[bytes], dict[str, Any]] = TypeAdapter(dict[str, Any]).validate_json
_objects: Callable[[bytes], list[dict[str, Any]]] = TypeAdapter(list[dict[str, Any]]).validate_json


def _run(ref: str) -> str:
    return f"{_V1}/runs/{quote(ref, safe='@')}"


def _keyed() -> dict[str, str]:
    """A key of this call's own: however often it is sent, it counts once."""
    return {"idempotency-key": uuid4().hex}


def _one(shape: type[Shape]) -> Callable[[bytes], Shape]:
    return shape.model_validate_json


def _page(shape: type[Shape]) -> Callable[[bytes], Page[Shape]]:
    def read(data: bytes) -> Page[Shape]:
        found: dict[str, Any] = TypeAdapter(dict[str, Any]).validate_json(data)
        items = [shape.model_validate_json(_json(one)) for one in found["items"]]
        return Page(items, found["next_cursor"])

    return read


def _many(shape: type[Shape]) -> Callable[[bytes], list[Shape]]:
    return TypeAdapter(list[shape]).validate_json  # type: ignore[valid-type]  # it is a type
