"""A person's day with runs: real processes, a real repository, a real engine, a small pipeline."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from shipway.bootstrap.system import open_system
from shipway.config import load_settings
from shipway.engine.queries import Queries
from smallpipeline import ASKING, SMALL

ROOT = Path(__file__).resolve().parents[2]
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(SMALL)
    return path


@pytest.fixture
def asking(tmp_path: Path) -> Path:
    path = tmp_path / "asking.yaml"
    path.write_text(ASKING)
    return path


@pytest.fixture
def repository(git_repository) -> Path:
    return git_repository({"a.txt": "one\n", "tool.py": "print(1)\n"}, name="my repository")


Start = Callable[..., list[str]]


@pytest.fixture
def start(repository, pipeline) -> Start:
    """The words of a run whose change is made by a shell command."""

    def words(command: str, *more: str, using: Path = pipeline) -> list[str]:
        agent = f"implement=command:sh -c '{command}'"
        about = ["--requirement", "Write two", "--claim", "fix", "--agent", agent]
        return ["run", "--repo", str(repository), *about, "--pipeline", str(using), *more]

    return words


@pytest.fixture(autouse=True)
def _engine_is_over(home) -> Iterator[None]:
    """Leave when the background engine has ended by itself; it is idle within seconds."""
    yield
    lock = home / "engine.lock"
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and _lives(lock):
        time.sleep(0.05)


def _lives(lock: Path) -> bool:
    text = lock.read_text().strip() if lock.exists() else ""
    if not text.isdigit():
        return False
    try:
        os.kill(int(text), 0)
    except ProcessLookupError:
        return False
    return "shipway" in Path(f"/proc/{text}/cmdline").read_text()


def detail(here, ref: str = "@last") -> dict:
    return json.loads(here("run", "view", ref, "--json").stdout)


def until(wanted: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not wanted():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


@pytest.fixture
def seen(home) -> Iterator[Queries]:
    """Looks at runs without being a command: nothing is started or resumed by looking."""
    system = open_system(load_settings())
    yield system.queries
    system.close()


def works(seen: Queries) -> bool:
    """Whether the last run's command is at work."""
    if not seen.runs(limit=1):
        return False
    stages = {one.id: one.status.value for one in seen.run("@last").stages}
    return stages["implement"] == "running"


def test_a_change_is_carried_to_its_end_and_can_be_looked_at(shipway, here, start):
    done = shipway(*start("echo two >> a.txt; echo all done"))
    assert done.returncode == 0, done.stderr + done.stdout
    lines = done.stdout.splitlines()
    assert lines[0].startswith("run 1  small  Write two  (")
    assert any(re.fullmatch(r"\d\d:\d\d:\d\d plan passed .*", line) for line in lines)
    assert any(re.fullmatch(r"\d\d:\d\d:\d\d run succeeded", line) for line in lines)
    assert any(re.match(r"✓ run 1 succeeded in ", line) for line in lines)
    assert "next        shipway run view 1" in done.stdout
    for name in ("report", "evidence"):
        place = next(line.split()[-1] for line in lines if line.startswith(f"  {name} "))
        assert Path(place).stat().st_size > 0

    listed = here("run", "list").stdout.splitlines()
    assert listed[0].split() == ["RUN", "STATE", "PIPELINE", "TITLE", "TOOK", "STARTED"]
    assert listed[1].split()[:4] == ["1", "✓", "succeeded", "small"]
    viewed = detail(here)
    assert viewed["summary"]["status"] == "succeeded"
    assert detail(here, viewed["summary"]["id"][:12]) == viewed
    patch = here("run", "diff", "1").stdout
    assert "+two" in patch
    assert json.loads(here("run", "diff", "1", "--json").stdout)["diff"] == patch
    assert "all done" in here("run", "logs", "1", "--stage", "implement").stdout
    assert "all done" in here("run", "logs", "1", "--stage", "implement", "--follow").stdout
    logs = here("run", "logs", "1").stdout
    assert "== implement, attempt 1" in logs
    assert '"trace_id"' not in logs
    assert '"trace_id"' in here("run", "logs", "1", "--raw").stdout
    assert json.loads(here("run", "logs", "1", "--json").stdout)[-1]["stage"] == "implement"
    watched = here("run", "watch", "1", "--json")
    assert (watched.returncode, json.loads(watched.stdout)["summary"]["number"]) == (0, 1)

    assert here("run", "cancel", "1").returncode == 6
    assert "has ended already: succeeded" in here("run", "pause", "1").stderr
    missing = here("run", "view", "11")
    assert missing.returncode == 6
    assert "did you mean 1?" in missing.stderr
    assert "shipway run list" in missing.stderr
    stage = here("run", "logs", "1", "--stage", "implment")
    assert (stage.returncode, "did you mean implement?" in stage.stderr) == (6, True)


def test_json_is_one_document_on_stdout_and_always_of_one_shape(here, start):
    detached = here(*start("echo two >> a.txt", "--json", "--detach"))
    watched = here("run", "watch", "@last", "--json")
    assert json.loads(detached.stdout).keys() == json.loads(watched.stdout).keys()
    assert json.loads(watched.stdout)["summary"]["status"] == "succeeded"
    assert watched.stderr == ""


def test_a_run_that_fails_says_why_and_what_to_type_next(here, start):
    done = here(*start("echo the reason is here; exit 7"))
    assert done.returncode == 1
    assert "✕ run 1 failed after" in done.stdout
    assert "  why " in done.stdout
    assert "shipway run logs 1 --stage implement" in done.stdout
    assert "the reason is here" in here("run", "logs", "1", "-s", "implement").stdout
    assert here("run", "watch", "1", "--quiet").returncode == 1
    resumed = here("run", "resume", "1")
    assert (resumed.returncode, "has ended" in resumed.stderr) == (1, True)


def test_a_question_ends_the_command_with_3_and_the_exact_commands_answer_it(here, start, asking):
    done = here(*start("echo two >> a.txt", using=asking))
    assert done.returncode == 3
    assert "Shall it be done?" in done.stdout
    assert "shipway decide 1/go approve" in done.stdout
    assert "shipway decide 1/go approve" in here("inbox").stdout
    assert json.loads(here("inbox", "--json").stdout)[0]["id"] == "go"
    assert here("run", "watch", "1").returncode == 3

    wrong = here("decide", "1/go", "aprove")
    assert (wrong.returncode, "did you mean approve?" in wrong.stderr) == (2, True)
    other = here("answer", "1/go", "x")
    assert (other.returncode, "shipway decide 1/go approve" in other.stderr) == (2, True)
    assert here("decide", "1/nothing", "approve").returncode == 6
    assert here("decide", "1", "approve", "-m", "it is fine").returncode == 0
    assert here("run", "watch", "1").returncode == 0
    again = here("decide", "1/go", "approve")
    assert (again.returncode, "was answered already: approve" in again.stderr) == (6, True)
    assert detail(here)["asks"][0]["comment"] == "it is fine"
    assert "Nothing waits for you." in here("inbox").stdout


def test_with_wait_the_command_goes_on_when_somebody_answers(here, seen, start, asking):
    with Begun(start("echo two >> a.txt", "--wait", using=asking)) as process:
        until(lambda: [run.status.value for run in seen.runs(limit=1)] == ["waiting"])
        assert process.poll() is None
        assert here("decide", "@last", "approve").returncode == 0
        out, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "run 1 succeeded" in out


class Begun(subprocess.Popen):
    """A command that goes on while the test does something else; never left behind."""

    def __init__(self, words: list[str]) -> None:
        super().__init__(
            [sys.executable, "-P", "-m", "shipway", *words],
            env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __exit__(self, *error: object) -> None:
        if self.poll() is None:
            self.kill()
        super().__exit__(*error)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_is_kept_and_goes_on_when_resumed(here, seen, start, number, code):
    with Begun(start("sleep 3; echo two >> a.txt")) as process:
        until(lambda: works(seen))
        process.send_signal(number)
        _, err = process.communicate(timeout=20)
    assert process.returncode == code
    assert "Traceback" not in err
    assert "shipway run resume 1" in err
    assert detail(here)["summary"]["status"] == "paused"
    assert here("run", "resume", "1").returncode == 0
    assert detail(here)["summary"]["status"] == "succeeded"


def test_ctrl_c_is_quiet_at_any_moment(here, start):
    for delay in (0.0, 0.1, 0.3, 0.6, 1.0, 1.5):
        with Begun(start("sleep 1; echo two >> a.txt")) as process:
            until(lambda: catches(process.pid, signal.SIGTERM))  # it is our code that runs now
            time.sleep(delay)  # not a wait for anything: the moment is what is tried
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=20)
        assert "Traceback" not in err, f"after {delay} s"
        assert process.returncode == 130, f"after {delay} s: {err}"
    assert here("run", "list").returncode == 0


def catches(pid: int, number: int) -> bool:
    """Whether the process has a handler of its own for a signal."""
    status = Path(f"/proc/{pid}/status").read_text()
    mask = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(mask.split()[1], 16) >> (number - 1) & 1)


def test_who_only_watches_stops_only_the_watching(here, seen, start):
    assert here(*start("sleep 3; echo two >> a.txt", "--detach")).returncode == 0
    with Begun(["run", "watch", "1"]) as process:
        until(lambda: works(seen))
        assert "run 1" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert (process.returncode, "it goes on" in err) == (130, True)
    assert here("run", "watch", "1").returncode == 0


def test_cancel_from_another_terminal_takes_effect_within_two_seconds(here, seen, start):
    with Begun(start("sleep 61")) as process:
        until(lambda: works(seen) and running("sleep 61"))
        began = time.monotonic()
        assert here("run", "cancel", "@last").returncode == 0
        until(lambda: not running("sleep 61"), 3)
        took = time.monotonic() - began
        out, _ = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "run 1 cancelled" in out
    assert took < 2.0


def running(words: str) -> bool:
    """Whether a process with this command line lives."""
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode().strip()
        except OSError:
            continue
        if line == words:
            return True
    return False


def test_when_the_time_is_up_the_run_goes_on_in_the_background(here, start):
    done = here(*start("sleep 2; echo two >> a.txt", "--timeout", "0.5s"))
    assert done.returncode == 8
    assert "shipway run watch 1" in done.stderr
    assert here("run", "watch", "1").returncode == 0


def test_a_dry_run_checks_everything_and_starts_nothing(here, start):
    done = here(*start("echo two >> a.txt", "--dry-run"))
    assert done.returncode == 0
    assert "plan ────▶ implement" in done.stdout
    assert "nothing was started" in done.stderr
    shown = json.loads(here(*start("true", "--dry-run", "--json")).stdout)
    assert [one["id"] for one in shown["stages"]] == ["plan", "implement"]
    assert json.loads(here("run", "list", "--json").stdout) == []
    assert here("run", "view", "@last").returncode == 6


def test_what_cannot_be_started_is_refused_and_leaves_no_run(here, tmp_path):
    not_one = tmp_path / "plain"
    not_one.mkdir()
    words = ["run", "--repo", str(not_one), "-r", "x", "--agent", "implement=command:true"]
    for done in (here(*words), here(*words, "--dry-run")):
        assert done.returncode == 2
        assert "error[REPOSITORY]" in done.stderr
    spec = tmp_path / "broken.yaml"
    spec.write_text("{ not yaml")
    for done in (here("run", "--spec", str(spec)), here("run", "--spec", str(spec), "--dry-run")):
        assert done.returncode == 2
        assert "error[SPECIFICATION]" in done.stderr
    assert json.loads(here("run", "list", "--json").stdout) == []
    patch = tmp_path / "none.patch"
    done = here("run", "--repo", str(not_one), "-r", "x", "--patch", str(patch))
    assert (done.returncode, "no such file" in done.stderr) == (2, True)


def test_on_a_terminal_the_stages_are_drawn_in_place_and_the_end_stays(start):
    code, shown = on_a_terminal(start("echo two >> a.txt"))
    assert code == 0
    assert "\x1b[" in shown
    last = ESCAPE.sub("", shown).replace("\r", "").splitlines()
    assert any(re.match(r"✓  plan +passed", line) for line in last)
    assert any(line.startswith("✓ run 1 succeeded in") for line in last)


def on_a_terminal(words: list[str], seconds: float = 60.0) -> tuple[int, str]:
    """Run a command with a terminal of its own and read all that it draws."""
    pid, handle = pty.fork()
    if pid == 0:
        env = os.environ | {"PYTHONPATH": str(ROOT / "src"), "TERM": "xterm", "COLUMNS": "90"}
        os.execve(sys.executable, [sys.executable, "-P", "-m", "shipway", *words], env)  # noqa: S606
    parts: list[bytes] = []
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not select.select([handle], [], [], 0.5)[0]:
            continue
        try:
            part = os.read(handle, 65536)
        except OSError:  # the other end is closed: it has ended
            break
        if not part:
            break
        parts.append(part)
    os.close(handle)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), b"".join(parts).decode()
