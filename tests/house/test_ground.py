"""The fixtures that every other test stands on do what they say."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

pytest_plugins = ["pytester"]

LEAK = """
import subprocess, sys

def test_leaves_a_process(tmp_path):
    code = "import os, time; os.setsid() if os.fork() == 0 else os._exit(0); time.sleep(60)"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
"""


def test_a_test_that_leaves_a_detached_process_behind_fails_and_names_it(pytester):
    tests = Path(__file__).parent.parent
    pytester.makeconftest(tests.joinpath("conftest.py").read_text())
    for name in ("nursery.py", "servers.py"):
        shutil.copy(tests / name, pytester.path)
    pytester.makepyfile(LEAK)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*left running: *time.sleep(60)*"])


def test_repository_builder_makes_history(git_repository):
    repository = git_repository({"a.txt": "one"}, [{"a.txt": None, "b/c.txt": "two"}])
    log = subprocess.run(
        ["git", "-C", repository, "log", "--format=%s %an", "--name-status"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "change 2 Ada" in log
    assert "D\ta.txt" in log
    assert not (repository / ".git" / "hooks").exists()


def test_desk_keeps_artifacts_and_gives_each_attempt_its_own_directory(make_desk):
    first = make_desk("plan", {"kind": "change"})
    second = make_desk("plan", {"kind": "change"}, attempt=2)
    ref = first.artifacts.put(b"hello", "a.txt", "text/plain")
    assert second.artifacts.read(ref) == b"hello"
    assert first.work != second.work
    assert (second.task.attempt, second.task.token) == (2, 2)
