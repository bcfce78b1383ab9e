"""A run in flight keeps the contracts that it began with, whatever the engine speaks meanwhile."""

from __future__ import annotations

from scripted import WORK, House, WorkRequest, WorkResult

from shipway.agents.agent import Desk
from shipway.contracts.model import Model
from shipway.contracts.registry import Contract
from shipway.contracts.versions import Cast, Edition, History
from shipway.domain.states import RunStatus


class NewRequest(Model):
    """``seen`` is called ``heard`` now."""

    heard: str = ""


class NewResult(Model):
    words: str = ""


def renamed(old: str, new: str) -> Cast:
    def up(data: dict[str, object]) -> dict[str, object]:
        return {new: data.get(old, "")}

    def down(data: dict[str, object]) -> dict[str, object]:
        return {old: data.get(new, "")}

    return Cast(up, down)


VERSIONS = History(
    "work",
    Edition(1, WorkRequest, WorkResult),
    Edition(2, NewRequest, NewResult, renamed("seen", "heard"), renamed("said", "words")),
)
NEWER = {"work": Contract("work", 2, NewRequest, NewResult, versions=VERSIONS)}


def test_a_run_that_began_on_version_one_ends_on_it_with_agents_of_version_two(
    house: House,
) -> None:
    def new(request: NewRequest, desk: Desk) -> NewResult:
        assert desk.task.version == 1
        return NewResult(words=f"{request.heard}>{desk.task.stage}")

    stages = ("plan", "scaffold", "implement", "validate", "e2e", "integrate", "deploy")
    run = house.submit()  # with version 1: that is what there was
    assert WORK["work"].version == 1
    house.contracts = NEWER
    house.agent.script = dict.fromkeys(stages, new)
    house.engine()
    detail = house.until(run)
    assert detail.summary.status is RunStatus.SUCCEEDED
    said = detail.stages[-1].result
    assert said is not None
    assert said["said"] == ">plan>scaffold>implement>validate>integrate>deploy"
    assert "words" not in said
