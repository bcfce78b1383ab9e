"""Writes a new run: its pinned pipeline and contracts, its first state and events."""

from __future__ import annotations

from shipway.domain.run import submit
from shipway.domain.run.decide import Decision
from shipway.engine.admission import Admission
from shipway.engine.codec import definition_of, encode
from shipway.engine.intake import Ready
from shipway.engine.writing import Page
from shipway.store import ledger
from shipway.store.database import Connection
from shipway.store.ledger import RunRow


def begin(connection: Connection, ready: Ready, page: Page, admission: Admission) -> Decision:
    """Insert the run and put its events on the page; its orders are the caller's to take.

    Raises OverloadError when too many runs wait already.
    """
    pipeline = ready.pipeline
    held = admission.hold(connection, ready.values, page.now)
    values = {**ready.values, "contracts": page.versions(pipeline)}
    decision = submit(ready.run, pipeline, values, page.now, held)
    definition = definition_of(pipeline)
    ledger.insert_pipeline(connection, pipeline.digest, pipeline.name, pipeline.version, definition)
    state = decision.state
    row = RunRow(
        id=ready.run,
        number=0,
        status=state.status,
        pipeline=pipeline.digest,
        definition=definition,
        title=ready.title,
        trace=ready.trace,
        submission=encode(values),
        state=encode(state.to_json()),
        created_at=page.now,
        ended_at=state.ended_at,
    )
    ledger.insert_run(connection, row, state.due(), pipeline.name, state.seq)
    page.events(ready.run, 0, decision)
    return decision
