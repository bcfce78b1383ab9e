"""Switching under load: no request fails, and a release that is not healthy never takes traffic."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from deployed import QUICK, eventually, get, is_gone
from traffic import Load

from shipway.errors import NotFoundError, ServiceUnhealthyError
from shipway.release.record import Status
from shipway.release.releases import Releases


def test_twenty_switches_and_a_bad_release_under_load_fail_no_request(
    releases: Releases, candidate
) -> None:
    port = releases.deploy(candidate("v0")).port
    with Load(port) as load:
        for number in range(1, 21):
            if number == 10:
                with pytest.raises(ServiceUnhealthyError):
                    releases.deploy(candidate("bad", health="flaps"))
            release = releases.deploy(candidate(f"v{number}"))
            assert get(port)["version"] == f"v{number}"
            assert release.port == port
    assert load.failures == []
    assert load.done > 1000
    live = [one for one in releases.list() if one.status is Status.LIVE]
    assert [one.id for one in live] == [release.id]
    log = releases.secrets_path("demo").parent / "supervisor.log"
    # The last one is let go while the next is live already.
    eventually(lambda: log.read_text().count("drained; exited with code 0") == 20)
    assert "Traceback" not in log.read_text()


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ({"health": "never"}, "answered 500"),
        ({"health": "flaps"}, "answered 503"),
        ({"start": "exits"}, "exited with code 1"),
    ],
    ids=["never healthy", "flaps", "exits"],
)
def test_a_bad_release_never_takes_traffic_and_says_why(
    releases: Releases, candidate, behaviour, reason
) -> None:
    good = releases.deploy(candidate("good"))
    seen = set()
    timing = replace(QUICK, healthy_within=1.0, observe=0.6)
    with Load(good.port) as load, pytest.raises(ServiceUnhealthyError, match=reason) as caught:
        releases.deploy(
            candidate("bad", timing=timing, **behaviour),
            say=lambda _: seen.add(get(good.port)["version"]),
        )
    assert load.failures == []
    assert "version bad starts" in caught.value.details["log"]
    bad = releases.view(caught.value.details["release"])
    assert bad.status is Status.FAILED
    assert reason in (bad.reason or "")
    assert bad.pid is None
    assert bad.live_at is None
    assert releases.live("demo") == releases.view(good.id)
    assert seen == {"good"}
    assert get(good.port)["version"] == "good"


def test_the_first_release_takes_no_traffic_before_it_is_healthy(
    releases: Releases, candidate
) -> None:
    with pytest.raises(ServiceUnhealthyError, match="nothing else was live"):
        releases.deploy(candidate("bad", start="exits"))
    assert releases.live("demo") is None
    at = releases.secrets_path("demo").parent
    eventually(lambda: not (at / "control.sock").exists())


def test_health_evidence_names_the_process_that_answered(releases: Releases, candidate) -> None:
    release = releases.deploy(candidate("one"))
    said = get(release.port)
    assert release.health is not None
    assert release.health.pid == release.pid == said["pid"]
    assert release.health.status == 200
    assert release.health.url == f"{release.url}/health"


def test_a_release_that_dies_is_started_again_and_waiting_requests_are_served(
    releases: Releases, candidate
) -> None:
    release = releases.deploy(candidate("one"))
    os.kill(release.pid, signal.SIGKILL)
    assert get(release.port)["version"] == "one"  # it waited in the queue instead of being refused
    again = eventually(lambda: (now := releases.view(release.id)).restarts and now)
    assert again.pid != release.pid
    assert again.status is Status.LIVE


def test_a_crash_loop_ends_and_the_last_good_release_comes_back(
    releases: Releases, candidate
) -> None:
    good = releases.deploy(candidate("good"))
    bad = releases.deploy(candidate("bad"))
    (releases.secrets_path("demo").parent / "data" / "broken-bad").touch()
    os.kill(bad.pid, signal.SIGKILL)
    eventually(lambda: releases.view(bad.id).status is Status.ROLLED_BACK)
    eventually(lambda: releases.view(good.id).status is Status.LIVE)
    assert get(good.port)["version"] == "good"
    assert "failed 4 times" in (releases.view(bad.id).reason or "")
    assert releases.state("demo").line == (good.id,)


def test_a_crash_loop_without_an_earlier_release_stops_with_a_reason(
    releases: Releases, candidate
) -> None:
    only = releases.deploy(candidate("only"))
    at = releases.secrets_path("demo").parent
    (at / "data" / "broken-only").touch()
    os.kill(only.pid, signal.SIGKILL)
    eventually(lambda: releases.view(only.id).status is Status.FAILED)
    eventually(lambda: not (at / "supervisor.json").exists())
    assert "failed 4 times" in (releases.view(only.id).reason or "")
    assert releases.state("demo").live is None


def test_rollback_goes_to_the_recorded_last_good_release(releases: Releases, candidate) -> None:
    first = releases.deploy(candidate("first"))
    with pytest.raises(ServiceUnhealthyError):
        releases.deploy(candidate("failed", start="exits"))
    second = releases.deploy(candidate("second"))
    with Load(first.port) as load:
        back = releases.rollback("demo")
    assert load.failures == []
    assert back.id == first.id  # not the failed one, which came just before
    assert get(first.port)["version"] == "first"
    assert releases.view(second.id).status is Status.ROLLED_BACK
    with pytest.raises(NotFoundError, match="no earlier good release"):
        releases.rollback("demo")


def test_a_service_that_ignores_sigterm_is_ended_after_the_drain(
    releases: Releases, candidate, tmp_path: Path
) -> None:
    deaf = releases.deploy(candidate("deaf", term="ignored", timing=replace(QUICK, drain=0.5)))
    releases.deploy(candidate("next", timing=replace(QUICK, drain=0.5)))
    eventually(lambda: is_gone(deaf.pid))
    log = releases.secrets_path("demo").parent / "supervisor.log"
    eventually(lambda: "had to be ended" in log.read_text())
