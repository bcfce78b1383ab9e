"""An engine over a real database with agents that do what a test tells them to."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from pydantic import Field

from shipway.agents.agent import Desk
from shipway.agents.registry import Registry
from shipway.config import Settings
from shipway.contracts.model import Model
from shipway.contracts.registry import Contract
from shipway.contracts.views import RunDetail
from shipway.domain.pipeline import Dependency, InputRef, Pipeline, Stage
from shipway.domain.retries import RetryPolicy
from shipway.domain.states import RunStatus
from shipway.engine.admission import limits_of
from shipway.engine.commands import Commands
from shipway.engine.engine import Engine
from shipway.engine.ids import run_id
from shipway.engine.intake import Intake, Ready
from shipway.engine.pipelines.codec import sealed
from shipway.engine.places import Places
from shipway.engine.queries import Queries
from shipway.store.artifacts import ArtifactStore
from shipway.store.opening import prepare
from shipway.telemetry.trace import new


class WorkRequest(Model):
    seen: str = ""
    answers: dict[str, str] = Field(default_factory=dict)


class WorkResult(Model):
    said: str = ""
    flag: bool = True


class MergeRequest(WorkRequest):
    repository: str = ""
    target: str = ""


WORK = {
    "work": Contract("work", 1, WorkRequest, WorkResult),
    "integrate": Contract("integrate", 1, MergeRequest, WorkResult),
}
FAST = RetryPolicy(3, base=0.01, maximum=0.05)


def stage(name: str, *needs: str, **options: Any) -> Stage:
    return Stage(
        id=name,
        capability="work",
        agent="builtin",
        needs=tuple(Dependency(need) for need in needs),
        inputs={
            "answers": InputRef("run", ("answers",)),
            **({"seen": InputRef(needs[0], ("said",))} if needs else {}),
        },
        **{"retries": FAST, **options},
    )


def merging(name: str, *needs: str, **options: Any) -> Stage:
    """A stage that integrates into the run's branch, as far as limits are concerned."""
    made = stage(name, *needs, **options)
    where = {"repository": InputRef("run", ("repository",)), "target": InputRef("run", ("target",))}
    return replace(made, capability="integrate", inputs={**made.inputs, **where})


def pipeline(*stages: Stage, **options: Any) -> Pipeline:
    return sealed(Pipeline(name="test", version=1, digest="", stages=stages, **options))


SEVEN = pipeline(
    stage("plan"),
    stage("scaffold", "plan"),
    stage("implement", "scaffold"),
    stage("validate", "implement"),
    stage("e2e", "implement"),
    stage("integrate", "validate", "e2e"),
    stage("deploy", "integrate"),
)

Perform = Callable[[WorkRequest, Desk], WorkResult]


class Scripted:
    """Does what ``script`` says for a stage, else succeeds; remembers every attempt."""

    capability = "work"
    name = "scripted"

    def __init__(self) -> None:
        self.script: dict[str, Perform] = {}
        self.done: list[tuple[str, str, int]] = []
        self._lock = threading.Lock()

    def perform(self, request: WorkRequest, desk: Desk) -> WorkResult:
        task = desk.task
        with self._lock:
            self.done.append((task.run, task.stage, task.attempt))
        act = self.script.get(task.stage)
        if act is not None:
            return act(request, desk)
        return WorkResult(said=f"{request.seen}>{task.stage}")


class House:
    """One state directory: engines can be started and stopped on it, runs submitted and watched."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.places = Places(settings.home)
        self.database = prepare(self.places.database, settings)
        self.artifacts = ArtifactStore(self.places.artifacts)
        self.queries = Queries(self.database, settings.home, self.artifacts)
        self.agent = Scripted()
        self.contracts: Mapping[str, Contract] = WORK
        self.engines: list[Engine] = []
        self.rested: list[str] = []
        intake = Intake(settings.home, self.artifacts)
        self.commands = Commands(
            self.database,
            settings.home,
            intake,
            lambda: None,
            contracts=WORK,
            limits=limits_of(settings),
        )

    def engine(self, now: Callable[[], float] | None = None) -> Engine:
        engine = Engine(
            self.settings,
            self.database,
            Registry([self.agent]),
            self.artifacts,
            self.rested.append,
            now,
            contracts=self.contracts,
        )
        assert engine.start()
        self.engines.append(engine)
        return engine

    def submit(self, plan: Pipeline = SEVEN, values: Mapping[str, Any] | None = None) -> str:
        ready = self.ready(plan, values)
        self.commands.start(ready)
        return ready.run

    def ready(self, plan: Pipeline = SEVEN, values: Mapping[str, Any] | None = None) -> Ready:
        """A run that only needs to be started."""
        requirement = self.artifacts.put(b"do it", "requirement.md", "text/markdown")
        given = {
            "requirement": requirement.model_dump(mode="json"),
            "kind": "change",
            "target": "main",
            "repository": "somewhere",
            "answers": {},
            **(values or {}),
        }
        return Ready(run_id(time.time()), new(), "do it", plan, given)

    def until(self, run: str, *statuses: RunStatus, within: float = 10.0) -> RunDetail:
        """The run once it has one of the statuses (any final one if none is named)."""
        give_up = time.monotonic() + within
        while time.monotonic() < give_up:
            status = self.queries.status(run)
            if status in statuses or (not statuses and status.is_final):
                return self.queries.run(run)
            time.sleep(0.005)
        raise AssertionError(f"still {self.queries.run(run)}")

    def close(self) -> None:
        for engine in self.engines:
            engine.stop()
        self.database.close()
