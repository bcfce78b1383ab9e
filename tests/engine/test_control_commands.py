"""Dead letters and quarantined runs as the command line shows them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from subprocess import CompletedProcess

import pytest
from scripted import House, WorkRequest, WorkResult, pipeline, stage

from shipway.agents.agent import Desk
from shipway.config import Settings
from shipway.domain.retries import RetryPolicy
from shipway.domain.states import RunStatus
from shipway.engine.letters import Letters
from shipway.errors import DependencyError, ExitCode, NetworkError
from shipway.store.dead import Which

Say = Callable[..., CompletedProcess[str]]


@pytest.fixture
def local(settings: Settings) -> Iterator[House]:
    made = House(settings)
    yield made
    made.close()


def unreachable(_request: WorkRequest, _desk: Desk) -> WorkResult:
    raise NetworkError("nobody answers")


def test_dead_letters_are_listed_viewed_and_discarded(local: House, shipway: Say) -> None:
    local.agent.script = {"ship": unreachable}
    engine = local.engine()
    plan = pipeline(stage("plan"), stage("ship", "plan", retries=RetryPolicy(1, base=0.01)))
    for _ in range(2):
        local.until(local.submit(plan))
    engine.stop()
    local.engines.remove(engine)
    listed = shipway("dead", "list").stdout.splitlines()
    assert listed[0].split()[:4] == ["DEAD", "STATE", "RUN", "STAGE"]
    assert "NETWORK" in listed[1]
    assert "nobody answers" in listed[1]
    viewed = shipway("dead", "view", "1").stdout
    for words in (
        "[NETWORK] nobody answers",
        "1 failed, token",
        "2 failed, token",
        "dead replay 1",
    ):
        assert words in viewed
    refused = shipway("dead", "discard", "1")
    assert refused.returncode == ExitCode.USAGE
    done = shipway("dead", "discard", "1", "9", "-m", "by hand", "--json")
    assert done.returncode == ExitCode.FAILED
    assert [one["ok"] for one in json.loads(done.stdout)] == [True, False]
    assert [one["number"] for one in json.loads(shipway("dead", "list", "--json").stdout)] == [2]
    assert shipway("dead", "discard", "--all", "--code", "NETWORK", "-m", "gone").returncode == 0
    assert "no dead letters" in shipway("dead", "list").stderr


def test_dead_letters_are_replayed_by_filter_and_all_at_once_with_a_result_for_each(
    local: House, shipway: Say
) -> None:
    def broken(_request: WorkRequest, _desk: Desk) -> WorkResult:
        raise DependencyError("the registry is ill")

    local.agent.script = {"ship": unreachable, "send": broken}
    engine, once = local.engine(), RetryPolicy(0)
    runs = [
        local.submit(pipeline(stage(name, retries=once)))
        for name in ("ship", "send", "ship", "send", "ship")
    ]
    for run in runs:
        local.until(run)
    numbers = {one.run: one.number for one in Letters(local.database, local.queries).list(Which())}
    local.agent.script = {"send": broken}

    def results(*words: str) -> tuple[int, dict[int, bool]]:
        said = shipway("dead", *words, "--json")
        return said.returncode, {one["number"]: one["ok"] for one in json.loads(said.stdout)}

    def of(*which: int) -> dict[int, bool]:
        return {numbers[runs[one]]: True for one in which}

    assert results("replay", "--all", "--code", "NETWORK", "--run", runs[0]) == (0, of(0))
    assert local.until(runs[0]).summary.status is RunStatus.SUCCEEDED
    assert results("replay", "--all", "--stage", "send", "-m", "it is back") == (0, of(1, 3))
    for run in (runs[1], runs[3]):
        local.until(run)
    said = shipway("dead", "replay", "--all", "--code", "NETWORK")
    told = {f"dead letter {numbers[runs[one]]} replayed" for one in (2, 4)}
    assert set(said.stdout.splitlines()) == told
    assert "2 of 2 dead letters replayed" in said.stderr
    for run in (runs[2], runs[4]):
        assert local.until(run).summary.status is RunStatus.SUCCEEDED
    # What was replayed and died again is a letter of its own.
    again = {one.run: one.number for one in Letters(local.database, local.queries).list(Which())}
    assert again.keys() == {runs[1], runs[3]}
    assert not set(again.values()) & set(numbers.values())
    assert results("discard", "--all", "-m", "given up") == (
        0,
        dict.fromkeys(again.values(), True),
    )
    engine.stop()
    local.engines.remove(engine)


def test_a_quarantined_run_is_listed_says_why_and_is_discarded(local: House, shipway: Say) -> None:
    run = local.submit()
    writer = local.database.writer()
    writer.execute("UPDATE runs SET state = ? WHERE id = ?", (b"rubbish", run))
    writer.close()
    engine = local.engine()
    local.until(run, RunStatus.QUARANTINED)
    engine.stop()
    local.engines.remove(engine)
    (listed,) = json.loads(shipway("run", "list", "--status", "quarantined", "--json").stdout)
    assert listed["id"] == run
    viewed = shipway("run", "view", "1").stdout
    assert "[CORRUPT_RUN] the stored state of run 1 cannot be read" in viewed
    assert "shipway run repair 1" in viewed
    shipway("run", "discard", "1", "-m", "started again")
    assert "discarded by" in shipway("run", "view", "1").stdout
    assert json.loads(shipway("run", "list", "--status", "quarantined", "--json").stdout) == []
