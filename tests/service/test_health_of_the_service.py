"""The service as an operator sees it: the shipped file starts it, health tells the truth, SIGHUP is heard."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from serving import serving

from servers import Postgres
from shipway.config.reference import production_file

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
        assert "shipway_health_check_status" in served.http.get("/metrics").text
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


@pytest.fixture
def postgres():
    with Postgres() as server:
        yield server


def test_a_frozen_database_takes_the_service_out_of_traffic_and_never_kills_it(tmp_path, postgres):
    home = tmp_path / "home"
    with serving(home, env={"SHIPWAY_DATABASE_URL": postgres.create()}) as served:
        ready = lambda: served.http.get("/health/ready").status_code  # noqa: E731 - said often
        until(lambda: ready() == 200, "ready")
        postgres.freeze()
        try:
            until(lambda: ready() == 503, "not ready", 10)  # a second on a quiet machine
            for _ in range(20):
                assert served.http.get("/health").status_code == 200
            failed = served.http.get("/health/detailed").json()["checks"]["database:ping"][0]
            assert failed["status"] == "fail"
            assert "no answer" in failed["output"]
        finally:
            postgres.thaw()
        until(lambda: ready() == 200, "ready again", 20)
