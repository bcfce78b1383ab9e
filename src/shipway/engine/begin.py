"""Begins a new run: pinned to its contracts, held back if there is no room for it yet."""

from __future__ import annotations

from shipway.domain.run import submit
from shipway.domain.run.decide import Decision
from shipway.engine.admission import Door
from shipway.engine.intake import Ready
from shipway.engine.writing import Page
from shipway.store.ledger import OrderRow


def begin(ready: Ready, page: Page, door: Door) -> tuple[Decision, tuple[OrderRow, ...]]:
    """What the submission comes to, and the orders to hand out after the commit.

    Raises OverloadError when too many runs wait already.
    """
    pipeline = ready.pipeline
    held = door.hold(ready.values, page.now)
    values = {**ready.values, "contracts": page.versions(pipeline)}
    decision = submit(ready.run, pipeline, values, page.now, held)
    return decision, page.begin(ready.run, ready.trace, ready.title, decision)
