"""``shipway release``: a real service behind a real supervisor, managed from the terminal."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from demoservice import candidate
from shipway.release.releases import Releases


@pytest.fixture
def releases(home: Path) -> Iterator[Releases]:
    found = Releases(home)
    found.deploy(candidate("one"))
    found.deploy(candidate("two"))
    yield found
    found.stop(all=True)


def answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def test_releases_are_listed_viewed_rolled_back_and_stopped(here, releases):
    rows = json.loads(here("release", "list", "--json").stdout)
    assert [row["status"] for row in rows] == ["live", "standby"]
    newest, oldest = rows
    text = here("release", "list").stdout
    assert text.splitlines()[0].split()[:3] == ["RELEASE", "SERVICE", "STATE"]
    assert "live" in text
    assert answers(newest["port"])

    viewed = json.loads(here("release", "view", "demo", "--json").stdout)
    assert viewed["id"] == newest["id"]
    assert "health" in here("release", "view", newest["id"][:8]).stdout

    back = here("release", "rollback", "demo")
    assert (back.returncode, oldest["id"] in back.stdout) == (0, True)
    assert json.loads(here("release", "view", "demo", "--json").stdout)["id"] == oldest["id"]

    stopped = here("release", "stop", "demo")
    assert stopped.stdout == f"demo {oldest['id']} stopped\n"
    assert not answers(newest["port"])
    assert json.loads(here("release", "stop", "--all", "--json").stdout) == []


def test_a_release_that_is_not_there_says_which_may_have_been_meant(here, releases):
    done = here("release", "stop", "dmeo")
    assert done.returncode == 6
    assert "did you mean demo?" in done.stderr
    assert here("release", "rollback", "dmeo").returncode == 6


def test_with_nothing_deployed_the_lists_are_empty_and_say_so(here):
    assert json.loads(here("release", "list", "--json").stdout) == []
    assert "nothing is deployed" in here("release", "list").stderr
    assert here("release", "view", "x").returncode == 6
