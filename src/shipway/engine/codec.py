"""Between the reducer's values and the bytes that the store keeps; one codec, at one boundary."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from shipway.domain.pipeline import Pipeline
from shipway.domain.run import events as e
from shipway.domain.run.evolve import apply
from shipway.domain.run.state import RunState, ask_from_json, from_json
from shipway.domain.states import RunStatus
from shipway.engine.pipelines.codec import from_json as pipeline_from_json
from shipway.engine.pipelines.codec import to_json as pipeline_to_json
from shipway.errors import CorruptRunError
from shipway.store.ledger import RunRow
from shipway.store.runs import EventRow

EVENTS: dict[str, type] = {kind.__name__: kind for kind in e.Event.__args__}

#: What is known of pipelines by their digest, which never changes what it stands for.
_pipelines: dict[str, Pipeline] = {}
_definitions: dict[str, bytes] = {}
_MOST_KNOWN = 256


def encode(value: Any) -> bytes:
    """JSON of plain data, dataclasses and enums."""
    return orjson.dumps(value)


def decode(data: bytes) -> Any:
    return orjson.loads(data)


class Result(dict[str, Any]):
    """What a stage came to, with its bytes as they were checked: they are not made a second time."""

    __slots__ = ("_encoded",)

    def __init__(self, encoded: bytes) -> None:
        super().__init__(orjson.loads(encoded))
        self._encoded: bytes | None = encoded

    def take(self) -> Any:
        """What stands for it in a document; kept for one time, for it may be large."""
        encoded, self._encoded = self._encoded, None
        return self if encoded is None else orjson.Fragment(encoded)


def encode_event(event: e.Event) -> tuple[str, bytes]:
    """Its name and its fields; those of the two that every stage has are spelt out, for speed."""
    if isinstance(event, e.StageQueued):
        data = {
            "stage": event.stage,
            "attempt": event.attempt,
            "token": event.token,
            "due": event.due,
        }
        return "StageQueued", orjson.dumps(data)
    if isinstance(event, e.StagePassed):
        result = event.result
        data = {
            "stage": event.stage,
            "attempt": event.attempt,
            "result": result.take() if type(result) is Result else result,
            "started_at": event.started_at,
        }
        return "StagePassed", orjson.dumps(data)
    return type(event).__name__, orjson.dumps(event)


def decode_event(kind: str, data: bytes) -> e.Event:
    """Raises CorruptRunError for an event that this version does not know."""
    try:
        fields = orjson.loads(data)
        if kind == "StageAsked":
            fields["asks"] = tuple(ask_from_json(ask) for ask in fields["asks"])
        if kind == "RunEnded":
            fields["status"] = RunStatus(fields["status"])
        event: e.Event = EVENTS[kind](**fields)
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptRunError(f"an event of type {kind[:40]!r} cannot be read") from error
    return event


def pipeline_of(digest: str, definition: bytes | None) -> Pipeline:
    """The pipeline that a run is pinned to; raises CorruptRunError."""
    known = _pipelines.get(digest)
    if known is None:
        if definition is None:
            raise CorruptRunError("the pipeline that the run was started with is gone")
        try:
            known = pipeline_from_json(orjson.loads(definition))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CorruptRunError("the run's pipeline cannot be read") from error
        if known.digest != digest:
            raise CorruptRunError("the run's pipeline is not the one it was started with")
        _keep(_pipelines, digest, known)
    return known


def definition_of(pipeline: Pipeline) -> bytes:
    """A pipeline as it is stored once for all runs that are pinned to it."""
    known = _definitions.get(pipeline.digest)
    if known is None:
        known = encode(pipeline_to_json(pipeline))
        _keep(_definitions, pipeline.digest, known)
    return known


def _keep(known: dict[str, Any], digest: str, value: Any) -> None:
    if len(known) >= _MOST_KNOWN:
        known.clear()
    known[digest] = value


def state_of(row: RunRow, history: Sequence[EventRow]) -> RunState:
    """The state of a stored run: what its row says, with results from its events, and what came since.

    Raises CorruptRunError.
    """
    pipeline = pipeline_of(row.pipeline, row.definition)
    try:
        submission: Mapping[str, Any] = orjson.loads(row.submission)
        stored = orjson.loads(row.state)
        results = _results(one for one in history if one.seq <= stored["seq"])
        state = from_json(row.id, pipeline, submission, stored, results)
        for one in history:
            if one.seq > state.seq + 1:
                raise ValueError("an event is missing")
            if one.seq > state.seq:
                apply(state, decode_event(one.type, one.data), one.at)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CorruptRunError(f"the stored state of run {row.number} cannot be read") from error
    return state


_WITH_RESULTS = frozenset({"StagePassed", "AttemptFailed", "SlotFilled"})


def _results(history: Iterable[EventRow]) -> dict[str, Any]:
    """What each stage came to last; the row has everything but that."""
    events = (orjson.loads(one.data) for one in history if one.type in _WITH_RESULTS)
    return {event["stage"]: event["result"] for event in events}
