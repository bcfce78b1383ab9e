"""Limits hold for a fleet as a whole, whoever begins runs and whichever worker takes an order."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from crew import Crew
from scripted import merging, pipeline, stage

from shipway.domain.states import RunStatus

RUNS, AT_WORK, PER_REPOSITORY, AT_ONCE, A_SECOND = 10, 4, 2, 2, 3
LIMITS = {
    "capability_limits": f"work={AT_ONCE}",
    "capability_rates": f"integrate={A_SECOND}/s",
    "max_runs": AT_WORK,
    "max_runs_per_repository": PER_REPOSITORY,
    "worker_lease_s": 30.0,
}


@pytest.fixture
def limited(tmp_path: Path, postgres_url: str) -> Iterator[Crew]:
    (tmp_path / "home").mkdir()
    with (
        tempfile.TemporaryDirectory() as sockets,
        Crew(tmp_path / "home", tmp_path / "cache", postgres_url, Path(sockets), **LIMITS) as made,
    ):
        yield made


def most(lines: Iterable[tuple[Any, str]], begins: str, ends: str) -> int:
    """How many of them were there at once at most."""
    there: set[Any] = set()
    found = 0
    for who, what in lines:
        if what == begins:
            there.add(who)
        elif what == ends:
            there.discard(who)
        found = max(found, len(there))
    return found


def told(crew: Crew, name: str, runs: Iterable[str]) -> list[tuple[Any, str]]:
    wanted = set(runs)
    return [
        ((line["run"], line["stage"]), line["what"])
        for line in crew.ledger.lines
        if line["stage"] == name and line["run"] in wanted
    ]


def begun_and_ended(crew: Crew, runs: Iterable[str]) -> list[tuple[Any, str]]:
    """What the runs came to, in the order of commits."""
    wanted, beginnings = set(runs), {"RunStarted", "RunAdmitted"}
    with crew.database.reading() as connection:
        rows = connection.execute("SELECT run, type FROM events ORDER BY position").fetchall()
    return [(run, "begin" if kind in beginnings else kind) for run, kind in rows if run in wanted]


def test_limits_hold_over_two_engines_and_two_workers(limited: Crew) -> None:
    crew = limited
    crew.ready(crew.engine(), crew.engine(), *(crew.worker(pause=0.15) for _ in range(2)))
    plan = pipeline(stage("plan"), merging("merge", "plan"))
    where = {crew.submit(plan, f"repository {turn % 2}"): turn % 2 for turn in range(RUNS)}
    for run in where:
        assert crew.until(run, within=60).summary.status is RunStatus.SUCCEEDED
    assert most(told(crew, "plan", where), "begin", "end") == AT_ONCE
    assert most(begun_and_ended(crew, where), "begin", "RunEnded") == AT_WORK
    for repository in (0, 1):
        its = [run for run, each in where.items() if each == repository]
        assert most(told(crew, "merge", its), "begin", "end") == 1
        assert most(begun_and_ended(crew, its), "begin", "RunEnded") <= PER_REPOSITORY
    times = [line["at"] for line in crew.ledger.of("begin", stage="merge")]
    assert max(times) - min(times) > (RUNS - A_SECOND) / A_SECOND - 1
    assert len({line["pid"] for line in crew.ledger.of("begin")}) > 1
    crew.eventually(lambda: crew.inside() == 0)
