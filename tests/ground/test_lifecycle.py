"""Parts start in order, drain, stop in reverse, and the process always ends in time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from shipway.errors import ExitCode
from shipway.lifecycle import Lifecycle, Part


def recorded(names, said):
    return [
        Part(
            name,
            start=lambda name=name: said.append(f"start {name}"),
            drain=lambda _left, name=name: said.append(f"drain {name}"),
            stop=lambda _left, name=name: said.append(f"stop {name}"),
        )
        for name in names
    ]


def test_start_in_order_drain_in_order_stop_in_reverse():
    said = []
    life = Lifecycle(*recorded(["store", "engine", "door"], said))
    life.start()
    assert not life.wait(0.01)
    life.stop()
    life.stop()
    assert said == [
        *("start store", "start engine", "start door"),
        *("drain store", "drain engine", "drain door"),
        *("stop door", "stop engine", "stop store"),
    ]
    assert life.exit_code == ExitCode.DONE


def test_a_part_that_does_not_start_stops_those_before_it_and_its_error_rises():
    said = []
    first, last = recorded(["store", "door"], said)

    def broken():
        raise OSError("port in use")

    life = Lifecycle(first, Part("engine", start=broken), last)
    with pytest.raises(OSError, match="port in use"):
        life.start()
    assert said == ["start store", "stop store"]


def test_a_part_that_fails_to_stop_does_not_keep_the_others():
    said = []
    first, last = recorded(["store", "door"], said)

    def broken(_left):
        raise RuntimeError("stuck")

    life = Lifecycle(first, Part("engine", start=lambda: None, stop=broken, drain=broken), last)
    life.start()
    life.stop()
    assert said[-2:] == ["stop door", "stop store"]


def test_hurrying_ends_a_drain_that_is_under_way():
    release = threading.Event()
    life = Lifecycle(Part("slow", lambda: None, drain=lambda left: release.wait(left) and None))
    life.start()
    threading.Timer(0.1, life.hurried.set).start()
    began = time.monotonic()
    life.stop()
    assert time.monotonic() - began < 5
    release.set()


def test_draining_has_a_deadline():
    release = threading.Event()
    life = Lifecycle(
        Part("slow", lambda: None, drain=lambda _left: release.wait(30) and None), drain_seconds=0.1
    )
    life.start()
    began = time.monotonic()
    life.stop()
    assert time.monotonic() - began < 5
    release.set()


PROGRAM = """
import sys, threading, time
from shipway.lifecycle import Lifecycle, Part

def say(text):
    print(text, flush=True)

never = threading.Event()
kind = sys.argv[1]
life = Lifecycle(
    Part("a", lambda: say("up"), stop=lambda left: say("a stopped")),
    Part("b", lambda: None,
         drain=lambda left: (say("draining"), never.wait(left)) if kind == "slow" else None,
         stop=lambda left: time.sleep(60) if kind == "hangs" else None),
    drain_seconds=20 if kind == "slow" else 0.2, stop_seconds=0.2)
with life.signals():
    life.start()
    life.wait()
    life.stop()
sys.exit(life.exit_code)
"""


@pytest.fixture
def program():
    started = []

    def start(kind):
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, kind],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
        started.append(process)
        assert process.stdout.readline() == "up\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_drains_stops_and_gives_its_exit_code(program, number, code):
    process = program("quick")
    process.send_signal(number)
    output, _ = process.communicate(timeout=20)
    assert (process.returncode, output) == (code, "a stopped\n")


def test_a_second_signal_hurries(program):
    process = program("slow")
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "draining\n"
    process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    output, _ = process.communicate(timeout=15)
    assert time.monotonic() - began < 10
    assert (process.returncode, output) == (143, "a stopped\n")


def test_the_watchdog_ends_a_process_that_hangs_and_says_where(program):
    process = program("hangs")
    process.send_signal(signal.SIGTERM)
    _, complaints = process.communicate(timeout=20)
    assert process.returncode == 143
    assert "Thread" in complaints


def test_a_thread_that_never_ends_does_not_keep_a_process():
    """The threads of a pool are waited for when Python goes, for ever."""
    code = (
        "import sys, threading, time\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from shipway.lifecycle import ends\n"
        "began = threading.Event()\n"
        "ThreadPoolExecutor(1).submit(lambda: (began.set(), time.sleep(600)))\n"
        "began.wait()\n"
        "sys.exit(ends(143, 0.3))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 143
    assert "sleep" in done.stderr or "Thread" in done.stderr
