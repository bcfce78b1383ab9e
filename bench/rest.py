"""What rest costs: an idle engine, runs that wait for a person; and how soon a killed engine goes on."""

from __future__ import annotations

import argparse
import gc
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests" / "engine")]

import psutil  # noqa: E402 - the path above comes first
from scripted import House, pipeline, stage  # noqa: E402

from shipway.config import load_settings  # noqa: E402
from shipway.domain.pipeline import AskRule  # noqa: E402
from shipway.domain.states import RunStatus  # noqa: E402
from shipway.lifecycle import settle_memory  # noqa: E402
from shipway.telemetry.logs import configure  # noqa: E402

ASKS = pipeline(stage("plan", asks=(AskRule("go", "go?", None, ()),)))
#: The resolution of the processor's clock here is about this share of a core.
MOST_CPU = 0.001
MOST_BYTES = 100
WITHIN = 2.0


def watched(folder: Path, seconds: float) -> None:
    """An engine in this process with what is in its home: say what it takes while nothing happens."""
    house = House(load_settings(home=folder))
    house.engine()
    time.sleep(3.0)
    settle_memory()
    gc.collect()
    before = time.process_time()
    time.sleep(seconds)
    share = (time.process_time() - before) / seconds
    print(json.dumps({"share": share, "bytes": psutil.Process().memory_info().rss}))
    house.close()


def rests(folder: Path, runs: int) -> None:
    """Runs that wait for a person, in a home of their own."""
    folder.mkdir(mode=0o700)
    house = House(load_settings(home=folder))
    house.engine()
    for run in [house.submit(ASKS) for _ in range(runs)]:
        house.until(run, RunStatus.WAITING)
    house.close()


def in_another(folder: Path, seconds: float) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, __file__, "--watch", str(folder), "--seconds", str(seconds)],
        check=True,
        capture_output=True,
        text=True,
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def restarted(folder: Path) -> float:
    """Seconds from kill -9 of an engine until the stage it was at is at work again in the next one."""
    folder.mkdir(mode=0o700)
    house = House(load_settings(home=folder))
    book = folder / "book"
    book.touch()
    words = [sys.executable, str(ROOT / "tests" / "engine" / "worker.py"), str(book), "30"]
    env = {**os.environ, "SHIPWAY_HOME": str(folder)}
    env["PYTHONPATH"] = os.pathsep.join([str(ROOT / "tests" / "engine"), str(ROOT / "src")])
    house.submit(pipeline(stage("plan")))
    with subprocess.Popen(words, env=env) as first:
        _begun(book, 1)
        first.send_signal(signal.SIGKILL)
        first.wait()
        killed = time.monotonic()
        with subprocess.Popen(words, env=env) as second:
            _begun(book, 2)
            took = time.monotonic() - killed
            second.kill()
    house.close()
    return took


def _begun(book: Path, times: int) -> None:
    give_up = time.monotonic() + 60
    while book.read_text().count("begin") < times:
        if time.monotonic() > give_up:
            raise SystemExit("it never began")
        time.sleep(0.005)


def told(what: str, value: float, unit: str, most: float, form: str = ".2f") -> None:
    kept = "ok" if value <= most else "MISSED"
    print(f"{what:<38} {value:{form}} {unit}  (promised: at most {most:g}) {kept}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2000, help="how many wait for a person")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each measurement")
    parser.add_argument("--watch", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="shipway-bench-") as name:
        folder = Path(name)
        configure("info", folder / "shipway.jsonl")
        if options.watch is not None:
            watched(options.watch, options.seconds)
            return
        rests(folder / "none", 0)
        rests(folder / "some", options.runs)
        rests(folder / "many", 2 * options.runs)
        none, some, many = (
            in_another(folder / one, options.seconds) for one in ("none", "some", "many")
        )
        # SQLite keeps 2 MB of any database: that is full with some, and says nothing of a run.
        more = max(0.0, many["bytes"] - some["bytes"]) / options.runs
        told("idle engine, share of a core", none["share"] * 100, "%", MOST_CPU * 100, ".3f")
        told(
            f"{2 * options.runs} runs at rest, share of a core", many["share"] * 100, "%",
            MOST_CPU * 100, ".3f",
        )  # fmt: skip
        told("a run at rest, memory of the engine", more, "bytes", MOST_BYTES, ".0f")
        times = sorted(restarted(folder / f"killed-{number}") for number in range(3))
        told("killed until at work again", times[1], "s", WITHIN)


if __name__ == "__main__":
    main()
