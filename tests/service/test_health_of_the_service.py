"""The service as an operator sees it: the shipped file starts it, health tells the truth, SIGHUP is heard."""

from __future__ import annotations

import contextlib
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from serving import serving

from servers import Postgres, Redis
from shipway.config.reference import production_file
from wire import Wire

ROOT = Path(__file__).resolve().parents[2]


def until(condition, what, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited for {what}"
        time.sleep(0.02)


def shipped(home: Path) -> dict[str, str]:
    """The variables of the file as a service manager reads them, at places that a test may write."""
    lines = [line for line in production_file().splitlines() if line and not line.startswith("#")]
    given = dict(shlex.split(line)[0].split("=", 1) for line in lines)
    assert given["SHIPWAY_ENVIRONMENT"] == "production"
    return given | {"SHIPWAY_HOME": str(home), "SHIPWAY_CACHE": str(home / "cache")}


def test_the_shipped_file_starts_a_service_that_is_healthy_and_hears_sighup(tmp_path):
    home, file = tmp_path / "home", tmp_path / "shipway.toml"
    file.write_text('log_level = "info"\n')
    with serving(home, env=shipped(home) | {"SHIPWAY_CONFIG": str(file)}) as served:
        until(lambda: served.http.get("/health/ready").status_code == 200, "ready")
        alive = served.http.get("/health")
        assert (alive.status_code, alive.json()) == (200, {"status": "pass"})
        told = served.http.get("/health/detailed").json()
        assert told["checks"]["database:ping"][0]["status"] == "pass"
        assert told["requests"]["per_second"] > 0
        assert told["checks"]["queue:age"][0]["observedValue"] == 0
        figures = served.http.get("/metrics").text
        assert "shipway_health_check_status" in figures
        revision = served.http.get("/api/v1/version").json()["revision"]
        assert f'shipway_build_info{{revision="{revision}",' in figures
        file.write_text('log_level = "warning"\nfence = "degraded"\n')
        served.process.send_signal(signal.SIGHUP)
        line = served.line(event="settings stay as they were: they cannot be used")
        assert "SHIPWAY_FENCE should be strict" in line["faults"][0]
        file.write_text('log_level = "info"\nmax_attempts_at_once = 7\n')
        served.process.send_signal(signal.SIGHUP)
        line = served.line(event="settings were read again")
        assert line["changed"] == ["max_attempts_at_once"]
        assert served.http.get("/health").status_code == 200
        assert served.line(event="settings in force")["fence"] == "strict"
        look = subprocess.run(
            [sys.executable, "-P", "-m", "shipway", "health", "--json"],
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT / "src"), **shipped(home)}
            | {"SHIPWAY_URL": served.url},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert look.returncode == 0, look.stderr
        assert '"requests"' in look.stdout, "it is the server that was asked"


def assert_redis_is_missed(cache: Redis, served, without: int) -> None:
    """What readiness answers while Redis is stopped, and that it is well again afterwards."""

    def found() -> tuple[int, str]:
        told = served.http.get("/health/detailed").json()["checks"]["redis:ping"][0]
        return served.http.get("/health/ready").status_code, told["status"]

    until(lambda: found() == (200, "pass"), "ready")
    assert 'shipway_pool_connections{pool="redis",state="max"}' in metrics(served)
    cache.stop()
    until(lambda: found() == (without, "fail"), f"{without} without Redis")
    assert served.http.get("/api/v1/runs").status_code == 200
    until(lambda: 'breaker="redis",state="open"} 1.0' in metrics(served), "its breaker is open")
    if without == 200:
        assert served.http.get("/health/ready").json()["status"] == "warn"
    cache.start()
    until(lambda: found() == (200, "pass"), "ready again")


def test_without_redis_a_server_warns_and_serves(tmp_path):
    with Redis() as cache, serving(tmp_path, env={"SHIPWAY_REDIS_URL": cache.url}) as served:
        assert_redis_is_missed(cache, served, 200)


def metrics(served) -> str:
    return served.http.get("/metrics").text


@contextlib.contextmanager
def frozen(server: Postgres, _wire: Wire) -> Iterator[None]:
    server.freeze()
    try:
        yield
    finally:
        server.thaw()


@contextlib.contextmanager
def refused(server: Postgres, _wire: Wire) -> Iterator[None]:
    server.stop()
    try:
        yield
    finally:
        server.start()


@contextlib.contextmanager
def slow(_server: Postgres, wire: Wire) -> Iterator[None]:
    wire.delay = 1.0
    try:
        yield
    finally:
        wire.delay = 0.0


def test_a_database_that_is_away_keeps_traffic_away_for_so_long_and_loses_nothing(
    tmp_path, change, record_property
):
    """Promised are 1 s and 2 s: ``bench/readiness.py`` holds them; a busy machine gets slack here."""
    slack = 4.0
    with Postgres() as server, Wire(server.create()) as wire, Redis() as cache:
        home = tmp_path / "home"
        env = {
            "SHIPWAY_DATABASE_URL": wire.url,
            "SHIPWAY_REDIS_URL": cache.url,
            "SHIPWAY_HEALTH_REQUIRED": "redis:ping",
        }
        with serving(home, env=env) as served:
            ready = lambda: served.http.get("/health/ready").status_code  # noqa: E731 - said often
            until(lambda: ready() == 200, "ready")
            runs = []
            for out in (frozen, refused, slow):
                runs.append(served.http.post("/api/v1/runs", json=change()).json()["id"])
                began = time.monotonic()
                with out(server, wire):
                    until(lambda: ready() == 503, "not ready", 1.0 + slack)
                    away = time.monotonic() - began
                    assert served.http.get("/health").status_code == 200
                    told = served.http.get("/health/detailed").json()["checks"]
                    assert told["database:ping"][0]["status"] == "fail"
                began = time.monotonic()
                until(lambda: ready() == 200, "ready again", 2.0 + slack)
                back = time.monotonic() - began
                record_property(out.__name__, f"503 after {away:.2f} s, 200 after {back:.2f} s")
            for run in runs:  # accepted, and kept for whoever works in this fleet
                history = served.http.get(f"/api/v1/runs/{run}/history").json()
                assert [event["seq"] for event in history] == [*range(1, len(history) + 1)]
            numbers = [one["number"] for one in served.http.get("/api/v1/runs").json()["items"]]
            assert sorted(numbers) == [1, 2, 3]
            assert_redis_is_missed(cache, served, 503)
