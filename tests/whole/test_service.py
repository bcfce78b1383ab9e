"""The ``service`` pipeline: a document becomes a deployed service, whatever is killed on the way."""

from __future__ import annotations

import json
import os
import signal
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from people import Person, until

HERE = Path(__file__).parent
STAGES = ("plan", "scaffold", "validate", "e2e", "integrate", "deploy")


def call(url: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
    """What the service answers: status and JSON."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def live(person: Person) -> dict[str, Any]:
    releases = json.loads(person.run("release", "list", "--json").stdout)
    return next(one for one in releases if one["status"] == "live")


def kill_during(person: Person, stage: str) -> None:
    """kill -9 the engine while a stage is at work; a stage too quick to be caught is killed after."""

    def at_work() -> bool:
        return person.stage(stage).get("status") in {"running", "passed", "failed"}

    until(at_work, f"{stage} at work", within=120)
    person.kill_engine()
    # Any later command carries on what was left in the middle.
    assert "carried on" in person.run("run", "list").stderr


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_killed_during_every_stage_a_document_still_becomes_one_service(
    person: Person, tmp_path: Path
) -> None:
    into = tmp_path / "a place with a space" / "notes"
    document = str(HERE / "notes.openapi.yaml")
    started = person.run("run", "--spec", document, "--into", str(into), "--detach", "--json")
    assert started.returncode == 0, started.stderr
    for stage in STAGES[:4]:
        kill_during(person, stage)
    person.run("run", "resume", "@last", "--detach")
    until(lambda: person.view()["summary"]["status"] == "waiting", "the question", within=120)
    assert not into.exists(), "something was integrated before it was decided"
    decided = person.run("decide", "@last", "approve", "-m", "shouting can wait")
    assert decided.returncode == 0, decided.stdout + decided.stderr
    for stage in STAGES[4:]:
        kill_during(person, stage)
    done = person.run("run", "resume", "@last")
    assert done.returncode == 0, done.stdout + done.stderr

    view = person.view()
    assert view["summary"]["status"] == "succeeded"
    assert view["asks"][0]["comment"] == "shouting can wait"
    history = person.system.queries.events("@last")
    passed = [event.stage for event in history if event.type == "StagePassed"]
    assert sorted(passed) == sorted(STAGES), "a stage passed twice or not at all"
    releases = json.loads(person.run("release", "list", "--json").stdout)
    assert len(releases) == 1, "a kill made a second release"

    url = live(person)["url"]
    status, note = call(f"{url}/notes", {"text": "first", "mood": "cross"})
    assert status == 201
    assert call(f"{url}/notes/{note['id']}") == (200, note)
    _, other = call(f"{url}/notes", {"text": "second"})
    assert (other["text"], other["mood"]) == ("second", "calm")
    assert call(f"{url}/notes", {"text": ""})[0] == 422
    assert call(f"{url}/notes/{note['id']}/shout", {})[0] == 501

    kill_the_service(person)
    until(lambda: answers(url, note), "the service back with what was stored", within=30)
    stopped = person.run("release", "stop", "--all")
    assert stopped.returncode == 0, stopped.stderr
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"{url}/notes/{note['id']}", timeout=2)


def kill_the_service(person: Person) -> None:
    pid = live(person)["pid"]
    os.kill(pid, signal.SIGKILL)


def answers(url: str, note: dict[str, Any]) -> bool:
    try:
        return call(f"{url}/notes/{note['id']}") == (200, note)
    except OSError:
        return False
