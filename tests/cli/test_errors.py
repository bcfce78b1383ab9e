"""Whatever goes wrong: one error, a hint, the right exit code, and never a traceback."""

from __future__ import annotations

import json
import os
import shlex
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["rnu"], "error[USAGE]: no such command 'rnu'", "did you mean run?"),
        (["run", "lsit"], "error[USAGE]: no such command 'lsit'", "did you mean list?"),
        (["run", "--sepc", "x"], "error[USAGE]: no such option", "did you mean --spec?"),
        (["run"], "error[USAGE]: say what to run", "shipway run --help"),
        (["decide"], "error[USAGE]: missing argument", "shipway decide --help"),
        (["run", "--spec", "a", "--repo", "b"], "do not go together", "--repo changes"),
        (["run", "--repo", "."], "--repo needs --requirement", "-r"),
        (["run", "--spec", "a", "list"], "--spec starts a run", "shipway run list --help"),
        (["completion", "tcsh"], "'tcsh' is not one of", "shipway completion --help"),
        (["release", "stop"], "say what to stop", "shipway release list"),
    ],
)
def test_a_usage_error_names_the_fault_and_the_next_step(here, words, message, hint):
    done = here(*words)
    assert done.returncode == 2
    assert done.stdout == ""
    assert message in done.stderr
    assert "  hint: " in done.stderr
    assert hint in done.stderr
    assert "Traceback" not in done.stderr


def test_with_json_the_error_is_one_object_on_stderr_even_when_the_words_are_wrong(shipway):
    done = shipway("run", "lsit", "--json")
    assert done.returncode == 2
    assert done.stdout == ""
    error = json.loads(done.stderr)["error"]
    assert error["code"] == "USAGE"
    assert "lsit" in error["message"]
    assert error["hint"] == "did you mean list?"


def test_a_group_without_a_command_shows_its_help_as_an_error(shipway):
    done = shipway("release")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "rollback" in done.stderr


def test_settings_that_cannot_be_used_are_all_named_at_once(shipway):
    env = {"SHIPWAY_FENCE": "hunter2", "SHIPWAY_MAX_ATTEMPTS_AT_ONCE": "many"}
    done = shipway("run", "list", env=env)
    assert done.returncode == 78
    assert "error[CONFIGURATION]" in done.stderr
    assert "SHIPWAY_FENCE" in done.stderr
    assert "SHIPWAY_MAX_ATTEMPTS_AT_ONCE" in done.stderr
    assert "hunter2" not in done.stderr


BROKEN = """
    import signal, sys
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # tests may run under nohup
    from shipway.cli import commands
    from shipway.cli.main import main
    import click

    @click.command("break")
    def broken():
        {body}

    commands.root.add_command(broken)
    sys.argv = ["shipway", *{words!r}]
    sys.exit(main())
"""


def broken(body: str, *, words: list[str], env: dict[str, str], **given):
    """A command of ours that goes wrong on purpose, in a process of its own."""
    code = textwrap.dedent(BROKEN).format(body=body, words=words)
    return subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")} | env,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        **given,
    )


BUG = 'raise RuntimeError("password=hunter2-and-more")'


def test_a_bug_of_ours_is_one_line_and_a_masked_report_file(home):
    done = broken(BUG, words=["break"], env={})
    assert done.returncode == 70
    assert "error[INTERNAL]: this is a bug in Shipway (RuntimeError)" in done.stderr
    assert "Traceback" not in done.stderr
    path = Path(done.stderr.rsplit(": ", 1)[1].strip())
    assert path.parent == home / "reports"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = path.read_text()
    assert "Traceback" in text
    assert "RuntimeError" in text
    assert "command: shipway break" in text
    assert "hunter2" not in text


def test_a_bug_is_reported_even_when_the_state_directory_cannot_be_written(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    env = {"SHIPWAY_HOME": str(blocked / "home"), "TMPDIR": str(tmp_path)}
    done = broken(BUG, words=["break"], env=env)
    assert done.returncode == 70
    assert str(tmp_path / "bug-") in done.stderr


def test_a_full_disk_is_not_called_a_bug(home):
    body = 'import errno, os; raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/x/y")'
    done = broken(body, words=["break"], env={})
    assert done.returncode == 1
    assert "error[RESOURCE]: no space left on device: /x/y" in done.stderr


def test_no_permission_says_whose_directory(home):
    body = 'raise PermissionError(13, "Permission denied", "/x/y")'
    done = broken(body, words=["break"], env={})
    assert done.returncode == 78
    assert "error[CONFIGURATION]: permission denied: /x/y" in done.stderr
    assert "SHIPWAY_HOME" in done.stderr


def test_control_characters_in_a_message_do_not_reach_the_terminal(home):
    body = r"""from shipway.errors import NotFoundError; raise NotFoundError("no \x1b[2Jrun")"""
    done = broken(body, words=["break"], env={})
    assert done.returncode == 6
    assert "error[NOT_FOUND]: no run" in done.stderr
    assert "\x1b" not in done.stderr


SIGNAL = "import os, signal, time; os.kill(os.getpid(), signal.{name}); time.sleep(20)"


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 143)])
def test_a_signal_ends_a_command_with_its_own_code_and_no_traceback(home, name, code):
    done = broken(SIGNAL.format(name=name), words=["break"], env={})
    assert done.returncode == code
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_in_a_place_where_python_drops_what_is_raised_ends_a_command_too(home, name, code):
    """So do imports that build models: one such place in a hundred milliseconds of them."""
    body = (
        "import signal, time; "
        f"type('A', (), {{'__del__': lambda self: signal.raise_signal(signal.{name})}})(); "
        "time.sleep(20)"
    )
    done = broken(body, words=["break"], env={})
    assert done.returncode == code
    assert "Traceback" not in done.stderr


def test_a_reader_that_goes_away_is_no_error(home):
    command = f"{shlex.quote(sys.executable)} -m shipway --help | true"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode == 0


def test_a_broken_pipe_in_the_middle_is_silent(home):
    body = 'import click; [click.echo("x" * 1000) for _ in range(10000)]'
    code = textwrap.dedent(BROKEN).format(body=body, words=["break"])
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.read(10)
    process.stdout.close()
    with process.stderr as stderr:
        assert stderr.read() == b""
    assert process.wait(30) == 0


def test_a_terminal_that_knows_no_unicode_gets_escapes_and_no_crash(home):
    body = 'import sys; from shipway.cli.output import write; write(sys.stdout, "\\u2713 done\\n")'
    done = broken(body, words=["break"], env={"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0
    assert done.stdout == "\\u2713 done\n"


def test_colour_of_errors_follows_the_flag_and_the_environment(shipway, monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    assert "\x1b[" not in shipway("rnu").stderr
    assert "\x1b[" in shipway("rnu", env={"FORCE_COLOR": "1"}).stderr
    assert "\x1b[" not in shipway("rnu", env={"FORCE_COLOR": "1", "NO_COLOR": "1"}).stderr
    assert "\x1b[" in shipway("--color", "always", "rnu").stderr
    assert "\x1b[" not in shipway("--color=never", "rnu", env={"FORCE_COLOR": "1"}).stderr


@pytest.mark.parametrize("words", ["--version", "--help", "config show", "rnu"])
@pytest.mark.parametrize("where", [">&-", ">&- 2>&-", "> /dev/full", "| true"])
def test_a_stream_that_is_closed_or_full_makes_no_noise(home, words, where):
    done = subprocess.run(
        ["bash", "-c", f"{shlex.quote(sys.executable)} -m shipway {words} {where}"],
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert "bug in Shipway" not in done.stderr
    assert done.returncode in {0, 1, 2}


INTERRUPTED = """
import os, signal, time
from shipway.cli import boundary
boundary._listen()
met = []

def ask():
    try:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)
    except KeyboardInterrupt:
        met.append(time.monotonic())
        {then}

try:
    ask()
    until = time.monotonic() + {patience}
    while time.monotonic() < until:
        time.sleep(0.01)
except KeyboardInterrupt:
    boundary.heard()
    met.append(time.monotonic())
print(len(met))
"""


@pytest.mark.parametrize(
    ("then", "patience", "met"),
    [
        ("pass", 20, 2),  # somebody took it for a plain error: it comes again
        (
            "time.sleep(0.5); boundary.heard()",
            0.5,
            1,
        ),  # it is being dealt with, and that takes time
    ],
)
def test_an_interrupt_that_somebody_drops_comes_again_and_one_that_is_heard_does_not(
    then: str, patience: float, met: int
):
    code = INTERRUPTED.format(then=then, patience=patience)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.stdout, done.stderr) == (f"{met}\n", "")
