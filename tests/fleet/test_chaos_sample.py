"""A sample of ``make chaos``: kills of every kind of process, a zombie, and a lost database."""

from __future__ import annotations

import chaos
import faults
import pytest
from kills import Kill

KILLS = [
    Kill("order.taken", "worker", "postgresql"),
    Kill("merge.moved", "worker", "postgresql"),
    Kill("advance.written", "engine", "postgresql"),
    Kill("advance.written", "alone", "sqlite"),
    Kill("submit.committed", "client", "sqlite"),
    Kill("deploy.switched", "alone", "sqlite"),
]
FAULTS = ("a merging zombie, right before the branch moves", "the database is restarted")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_faults_of_a_sample_lose_nothing_double_nothing_and_leave_nothing_stuck() -> None:
    chosen = [
        fault for fault in (*faults.OF_PROCESSES, *faults.OF_DATABASES) if fault.name in FAULTS
    ]
    rows = chaos.Rows()
    with chaos.ground() as (parent, server):
        chaos.carry_out(KILLS, 1, rows, parent, server, then=chosen)
    found = rows.all()
    assert all(row.holds for row in found), chaos.table(found)
    assert sum(row.kills for row in found) == len(KILLS)
    assert {row.fault for row in found} >= set(FAULTS)
