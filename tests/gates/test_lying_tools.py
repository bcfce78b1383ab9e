"""A tool that is missing, breaks off, hangs or contradicts itself never makes a PASS."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from shipway.contracts.evidence import GateEvidence
from shipway.domain.gates import Verdict
from shipway.gates import bench as benches
from shipway.gates import static
from shipway.gates.bench import Bench
from shipway.gates.look import Doubt, check_ended, read_report
from shipway.gates.parsers.reading import UnreadableReportError
from shipway.gates.project import Project
from shipway.workspace.environments import Environment
from shipway.workspace.fence import Command, Fence, Finished, Limits

HEAD = """#!/bin/sh
case "$*" in *--version*) echo tool 1.2.3; exit;; *--show-files*) SHOWN; exit;; esac
"""
FINDING = (
    '[{"code": "F1", "message": "m", "filename": "a.py", "location": {"row": 1, "column": 1}}]'
)


@pytest.fixture
def judged(fence: Fence, tmp_path: Path, shelf) -> Callable[..., GateEvidence]:
    """Judges a small tree with a ``ruff`` that is a shell script."""

    def judge(
        script: str | None, gate: str = "lint", shown: str = "echo a.py", **given: object
    ) -> GateEvidence:
        for name in ("tree", "work", "tools/bin"):
            (tmp_path / name).mkdir(parents=True)
        (tmp_path / "tree/a.py").write_text("x = 1\n")
        if script is not None:
            for name in ("ruff", "detect-secrets", "bandit"):
                tool = tmp_path / "tools/bin" / name
                tool.write_text(HEAD.replace("SHOWN", shown) + script)
                tool.chmod(0o755)
        (tmp_path / "tools/pyvenv.cfg").write_text("")
        bench = Bench(
            fence=fence,
            shelf=shelf,
            tools=Environment(tmp_path / "tools", "0" * 64),
            project=Project(
                name="shop", made=True, stack="python", python_files=1, sources=("a.py",)
            ),
            tree=tmp_path / "tree",
            tree_id="1" * 40,
            work=tmp_path / "work",
            say=lambda _line: None,
            **given,
        )
        return static.judge(gate, bench, None)

    return judge


def test_an_honest_tool_is_believed(judged) -> None:
    found = judged("echo '[]'")
    assert (found.verdict, found.examined, found.tool_version) == (Verdict.PASS, 1, "1.2.3")


def test_an_installed_tool_is_not_started_only_to_be_told_its_version(
    judged, tmp_path: Path
) -> None:
    (tmp_path / "tools/lib/python3.11/site-packages/ruff-9.8.7.dist-info").mkdir(parents=True)
    assert judged("echo '[]'").tool_version == "9.8.7"


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo '[]'; exit 1", "do not agree"),
        (f"echo '{FINDING}'; exit 0", "do not agree"),
        ('echo \'[{"code": "F1"\'; exit 1', "cut off"),
        ("exit 0", "empty"),
        ("echo 'all good'", "not JSON"),
        ("echo '[]'; exit 3", "exit code 3"),
        ("kill -9 $$", "signal 9"),
        ("echo '{}'", "not a list"),
    ],
)
def test_a_tool_that_contradicts_itself_is_an_error(judged, script: str, why: str) -> None:
    found = judged(script)
    assert found.verdict is Verdict.ERROR
    assert why in found.summary
    assert found.log is not None


def test_a_tool_that_looked_at_no_file_is_an_error(judged) -> None:
    found = judged("echo '[]'", shown="true")
    assert found.verdict is Verdict.ERROR
    assert "examined nothing" in found.summary


def test_a_missing_tool_may_be_tried_again(judged) -> None:
    found = judged(None)
    assert (found.verdict, found.category) == (Verdict.ERROR, "dependency")
    assert "missing" in found.summary


def test_a_tool_that_hangs_is_an_error(judged, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        Bench.run, "__kwdefaults__", Bench.run.__kwdefaults__ | {"limits": Limits(seconds=1)}
    )
    found = judged("sleep 60")
    assert found.verdict is Verdict.ERROR
    assert "stopped after 1 s" in found.summary


def test_a_cancelled_gate_ends_at_once_and_says_so(judged) -> None:
    cancel = threading.Event()
    threading.Timer(1.0, cancel.set).start()
    before = time.monotonic()
    found = judged("sleep 60", cancel=cancel)
    assert time.monotonic() - before < 10
    assert (found.verdict, found.category) == (Verdict.ERROR, "cancelled")


def test_a_scanner_that_does_not_find_the_planted_secret_is_an_error(judged) -> None:
    found = judged("""echo '{"plugins_used": [{}], "results": {}}'""", gate="secrets")
    assert found.verdict is Verdict.ERROR
    assert "planted" in found.summary


def test_a_report_that_was_not_written_by_this_run_is_unreadable(judged, tmp_path: Path) -> None:
    found = judged("exit 0", gate="security")
    assert (found.verdict, "missing" in found.summary) == (Verdict.ERROR, True)


# -- reports as files -------------------------------------------------------------------------


@pytest.fixture
def finished(fence: Fence, tmp_path: Path) -> Finished:
    return fence.run(Command(("true",), tmp_path, writable=(tmp_path,)))


def test_only_a_new_plain_file_is_a_report(tmp_path: Path, finished: Finished) -> None:
    good = tmp_path / "good.json"
    good.write_text("{}")
    assert read_report(good, finished) == b"{}"
    (tmp_path / "link.json").symlink_to(good)
    (tmp_path / "folder.json").mkdir()
    os.mkfifo(tmp_path / "pipe.json")
    old = tmp_path / "old.json"
    old.write_text("{}")
    os.utime(old, (1_000_000, 1_000_000))
    for name in ("absent.json", "link.json", "folder.json", "pipe.json", "old.json"):
        with pytest.raises(UnreadableReportError):
            read_report(tmp_path / name, finished)


def test_output_beyond_the_limit_is_not_believed(fence: Fence, tmp_path: Path) -> None:
    loud = Command(
        ("sh", "-c", "head -c 3000000 /dev/zero"),
        tmp_path,
        writable=(tmp_path,),
        limits=Limits(output_mb=1),
    )
    with pytest.raises(Doubt, match="larger than the limit"):
        check_ended(fence.run(loud), frozenset({0}))


def test_digests_of_inputs_tell_trees_apart() -> None:
    assert benches.digest(b"a") != benches.digest(b"b")
