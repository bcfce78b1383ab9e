"""The integrate agent: once and only once, on real repositories, with tests run in a real fence."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from gitcalls import git
from shipway.agents.agent import Desk, Failed
from shipway.agents.integrate import Integrate, Merged
from shipway.contracts.envelope import report_of
from shipway.contracts.evidence import GateEvidence, GateReport, GateSelection
from shipway.contracts.integrate import IntegrateRequest, IntegrateResult
from shipway.contracts.model import ArtifactRef
from shipway.domain.gates import Verdict
from shipway.domain.states import Claim
from shipway.engine.places import Places
from shipway.errors import ConflictError, RepositoryError
from shipway.workspace.fence import Command, Fence
from shipway.workspace.git import Hub, publish

FILES = {
    "maths.py": "def double(x):\n    return 2 * x\n\n\nA = 1\nB = 2\nC = 3\nD = 4\nE = 5\n",
    "test_maths.py": (
        "import unittest\nimport maths\n\n\nclass T(unittest.TestCase):\n"
        "    def test_double(self):\n        self.assertEqual(maths.double(2), 4)\n"
    ),
}
TRIPLE = FILES["maths.py"] + "\n\ndef triple(x):\n    return 3 * x\n"
ROOT = Path(__file__).resolve().parents[2]


def judge(hub: Hub, made: Merged, plan: ArtifactRef, desk: Desk) -> GateReport:
    """Runs the tree's own unit tests in a fence."""
    commit, tree = made.commit, made.tree
    space = hub.checkout(commit, desk.work / f"judge-{commit[:12]}")
    argv = (sys.executable, "-B", "-m", "unittest", "-v")
    done = Fence("strict").run(Command(argv, space.path, writable=(space.path,)))
    examined = done.output.count(b" ... ")
    evidence = GateEvidence(
        gate="tests",
        verdict=Verdict.PASS if done.ok and examined else Verdict.FAIL,
        summary=done.why(),
        examined=examined,
        command=list(argv),
        reproduce=shlex.join(argv),
        tool="unittest",
        tool_version=None,
        exit_code=done.exit_code,
        started_at=done.started_at,
        ended_at=done.ended_at,
        tree=tree,
        fence=done.fence,
        log=desk.artifacts.put(done.output, "tests.log", "text/plain"),
    )
    chosen = GateSelection(gate="tests", selected=True, reason="a test")
    return GateReport(tree=tree, selections=[chosen], evidence=[evidence])


class Bench:
    """A repository, a candidate in its hub, and the agent at a desk."""

    def __init__(self, repository: Path, make_desk: Callable[..., Desk], artifacts: Any) -> None:
        self.repository, self._make_desk, self._artifacts = repository, make_desk, artifacts
        self.said: list[str] = []
        self.judged: list[str] = []
        self.hub: Hub | None = None
        self.base: str | None = None
        if repository.exists():
            self.base = git(repository, "rev-parse", "main")

    def request(self, files: Mapping[str, str], strategy: str = "merge") -> IntegrateRequest:
        desk = self._make_desk("seed", {}, run="run-7")
        self.hub = Hub.create(desk.hub)
        if self.base is not None:
            self.hub.seed(self.repository, self.base)
        space = self.hub.checkout(self.base, desk.work / "w")
        for name, content in files.items():
            (space.path / name).write_text(content)
        message = "feat: candidate\n\nShipway-Run: run-7\n"
        capture = self.hub.capture(space, message, self.base)
        plan = self._artifacts.put(b'{"name": "maths"}', "plan.json", "application/json")
        return IntegrateRequest(
            plan=plan,
            repository=str(self.repository),
            target="main",
            strategy=strategy,
            claim=Claim.FEATURE,
            title="Triple\nShipway-Run: other",
            base=self.base,
            commit=capture.commit,
            tree=capture.tree,
        )

    def perform(
        self, request: IntegrateRequest, before_verdict: Callable[[], object] = lambda: None
    ) -> IntegrateResult:
        def watched(hub: Hub, made: Merged, plan: ArtifactRef, desk: Desk) -> GateReport:
            self.judged.append(made.commit)
            report = judge(hub, made, plan, desk)
            before_verdict()
            return report

        desk = self._make_desk("integrate", request, run="run-7", say=self.said.append)
        return Integrate(watched).perform(request, desk)

    def log(self, *arguments: str) -> str:
        return git(self.repository, "log", *arguments, "main")

    def commit(self, files: Mapping[str, str], message: str) -> str:
        for name, content in files.items():
            (self.repository / name).write_text(content)
        git(self.repository, "add", "--all")
        git(self.repository, "commit", "--quiet", "--message", message)
        return git(self.repository, "rev-parse", "main")


@pytest.fixture
def bench(
    git_repository: Callable[..., Path], make_desk: Callable[..., Desk], artifacts: Any
) -> Bench:
    return Bench(git_repository(FILES), make_desk, artifacts)


@pytest.mark.parametrize(
    ("strategy", "parents"), [("merge", 2), ("squash", 1), ("rebase", 1), ("fast-forward", 1)]
)
def test_a_good_change_is_merged_tested_and_visible(
    bench: Bench, strategy: str, parents: int
) -> None:
    result = bench.perform(bench.request({"maths.py": TRIPLE}, strategy))
    assert (result.previous, result.already) == (bench.base, False)
    assert git(bench.repository, "rev-parse", "main", "main^{tree}").split() == [
        result.commit,
        result.tree,
    ]
    assert bench.judged == [result.commit]
    assert result.report.evidence[0].examined == 1
    assert (bench.repository / "maths.py").read_text() == TRIPLE
    assert git(bench.repository, "status", "--porcelain") == ""
    assert len(bench.log("-1", "--format=%P").split()) == parents
    assert bench.log("-1", "--format=%an <%ae>") == "Shipway <shipway@localhost>"
    if strategy != "fast-forward":
        head = "feat(maths): Triple Shipway-Run: other\n\nShipway-Run: run-7"
        assert bench.log("-1", "--format=%B") == head


def test_a_change_that_breaks_the_tests_is_not_merged(bench: Bench) -> None:
    broken = FILES["maths.py"].replace("2 * x", "3 * x")
    with pytest.raises(Failed, match="gate tests FAIL") as caught:
        bench.perform(bench.request({"maths.py": broken}))
    assert isinstance(caught.value.result, IntegrateResult)
    assert "AssertionError: 6 != 4" in str(caught.value.report.log_tail)
    assert str(caught.value.report.reproduce).endswith("-B -m unittest -v")
    assert git(bench.repository, "rev-parse", "main") == bench.base


def test_what_only_breaks_when_merged_is_found(bench: Bench) -> None:
    request = bench.request({"new.py": "import maths\n\nassert maths.double(1) == 2\n"})
    tests = FILES["test_maths.py"] + "\n    def test_alone(self):\n        import glob\n"
    tests += "        self.assertEqual(glob.glob('new.py'), [])\n"
    theirs = bench.commit({"test_maths.py": tests}, "a test that wants to be alone")
    with pytest.raises(Failed, match="gate tests FAIL"):
        bench.perform(request)
    assert git(bench.repository, "rev-parse", "main") == theirs


def test_a_conflict_names_files_and_both_sides(bench: Bench) -> None:
    request = bench.request({"maths.py": FILES["maths.py"].replace("2 * x", "x + x")})
    theirs = bench.commit({"maths.py": FILES["maths.py"].replace("2 * x", "x * 2")}, "other way")
    with pytest.raises(ConflictError, match=r"maths\.py \(changed there, changed here\)") as caught:
        bench.perform(request)
    report = report_of(caught.value)
    assert report.step == "combine"
    assert "CONFLICT (content): Merge conflict in maths.py" in str(report.log_tail)
    assert f"{theirs} {request.commit}" in str(report.reproduce)
    again = subprocess.run(["sh", "-c", str(report.reproduce)], capture_output=True, check=False)
    assert again.stdout.decode().strip() == report.log_tail
    assert git(bench.repository, "rev-parse", "main") == theirs
    assert bench.judged == []


def test_a_branch_that_moves_while_tests_run_is_combined_again(bench: Bench) -> None:
    request = bench.request({"maths.py": TRIPLE})
    moved: list[str] = []

    def somebody_else() -> None:
        if not moved:
            moved.append(bench.commit({"notes.txt": "theirs\n"}, "theirs"))

    result = bench.perform(request, somebody_else)
    assert result.previous == moved[0]
    assert len(bench.judged) == 2
    assert "main moved meanwhile: combining and testing again" in bench.said
    assert (bench.repository / "notes.txt").exists()
    assert (bench.repository / "maths.py").read_text() == TRIPLE


def test_a_second_attempt_merges_nothing_again(bench: Bench) -> None:
    request = bench.request({"maths.py": TRIPLE})
    first = bench.perform(request)
    later = bench.commit({"notes.txt": "later\n"}, "later")
    again = bench.perform(request)
    assert (again.already, again.commit, again.previous) == (True, first.commit, bench.base)
    assert again.report == first.report
    assert len(bench.judged) == 1
    assert git(bench.repository, "rev-parse", "main") == later


def test_another_candidate_of_the_same_run_is_merged_as_well(bench: Bench) -> None:
    """A person sent the run back; what it merged before is no reason not to merge."""
    first = bench.perform(bench.request({"maths.py": TRIPLE}))
    again = bench.perform(bench.request({"notes.txt": "as well\n"}))
    assert (again.already, again.previous) == (False, first.commit)
    assert git(bench.repository, "show", "main:notes.txt") == "as well"


def test_an_attempt_of_another_writer_between_is_noticed(bench: Bench) -> None:
    """A zombie of the same run publishes while this attempt tests."""
    request = bench.request({"maths.py": TRIPLE})
    zombie: list[IntegrateResult] = []

    def publish_first() -> None:
        if not zombie:
            zombie.append(IntegrateResult.model_construct())
            zombie[0] = bench.perform(request)

    result = bench.perform(request, publish_first)
    assert result.commit == zombie[0].commit
    assert bench.log("--format=%H", "--first-parent").split() == [result.commit, bench.base]


def test_a_dirty_checkout_is_left_alone(bench: Bench) -> None:
    request = bench.request({"maths.py": TRIPLE})
    (bench.repository / "maths.py").write_text("mine\n")
    with pytest.raises(RepositoryError, match="not committed"):
        bench.perform(request)
    assert (bench.repository / "maths.py").read_text() == "mine\n"
    assert git(bench.repository, "rev-parse", "main") == bench.base
    git(bench.repository, "checkout", "--quiet", "--", "maths.py")
    assert bench.perform(request).already is False


def test_a_new_service_gets_a_repository_of_its_own(
    bench: Bench, make_desk: Callable[..., Desk], artifacts: Any
) -> None:
    inside = bench.repository / "services" / "new one"  # in a directory of another repository
    fresh = Bench(inside, make_desk, artifacts)
    request = fresh.request(FILES | {"README.md": "new\n"})
    result = fresh.perform(request)
    assert (result.previous, result.already) == (None, False)
    assert (inside / "README.md").read_text() == "new\n"
    assert git(inside, "status", "--porcelain", "--branch") == "## main"
    assert fresh.log("-1", "--format=%B").endswith("Shipway-Run: run-7")
    assert fresh.perform(request).already
    assert git(bench.repository, "rev-parse", "main") == bench.base


def test_cancelled_before_the_branch_moves_nothing_is_merged(
    bench: Bench, make_desk: Callable[..., Desk]
) -> None:
    request = bench.request({"maths.py": TRIPLE})
    desk = make_desk("integrate", request, run="run-7")

    def cancelling(*given: Any) -> GateReport:
        report = judge(*given)
        desk.cancel.set()
        return report

    with pytest.raises(Failed, match="cancelled") as caught:
        Integrate(cancelling).perform(request, desk)
    assert caught.value.report.category == "cancelled"
    assert git(bench.repository, "rev-parse", "main") == bench.base


KILLED = """
import json, os, signal, sys, threading
from pathlib import Path
from types import SimpleNamespace
import structlog
sys.path[:0] = [{tests!r}, {agents!r}]
import test_integrate
from shipway.agents import integrate
from shipway.config import Settings
from shipway.contracts.envelope import Task
from shipway.contracts.integrate import IntegrateRequest
from shipway.store.artifacts import ArtifactStore
from shipway.workspace import publishing
given = json.loads(sys.stdin.read())
module = {{"integrate": integrate, "publishing": publishing}}[given["module"]]
def die(*a, **k):
    os.kill(os.getpid(), signal.SIGKILL)
real = getattr(module, given["name"])
def around(*a, **k):
    if given["when"] == "before":
        die()
    real(*a, **k)
    die()
setattr(module, given["name"], around)
request = IntegrateRequest.model_validate_json(given["request"])
task = Task(capability="integrate", version=1, run="run-7", stage="integrate", attempt=1, token=1,
            agent="x", key="k", traceparent="t", deadline=None, request={{}})
work = Path(given["work"])
store = Path(given["store"])
desk = SimpleNamespace(task=task, artifacts=ArtifactStore(store), work=work,
            hub=Path(given["hub"]), home=work, log=structlog.get_logger(), say=print,
            cancel=threading.Event(), settings=Settings(home=work, cache=work / "cache"), budget=None,
            confirm=lambda: None)
integrate.Integrate(test_integrate.judge).perform(request, desk)
"""


@pytest.mark.parametrize(
    ("module", "name", "when", "merged"),
    [
        ("integrate", "_write_down", "before", False),
        ("integrate", "publish", "before", False),
        ("publishing", "_take_objects", "after", False),
        ("publishing", "_write_journal", "after", False),
        ("publishing", "_swap", "after", True),
        ("integrate", "publish", "after", True),
    ],
)
def test_killed_at_any_step_the_next_attempt_merges_exactly_once(
    bench: Bench, settings: Any, tmp_path: Path, module: str, name: str, when: str, merged: bool
) -> None:
    request = bench.request({"maths.py": TRIPLE})
    assert bench.hub is not None
    work = tmp_path / "killed"
    work.mkdir()
    store = Places(settings.home).artifacts
    given = {"module": module, "name": name, "when": when, "request": request.model_dump_json()}
    given |= {"work": str(work), "hub": str(bench.hub.path), "store": str(store)}
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            KILLED.format(tests=str(ROOT / "tests"), agents=str(Path(__file__).parent)),
        ],
        input=json.dumps(given),
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert (git(bench.repository, "rev-parse", "main") != bench.base) is merged
    result = bench.perform(request)
    assert result.already is merged
    assert len(bench.judged) == (0 if merged else 1)
    assert bench.log("--format=%H", "--first-parent").split() == [result.commit, bench.base]
    assert git(bench.repository, "status", "--porcelain") == ""
    assert (bench.repository / "maths.py").read_text() == TRIPLE


def test_the_report_is_made_again_when_it_was_not_written_down(bench: Bench) -> None:
    request = bench.request({"maths.py": TRIPLE}, "fast-forward")
    assert bench.hub is not None
    publish(bench.hub, bench.repository, "main", request.commit, bench.base)
    result = bench.perform(request)
    assert (result.already, result.commit) == (True, request.commit)
    assert bench.judged == [request.commit]
