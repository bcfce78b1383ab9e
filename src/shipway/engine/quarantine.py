"""Runs whose stored state cannot be trusted: how that is noticed, and the two safe ways out."""

from __future__ import annotations

from collections.abc import Sequence

from shipway.domain.pipeline import Pipeline
from shipway.domain.run import RunState, replay
from shipway.domain.run import events as e
from shipway.domain.states import RunStatus
from shipway.engine.codec import (
    decode,
    decode_event,
    definition_of,
    encode_event,
    pipeline_of,
    state_of,
)
from shipway.engine.pipelines.loader import builtin_names, load
from shipway.errors import ConflictError, CorruptRunError, NotFoundError, ShipwayError
from shipway.store import ledger, runs
from shipway.store.database import Connection
from shipway.store.ledger import RunRow
from shipway.store.runs import EventRow
from shipway.telemetry.failures import told

_NO_WAY_BACK = "restore the database from a backup, or give the run up: shipway run discard"


def trusted(connection: Connection, run: str) -> tuple[RunState, str]:
    """The state of a run and its trace; raises NotFoundError, or CorruptRunError if it is not sound."""
    row = ledger.load_run(connection, run)
    if row is None:
        raise NotFoundError(f"there is no run {run}")
    if row.status == RunStatus.QUARANTINED:
        raise CorruptRunError("the run is quarantined", hint=f"see: shipway run view {row.number}")
    rows = runs.events(connection, run)
    state = state_of(row, rows)
    if len(_history(rows)) != state.seq:
        raise CorruptRunError(
            f"the history of run {row.number} has {len(rows)} events where {state.seq} happened"
        )
    if row.status != state.status:
        raise CorruptRunError(f"run {row.number} has two states that contradict each other")
    if not _makes_sense(state):
        raise CorruptRunError(f"the stored state of run {row.number} makes no sense")
    return state, row.trace


def _makes_sense(state: RunState) -> bool:
    """Whether the heart can reckon with it: times are times, and no token was never given out."""
    try:
        due = state.due()
        known = all(stage.token <= state.tokens for stage in state.stages.values())
        timed = (due is None or due >= 0.0) and state.created_at >= 0.0
    except TypeError:
        return False
    return known and timed


def put_aside(connection: Connection, run: str, error: ShipwayError, now: float) -> None:
    """Take a run out of play, once, and keep why."""
    row = ledger.load_run(connection, run)
    if row is None or row.status == RunStatus.QUARANTINED:
        return
    seq = _append(connection, run, e.RunQuarantined(told(error)), now)
    ledger.quarantine_run(connection, run, now, seq)


def rebuilt(connection: Connection, run: str) -> tuple[RunState, str]:
    """The state that the events of a quarantined run make, and its trace.

    Raises ConflictError for a run that is not quarantined, or whose history is not whole: nothing
    is ever guessed.
    """
    row = _quarantined(connection, run)
    try:
        pipeline = _pipeline(connection, row)
        submission = decode(row.submission)
        history = _history(runs.events(connection, run))
        state = replay(run, pipeline, submission, history)
        state.values()
    except (CorruptRunError, ValueError, KeyError, TypeError, AttributeError) as error:
        why = (
            error.message if isinstance(error, CorruptRunError) else "its submission is unreadable"
        )
        raise ConflictError(
            f"run {row.number} cannot be rebuilt: {why}", hint=f"{_NO_WAY_BACK} {row.number} -m WHY"
        ) from error
    return state, row.trace


def give_up(connection: Connection, run: str, by: str, reason: str, now: float) -> None:
    """End a quarantined run as cancelled; raises ConflictError for any other run."""
    _quarantined(connection, run)
    ended = e.RunEnded(RunStatus.CANCELLED, f"discarded by {by}: {reason}")
    ledger.discard_run(connection, run, now, _append(connection, run, ended, now))


def _quarantined(connection: Connection, run: str) -> RunRow:
    row = ledger.load_run(connection, run)
    if row is None:
        raise NotFoundError(f"there is no run {run}", hint="see: shipway run list")
    if row.status != RunStatus.QUARANTINED:
        raise ConflictError(
            f"run {row.number} is {row.status}, not quarantined",
            hint=f"see what it is about: shipway run view {row.number}",
        )
    return row


def _history(rows: Sequence[EventRow]) -> list[tuple[float, e.Event]]:
    """Raises CorruptRunError if one is missing, or is not known or cannot be read."""
    found = []
    for expected, row in enumerate(rows, start=1):
        if row.seq != expected:
            raise CorruptRunError(f"event {expected} is missing from its history")
        found.append((row.at, decode_event(row.type, row.data)))
    return found


def _pipeline(connection: Connection, row: RunRow) -> Pipeline:
    """As stored; a built-in one that was lost is put back if it is, by its digest, the very same."""
    try:
        return pipeline_of(row.pipeline, row.definition)
    except CorruptRunError:
        found = (load(name) for name in builtin_names())
        same = next((one for one in found if one.digest == row.pipeline), None)
        if same is None:
            raise
        ledger.mend_pipeline(connection, same.digest, same.name, same.version, definition_of(same))
        return same


def _append(connection: Connection, run: str, event: e.Event, now: float) -> int:
    seq = ledger.next_seq(connection, run)
    ledger.append_events(connection, [(run, seq, now, *encode_event(event))])
    return seq
