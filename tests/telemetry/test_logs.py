"""Log lines are JSON, name the work they belong to, hold no secret and stay bounded."""

from __future__ import annotations

import asyncio
import contextvars
import io
import json
import logging
import os
import resource
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import structlog

from shipway.telemetry.attempts import attempt_log
from shipway.telemetry.logs import bound, configure, current
from shipway.telemetry.sink import RotatingFile

SECRET = "hunter2hunter2"


@pytest.fixture
def lines():
    """What was logged so far, as objects."""
    stream = io.BytesIO()
    configure("debug", stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    structlog.reset_defaults()
    for handler in logging.getLogger().handlers[:]:
        if type(handler).__name__ == "_Bridge":
            logging.getLogger().removeHandler(handler)


def test_every_line_inside_names_run_stage_attempt_and_trace(lines):
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    log = structlog.get_logger()
    with bound(run="r1", stage="plan", attempt=2, traceparent=parent) as span:
        log.info("inside", extra=1)
    log.info("outside")
    inside, outside = lines()
    assert {key: inside[key] for key in ("run", "stage", "attempt", "level", "extra")} == {
        "run": "r1",
        "stage": "plan",
        "attempt": 2,
        "level": "info",
        "extra": 1,
    }
    assert inside["trace_id"] == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert inside["span_id"] == span.span_id != "00f067aa0ba902b7"
    assert inside["time"].endswith("Z")
    assert "run" not in outside
    assert current() is None


def test_two_tasks_and_a_thread_do_not_mix_their_context(lines):
    log = structlog.get_logger()

    async def work(run):
        with bound(run=run):
            for _ in range(5):
                await asyncio.sleep(0)
                log.info("step", expected=run)
            await asyncio.to_thread(log.info, "in a thread", expected=run)

    async def both():
        await asyncio.gather(work("a"), work("b"))

    asyncio.run(both())
    assert len(lines()) == 12
    assert all(line["run"] == line["expected"] for line in lines())
    with bound(run="c"):
        inherited = contextvars.copy_context()
        thread = threading.Thread(target=inherited.run, args=(log.info, "copied"))
        thread.start()
        thread.join()
    assert lines()[-1]["run"] == "c"


def test_nested_spans_stay_in_one_trace_and_come_back(lines):
    with bound(run="r") as outer:
        with bound(stage="s") as inner:
            assert inner.trace_id == outer.trace_id
            assert inner.span_id != outer.span_id
        assert current() == outer


def test_secrets_are_masked_wherever_they_stand(lines):
    log = structlog.get_logger()
    log.info("sent password=" + SECRET, password=SECRET, nested={"argv": ["--token", SECRET]})
    try:
        raise ValueError(f"api_key={SECRET}")
    except ValueError:
        log.exception("failed")
    logging.getLogger("some.library").warning("token=%s refused", SECRET)
    first, second, third = lines()
    assert SECRET not in json.dumps([first, second, third])
    assert "ValueError" in second["exception"]
    assert third["logger"] == "some.library"


def test_the_level_is_kept_and_strange_values_become_text(lines):
    log = structlog.get_logger()
    log.info("odd", value=object(), number=2**70, half="\ud800", raw=b"\xff", many={1: {2, 3}})
    assert lines()[-1]["event"] == "odd"
    stream = io.BytesIO()
    configure("warning", stream)
    log.info("quiet")
    log.warning("loud")
    logging.getLogger("x").log(35, "between")
    logging.getLogger("x").info("chat")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == [
        "loud",
        "between",
    ]


def test_a_line_is_one_line_and_long_texts_are_bounded(lines):
    structlog.get_logger().info("a\nb\r\x1b[31mc", text="x" * 100_000)
    (line,) = lines()
    assert line["event"] == "a\nb\r\x1b[31mc"
    assert len(line["text"]) < 17_000


def test_files_rotate_within_their_bound_and_are_private(tmp_path):
    path = tmp_path / "logs" / "shipway.jsonl"
    sink = RotatingFile(path, size=1000, keep=2)
    for number in range(100):
        sink.write(b'{"n":%d}' % number)
    sink.close()
    names = sorted(file.name for file in path.parent.iterdir() if not file.name.startswith("."))
    assert names == ["shipway.jsonl", "shipway.jsonl.1", "shipway.jsonl.2"][: len(names)]
    assert all(file.stat().st_size <= 1000 for file in path.parent.iterdir())
    assert json.loads(path.read_bytes().splitlines()[-1]) == {"n": 99}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


WRITER = """
import sys
from pathlib import Path
from shipway.telemetry.sink import RotatingFile
sink = RotatingFile(Path(sys.argv[1]), size=20_000, keep=20)
for number in range(1000):
    sink.write(b'{"who":"%s","n":%d}' % (sys.argv[2].encode(), number))
"""


def test_processes_share_one_rotating_file_and_lose_no_line(tmp_path):
    path = tmp_path / "shared.jsonl"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), who], env=environment)
        for who in "abc"
    ]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0, 0]
    found = [
        json.loads(line)
        for file in tmp_path.glob("shared.jsonl*")
        for line in file.read_bytes().splitlines()
    ]
    assert len(found) == 3000
    assert len({(line["who"], line["n"]) for line in found}) == 3000


def test_a_disk_that_refuses_loses_lines_not_the_work_and_says_how_many(tmp_path):
    path = tmp_path / "full.jsonl"
    sink = RotatingFile(path)
    sink.write(b'{"n":1}')
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size, limit[1]))
    try:
        sink.write(b'{"n":2}')
        sink.write(b'{"n":3}')
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, before)
    assert sink.lost == 2
    sink.write(b'{"n":4}')
    written = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert [line.get("n", line.get("count")) for line in written] == [1, 2, 4]


def test_an_attempt_has_a_log_of_its_own_only_once_something_is_said(tmp_path):
    path = tmp_path / "a" / "log.jsonl"
    log = attempt_log(lambda: path, run="r", stage="plan", attempt=1)
    assert not path.exists()
    with bound(run="r") as span:
        log.info("reading", password=SECRET)
    line = json.loads(path.read_bytes())
    assert (line["run"], line["stage"], line["trace_id"]) == ("r", "plan", span.trace_id)
    assert SECRET not in path.read_text()
    open_files = len(list(Path("/proc/self/fd").iterdir()))
    del log
    assert len(list(Path("/proc/self/fd").iterdir())) == open_files - 1
