"""What a run did to the world before it was stopped is said, with the command that undoes it."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from scripted import (
    WORK,
    House,
    MergeRequest,
    Scripted,
    WorkRequest,
    WorkResult,
    merging,
    pipeline,
    stage,
)

from gitcalls import git
from shipway.agents.agent import Desk
from shipway.agents.registry import Registry
from shipway.config import Settings
from shipway.contracts.registry import Contract
from shipway.domain.states import RunStatus
from shipway.engine.engine import Engine
from shipway.errors import StoppedError


class Merged(WorkResult):
    """What the integrate contract says of a merge, as far as effects are told from it."""

    repository: str
    target: str = "main"
    strategy: str = "squash"
    previous: str
    commit: str


@pytest.fixture
def local(settings: Settings) -> Iterator[House]:
    made = House(settings)
    made.contracts = WORK | {"integrate": Contract("integrate", 1, MergeRequest, Merged)}
    yield made
    made.close()


def start(house: House, merge: Callable[[WorkRequest, Desk], WorkResult]) -> None:
    """An engine that has an agent to integrate as well."""
    integrator = Scripted()
    integrator.capability = "integrate"
    integrator.script = {"integrate": merge}
    engine = Engine(
        house.settings, house.database, Registry([house.agent, integrator]), house.artifacts,
        house.rested.append, contracts=house.contracts,
    )  # fmt: skip
    assert engine.start()
    house.engines.append(engine)


def shop(place: Path) -> Path:
    repository = place / "shop"
    repository.mkdir()
    git(repository, "init", "-q", "-b", "main")
    git(repository, "commit", "-q", "--allow-empty", "-m", "first")
    return repository


def merger(repository: Path) -> Callable[[WorkRequest, Desk], Merged]:
    """Commits one line more each time."""

    def merge(_request: WorkRequest, _desk: Desk) -> Merged:
        previous = git(repository, "rev-parse", "main")
        with (repository / "new.py").open("a") as file:
            file.write("A = 1\n")
        git(repository, "add", "-A")
        git(repository, "commit", "-q", "-m", "the change")
        commit = git(repository, "rev-parse", "main")
        return Merged(repository=str(repository), previous=previous, commit=commit)

    return merge


def test_a_cancelled_run_names_what_it_merged_and_its_undoing(
    local: House, shipway: Callable[..., CompletedProcess[str]], tmp_path: Path
) -> None:
    repository, working = shop(tmp_path), threading.Event()

    def slow(_request: WorkRequest, desk: Desk) -> WorkResult:
        working.set()
        desk.cancel.wait(30)
        raise StoppedError("stopped")

    local.agent.script = {"deploy": slow}
    start(local, merger(repository))
    run = local.submit(
        pipeline(merging("integrate"), stage("deploy", "integrate")),
        {"repository": str(repository)},
    )
    assert working.wait(10)
    said = shipway("run", "cancel", "1")
    detail = local.until(run, RunStatus.CANCELLED)
    (effect,) = detail.effects
    commit = git(repository, "rev-parse", "main")
    assert (effect.kind, effect.stage) == ("merge", "integrate")
    assert effect.what == f"merged {commit[:12]} into main of {repository}"
    assert "what it has done already stays done:" in said.stderr
    assert f"  {effect.what}\n    to undo it: {effect.undo}\n" in said.stderr
    viewed = " ".join(shipway("run", "view", "1").stdout.split())
    assert f"merged {commit[:12]} into main" in viewed
    assert f"git -C {repository} revert" in viewed
    subprocess.run(
        ["sh", "-c", str(effect.undo)], check=True, env={"PATH": "/usr/bin:/bin", "GIT_EDITOR": "true",
        "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@b"},
    )  # fmt: skip
    assert not (repository / "new.py").exists()


def test_a_run_that_is_sent_back_names_what_it_merged_before_and_then_both(
    local: House, shipway: Callable[..., CompletedProcess[str]], tmp_path: Path
) -> None:
    repository = shop(tmp_path)
    start(local, merger(repository))
    plan = pipeline(merging("integrate"), stage("deploy", "integrate"))
    run = local.submit(plan, {"repository": str(repository)})
    (first,) = local.until(run).effects
    said = shipway("run", "rewind", "1", "integrate", "-m", "once more", "--detach")
    assert said.returncode == 0, said.stderr
    assert "what it has done already stays done:" in said.stderr
    assert f"  {first.what}\n    to undo it: {first.undo}\n" in said.stderr
    found = local.until(run).effects
    now = git(repository, "rev-parse", "main")[:12]
    assert found[0] == first, "what was merged before the rewind is told no more"
    assert [(one.kind, one.stage, one.attempt) for one in found[1:]] == [("merge", "integrate", 2)]
    assert found[1].what == f"merged {now} into main of {repository}"
    local.commands.rewind(run, "deploy", by="ada")
    assert local.until(run).effects == found, "nothing was merged, and yet more is told"
    viewed = " ".join(shipway("run", "view", "1").stdout.split())
    assert first.what.split(" into ")[0] in viewed
    assert str(first.undo).split(" revert ")[1] in viewed
