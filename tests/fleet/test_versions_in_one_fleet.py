"""Engines and workers of three versions carry the same runs, in processes of their own."""

from __future__ import annotations

import json
import signal
import subprocess

import pytest
from crew import Crew
from scripted import FAST
from speaking import speaks

from shipway.domain.pipeline import Dependency, InputRef, Literal, Pipeline, Stage
from shipway.domain.states import RunStatus
from shipway.engine.dispatch.fleet.speaking import admitted, spoken_by_engine
from shipway.engine.pipelines.codec import sealed
from shipway.errors import ContractError
from shipway.store.fleet import WorkerRow

OLD = {"place": Literal("London, England"), "legacy_code": Literal("x")}
NEW = {"town": Literal("London"), "country": Literal("England"), "express": Literal(True)}


def chain(who: str, given: dict[str, Literal], *agents: str) -> Pipeline:
    """One stage after the other, each for its agent; each sends on what the one before said."""
    stages: list[Stage] = []
    for number, agent in enumerate(agents):
        before = stages[-1].id if stages else None
        name = Literal("Ada") if before is None else InputRef(before, ("parcel",))
        needs = () if before is None else (Dependency(before),)
        stages.append(Stage(f"s{number}", "send", agent, needs, {who: name, **given}, retries=FAST))
    return sealed(Pipeline("send", 1, "", tuple(stages)))


def said(crew: Crew, run: str) -> list[dict[str, object]]:
    detail = crew.until(run)
    assert detail.summary.status is RunStatus.SUCCEEDED, (detail.stop, crew.logs())
    return [stage.result or {} for stage in detail.stages]


def stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) in {0, 143}


def versions(crew: Crew, run: str) -> list[int]:
    """In which version each stage of a run was done, as its agent saw it."""
    lines = sorted(crew.ledger.of("effect", run), key=lambda line: line["stage"])
    return [line["version"] for line in lines]


def test_a_rolling_upgrade_in_any_order_loses_nothing_and_all_versions_serve_one_run(
    crew: Crew,
) -> None:
    """The worker is upgraded before its engine, then the engine before another worker."""
    crew.patient(30)
    engine, oldest, newest = (
        crew.speaks(1, "engine"),
        crew.speaks(1, "worker", pause=0.3),
        crew.speaks(3, "worker"),
    )
    crew.ready(engine, oldest, newest)
    # All on version 1, done by N-2 and N in turn; the engine is replaced while they are under way.
    first = chain("addressee", OLD, "v1", "v3", "v1", "v3")
    begun = [crew.submit(first, contracts=speaks(1)) for _ in range(3)]
    crew.eventually(lambda: bool(crew.ledger.of("begin")))
    upgraded = crew.speaks(3, "engine")
    crew.ready(upgraded)
    stop(engine)
    middle = crew.speaks(2, "worker")
    crew.ready(middle)
    # A run of the new engine, on version 3: each of its stages is for a worker of another version.
    third = crew.submit(chain("recipient", NEW, "v3", "v2", "v1", "v3"), contracts=speaks(3))
    results = said(crew, third)
    assert [one["parcel"] for one in results][-1] == "Ada>v3>v2>v1>v3"
    assert [one["weight_g"] for one in results] == [7, None, None, 7], "older ones cannot say it"
    assert versions(crew, third) == [3, 2, 1, 3]
    assert 'lost=["express"]' in crew.logs() or '"lost":["express"]' in crew.logs()
    for run in begun:
        results = said(crew, run)
        assert results[-1] == {"parcel": "Ada>v1>v3>v1>v3"}, "it ends on the version it began with"
        assert versions(crew, run) == [1, 1, 1, 1]
    assert set(crew.ledger.effects().values()) == {1}
    # N-3 is refused when it registers, before it gets any work.
    ancient = crew.speaks(0, "worker")
    assert ancient.wait(30) != 0
    assert "speaks version 3 of send, which no longer understands 0" in crew.logs()
    assert ancient.pid not in {view.pid for view in crew.roll.workers()}


def test_a_worker_that_is_too_old_has_to_leave_when_an_engine_comes() -> None:
    """Whoever comes first: an engine is not kept out by a worker that nobody brought up to date."""
    newest, old = speaks(3), speaks(1)
    there = [row("worker", [0]), row("worker", [1, 2], "two"), row("worker", [0], silent=99.0)]
    asked = admitted(newest, "engine", spoken_by_engine(newest), lease=15.0)
    assert list(asked(there)) == ["w[0]"]
    assert "speaks version 0 of send, and 1 to 3 are understood" in asked(there)["w[0]"]
    too_new = admitted(old, "engine", spoken_by_engine(old), lease=15.0)
    with pytest.raises(ContractError, match="no longer understands 1"):
        too_new([row("worker", [2, 3, 4])])
    assert too_new([row("worker", [1, 2, 3]), row("engine", [9])]) == {}


def row(kind: str, versions: list[int], name: str = "", silent: float = 0.0) -> WorkerRow:
    serves = json.dumps([{"capability": "send", "agents": [], "versions": versions, "limit": 1}])
    return WorkerRow(
        name or f"w{versions}", kind, name, "here", 1, "1", serves, "{}", False, 1.0, silent
    )
