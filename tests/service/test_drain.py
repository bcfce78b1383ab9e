"""The end of a server: in order, in time, and with nothing lost; and the next one in its place."""

from __future__ import annotations

import asyncio
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from restarts import roll
from serving import ROOT, serving, settled, slow

from shipway.server.sockets import own


def asking(url: str, path: str) -> tuple[threading.Thread, list[object]]:
    """A request in a thread, and what came of it; returns once it is being served."""
    came: list[object] = []

    def ask() -> None:
        try:
            came.append(httpx.get(url + path, timeout=90, trust_env=False).text)
        except httpx.HTTPError as error:
            came.append(type(error).__name__)

    thread = threading.Thread(target=ask)
    thread.start()
    return thread, came


def test_what_is_under_way_is_answered_and_what_takes_too_long_ends_in_time():
    with slow(0.2, 0.1, 3.0, 8.0) as (process, url):
        short, short_came = asking(url, "/slow/1")
        long, long_came = asking(url, "/slow/60")
        assert httpx.get(url + "/slow/0", trust_env=False).text == "done"
        process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        assert process.stdout.readline() == "asked\n"
        assert process.wait(20) == 0
        took = time.monotonic() - began
        short.join()
        long.join()
        assert short_came == ["done"]
        assert long_came != ["done"]
        assert 2.0 < took < 8.0


def test_while_it_deregisters_it_answers_and_closes_then_nobody_is_let_in():
    with slow(2.0, 0.1, 5.0, 12.0) as (process, url):
        with httpx.Client(base_url=url, trust_env=False) as kept:
            assert kept.get("/slow/0").headers.get("connection") != "close"
            process.send_signal(signal.SIGTERM)
            assert process.stdout.readline() == "asked\n"
            assert kept.get("/slow/0").headers["connection"] == "close"
            assert httpx.get(url + "/slow/0", trust_env=False).text == "done"
            assert process.stdout.readline() == "closed\n"
            with pytest.raises(httpx.ConnectError):
                httpx.get(url + "/slow/0", trust_env=False)
        assert process.stdout.readline() == "ended\n"
        assert process.wait(10) == 0


def test_a_second_signal_hurries():
    with slow(20.0, 0.1, 60.0, 90.0) as (process, url):
        thread, came = asking(url, "/slow/60")
        assert httpx.get(url + "/slow/0", trust_env=False).text == "done"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "asked\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
        thread.join()
        assert came != ["done"]


def test_a_server_that_hangs_is_ended_by_its_watchdog():
    with slow(0.1, 0.1, 0.5, 2.0) as (process, url):
        thread, _ = asking(url, "/stuck/60")
        time_out = time.monotonic() + 10
        while Path(f"/proc/{process.pid}/wchan").exists() and time.monotonic() < time_out:
            with socket.create_connection((urlsplit(url).hostname, urlsplit(url).port)) as probe:
                probe.settimeout(0.5)
                probe.sendall(b"GET /slow/0 HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
                try:
                    probe.recv(1)
                except TimeoutError:
                    break
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
        thread.join()


def test_a_server_is_not_ready_the_moment_it_is_told_to_end_and_hands_its_run_back(
    tmp_path: Path, change
):
    home = tmp_path / "home"
    go = tmp_path / "go"
    waiting = ["sh", "-c", f"while ! test -e {go}; do sleep 0.1; done; echo two > a.txt"]
    with serving(home, started=True) as served:
        run = served.http.post("/api/v1/runs", json=change(command=waiting)).json()["id"]
        deadline = time.monotonic() + 30
        while served.http.get("/health/ready").status_code != 200:
            assert time.monotonic() < deadline
        while settled(served.http, run, "running")["stages"][1]["status"] != "running":
            assert time.monotonic() < deadline
        served.process.send_signal(signal.SIGTERM)
        answer = served.http.get("/health/ready")
        while answer.status_code == 200:
            answer = served.http.get("/health/ready")
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
        assert served.process.wait(35) == 0
    assert not (home / "server.url").exists()
    with serving(home, started=True) as served:
        detail = served.http.get(f"/api/v1/runs/{run}").json()
        assert detail["summary"]["status"] == "running"
        assert detail["stages"][1]["attempts"][0]["status"] == "interrupted"
        assert served.http.post(f"/api/v1/runs/{run}/cancel").status_code == 200


@pytest.mark.slow
def test_restarts_under_load_drop_nothing_and_refuse_nobody(tmp_path: Path):
    load, codes = roll(tmp_path / "home", restarts=2, requests=1500)
    assert set(load.counts) == {"answered"}, load.counts
    assert set(codes) == {0}


def test_an_answer_waits_for_nobody_on_its_way_out():
    """Without it each answer on a connection that is kept waits 40 ms for the caller's system."""

    async def work() -> int:
        seen: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def called(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            line = writer.get_extra_info("socket")
            seen.set_result(line.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        listener = own("127.0.0.1", 0)
        async with await asyncio.start_server(called, sock=listener):
            _, writer = await asyncio.open_connection(*listener.getsockname())
            writer.close()
            return await seen

    assert asyncio.run(work()) == 1


def test_a_socket_that_was_not_handed_over_is_told(shipway):
    said = shipway("serve", "--socket")
    assert said.returncode == 2
    assert "LISTEN_FDS" in said.stderr


def test_the_units_are_what_systemd_takes(tmp_path: Path):
    verify = shutil.which("systemd-analyze")
    units = ROOT / "packaging" / "systemd"
    service = (units / "shipway.service").read_text()
    assert "Type=notify" in service
    assert "serve --socket" in service
    if verify is None:
        return  # where there is no systemd, nobody installs its units
    # Wherever the checkout lies: a path with a space has to be quoted in a unit, ours or an operator's.
    command = tmp_path / "with a space" / "shipway"
    command.parent.mkdir()
    command.symlink_to(Path(sys.executable).with_name("shipway"))
    (tmp_path / "shipway.service").write_text(
        service.replace("/usr/local/bin/shipway", f'"{command}"').replace("User=shipway\n", "")
    )
    shutil.copy(units / "shipway.socket", tmp_path)
    done = subprocess.run(
        [
            verify,
            "verify",
            "--man=no",
            str(tmp_path / "shipway.service"),
            str(tmp_path / "shipway.socket"),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    told = [line for line in done.stderr.splitlines() if "shipway" in line]
    assert (done.returncode, told) == (0, []), done.stderr


def test_the_manager_is_told_when_it_is_ready_lives_and_stops(tmp_path: Path):
    place = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(place)
        manager.settimeout(30)
        env = {"NOTIFY_SOCKET": place, "WATCHDOG_USEC": "300000"}
        with serving(tmp_path / "home", env=env) as served:
            told = {manager.recv(100).decode() for _ in range(3)}
            assert told == {"READY=1", "WATCHDOG=1"}
            served.process.terminate()
            while (word := manager.recv(100).decode()) != "STOPPING=1":
                assert word == "WATCHDOG=1"
