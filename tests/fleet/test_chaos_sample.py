"""A sample of ``make chaos``: a kill at each kind of point, and the worst of the other faults."""

from __future__ import annotations

import chaos
import pytest


@pytest.mark.slow
@pytest.mark.timeout(420)
def test_faults_of_a_sample_lose_nothing_double_nothing_and_leave_nothing_stuck() -> None:
    chosen = [
        chaos.Fault(f"kill -9 {point}", chaos.kill_at(point))
        for point in ("worker.after-claim", "worker.in-report", "engine.in-advance")
    ]
    chosen.append(chaos.Fault("the database is restarted", chaos.restart_database))
    rows = [chaos.Row(fault.name) for fault in chosen]
    with chaos.scene() as scene:
        for fault, row in zip(chosen, rows, strict=True):
            chaos.suffer(scene, fault, row)
    assert all((row.lost, row.doubled, row.stuck) == (0, 0, 0) for row in rows), chaos.table(rows)
    assert all(row.runs for row in rows)
