"""The implement agent with real patches and real commands in a real fence."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from gitcalls import git
from shipway.agents import implement
from shipway.agents.agent import Desk, Failed
from shipway.agents.implement import Implement
from shipway.contracts.implement import ImplementRequest, ImplementResult
from shipway.contracts.plan import ChangeSource
from shipway.errors import AgentProtocolError
from shipway.resilience import deadline
from shipway.workspace.fence import Fence
from shipway.workspace.git import Hub

FILES = {"greet.py": "def greet():\n    return 'hello'\n", "README.md": "Greets.\n"}


class Bench:
    """A repository, its hub, and the agent at a desk."""

    def __init__(self, repository: Path, make_desk: Callable[..., Desk], artifacts: Any) -> None:
        self.repository, self._make_desk, self._artifacts = repository, make_desk, artifacts
        self.base = git(repository, "rev-parse", "HEAD")
        self.said: list[str] = []
        self.hub: Hub | None = None

    def perform(self, change: ChangeSource, **given: Any) -> ImplementResult:
        put = self._artifacts.put
        plan = b'{"name": "Greeter", "title": "Greet by name.", "claim": "feature"}'
        request = ImplementRequest(
            plan=put(plan, "plan.json", "application/json"),
            requirement=put(b"Greet by name, please.\n", "requirement.md", "text/markdown"),
            base=self.base,
            change=change,
        )
        desk = self._make_desk("implement", request, say=self.said.append, run="run-7", **given)
        self.hub = Hub.create(desk.hub)
        self.hub.seed(self.repository, self.base)
        return Implement(Fence("strict", hidden=(desk.home,))).perform(request, desk)

    def patch(self, data: bytes) -> ImplementResult:
        patch = self._artifacts.put(data, "change.patch", "text/x-diff")
        return self.perform(ChangeSource(kind="patch", patch=patch))

    def command(self, code: str, **given: Any) -> ImplementResult:
        return self.perform(
            ChangeSource(kind="command", command=[sys.executable, "-c", code]), **given
        )

    def diff(self, files: Mapping[str, str]) -> bytes:
        """The patch that a person would make of these files."""
        for name, content in files.items():
            (self.repository / name).write_text(content)
        git(self.repository, "add", "--intent-to-add", ".")
        text = git(self.repository, "diff", "--binary") + "\n"
        git(self.repository, "checkout", "--quiet", "HEAD", "--", *FILES)
        return text.encode()


@pytest.fixture
def bench(
    git_repository: Callable[..., Path], make_desk: Callable[..., Desk], artifacts: Any
) -> Bench:
    return Bench(git_repository(FILES), make_desk, artifacts)


# -- patches ----------------------------------------------------------------------------------


def test_a_good_patch_becomes_a_commit(bench: Bench, artifacts: Any) -> None:
    result = bench.patch(bench.diff({"greet.py": "def greet(name):\n    return 'hello ' + name\n"}))
    assert (result.base, result.files, result.insertions) == (bench.base, 1, 2)
    assert bench.hub is not None
    assert bench.hub.show(result.commit, "greet.py").startswith(b"def greet(name)")
    assert bench.hub.tree(result.commit) == result.tree
    assert b"+def greet(name):" in artifacts.read(result.diff)
    log = git(bench.hub.path, "log", "-1", "--format=%B", result.commit)
    assert log == "feat(greeter): Greet by name\n\nShipway-Run: run-7"


def test_a_patch_that_does_not_apply_says_where(bench: Bench) -> None:
    good = bench.diff({"greet.py": "def greet():\n    return 'hi'\n"})
    other = b"diff --git a/gone.py b/gone.py\n--- a/gone.py\n+++ b/gone.py\n@@ -1 +1 @@\n-x\n+y\n"
    with pytest.raises(Failed) as caught:
        bench.patch(good.replace(b"'hello'", b"'good day'") + other)
    report = caught.value.report
    assert report.message.startswith("the patch does not apply: at greet.py:1; gone.py: ")
    assert (report.category, report.step) == ("permanent", "apply the patch")
    assert "git diff" in str(report.hint)
    assert "greet.py" in str(report.log_tail)
    again = subprocess.run(["sh", "-c", str(report.reproduce)], capture_output=True, check=False)
    assert again.returncode == 1
    assert b"greet.py: patch does not apply" in again.stderr


@pytest.mark.parametrize("data", [b"", b"hello\n", b"\xff\xfe\x00"])
def test_what_is_no_patch_is_said(bench: Bench, data: bytes) -> None:
    with pytest.raises(Failed, match="the patch cannot be read"):
        bench.patch(data)


@pytest.mark.parametrize("name", ["../outside.txt", ".git/hooks/pre-commit", "/etc/shipway"])
def test_a_patch_cannot_write_outside_the_tree(bench: Bench, name: str, tmp_path: Path) -> None:
    head = f"diff --git a/{name} b/{name}\nnew file mode 100644\n--- /dev/null\n+++ b/{name}\n"
    evil = head + "@@ -0,0 +1 @@\n+x\n"
    with pytest.raises(Failed):
        bench.patch(evil.encode())
    assert not list(tmp_path.rglob("outside.txt"))


def test_a_patch_with_a_link_out_is_refused(bench: Bench) -> None:
    head = "diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n"
    link = head + "@@ -0,0 +1 @@\n+/etc\n\\ No newline at end of file\n"
    with pytest.raises(AgentProtocolError, match="leaves the repository: l"):
        bench.patch(link.encode())


# -- commands ---------------------------------------------------------------------------------


def test_a_command_changes_the_workspace(bench: Bench) -> None:
    result = bench.command("""
import os, pathlib, subprocess
wish = pathlib.Path(os.environ["SHIPWAY_REQUIREMENT_FILE"]).read_text()
plan = pathlib.Path(os.environ["SHIPWAY_PLAN_FILE"]).read_text()
assert "Greeter" in plan
assert subprocess.check_output(["git", "status", "--porcelain"]) == b""
pathlib.Path("WISH.md").write_text(wish)
subprocess.run(["git", "add", "-A"], check=True)
subprocess.run(["git", "commit", "-qm", "mine"], check=True)
print("wrote the wish down")
""")
    assert bench.hub is not None
    assert bench.hub.show(result.commit, "WISH.md") == b"Greet by name, please.\n"
    assert git(bench.hub.path, "log", "-1", "--format=%P", result.commit) == bench.base
    assert "wrote the wish down" in bench.said


def test_a_failing_command_shows_the_end_of_its_output(bench: Bench) -> None:
    with pytest.raises(Failed) as caught:
        bench.command("print('I tried'); raise SystemExit(3)")
    report = caught.value.report
    assert report.message == "the command ended with exit code 3"
    assert report.log_tail == "I tried"
    assert str(report.reproduce).startswith(f"git checkout {bench.base[:12]} && ")


def test_a_missing_command_is_said_with_a_remedy(bench: Bench) -> None:
    with pytest.raises(Failed, match="was not found: no-such-agent") as caught:
        bench.perform(ChangeSource(kind="command", command=["no-such-agent", "--headless"]))
    assert "SHIPWAY_COMMAND_READABLE" in str(caught.value.report.hint)


@pytest.mark.parametrize("code", ["pass", "open('.git/config', 'a').write('[x]\\ny = 1\\n')"])
def test_no_change_is_a_failure_with_its_output_and_the_command_that_shows_it_again(
    bench: Bench, tmp_path: Path, code: str
) -> None:
    with pytest.raises(
        Failed, match="nothing changed: the command left every file as it was"
    ) as no:
        bench.command(f"{code}; print('all is well')")
    report = no.value.report
    assert report.log_tail == "all is well"
    assert bench.hub is not None
    clone = tmp_path / "clone"
    subprocess.run(["git", "init", "-q", clone], check=True)
    git(clone, "fetch", "-q", str(bench.hub.path), f"{bench.base}:refs/heads/base")
    again = subprocess.run(
        ["sh", "-c", str(report.reproduce)], cwd=clone, capture_output=True, text=True, check=True
    )
    assert again.stdout == "all is well\n", "something changed, or the command is another one"


def test_cancel_ends_a_command(bench: Bench) -> None:
    cancel = threading.Event()
    threading.Timer(0.7, cancel.set).start()
    begun = time.monotonic()
    with pytest.raises(Failed, match="cancelled") as caught:
        bench.command("import time; time.sleep(60)", cancel=cancel)
    assert caught.value.report.category == "cancelled"
    assert time.monotonic() - begun < 10


def test_the_time_of_the_stage_ends_a_command(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(implement, "_SPARE_S", 60.0)  # nearly all of it is kept for the way home
    with (
        deadline.within(60.0),
        pytest.raises(Failed, match="was stopped after") as caught,
    ):
        bench.command("import time; time.sleep(60)")
    assert caught.value.report.code == "AGENT_TIMEOUT"


def test_a_command_sees_no_secrets_but_those_it_is_given(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    monkeypatch.setenv("AGENT_KEY", "for the agent")
    monkeypatch.setenv("OTHER_KEY", "not for the agent")
    given = settings.model_copy(update={"command_env": "AGENT_KEY, MISSING"})
    code = "import os; open('seen', 'w').write(os.environ.get('OTHER_KEY', '-') + os.environ['AGENT_KEY'])"
    result = bench.command(code, settings=given)
    assert bench.hub is not None
    assert bench.hub.show(result.commit, "seen") == b"-for the agent"
    with pytest.raises(Failed):
        bench.command("import os; os.environ['AGENT_KEY']")


def test_a_tool_of_the_hidden_home_can_be_let_in(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path
) -> None:
    tools = tmp_path / "person" / "tools" / "bin"
    tools.mkdir(parents=True)
    (tools / "my-agent").write_text("#!/bin/sh\necho done > by-agent\n")
    (tools / "my-agent").chmod(0o755)
    monkeypatch.setenv("HOME", str(tmp_path / "person"))
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    change = ChangeSource(kind="command", command=["my-agent"])
    with pytest.raises(Failed, match="was not found"):
        bench.perform(change)
    given = settings.model_copy(update={"command_readable": "~/tools"})
    assert bench.perform(change, settings=given).files == 1
