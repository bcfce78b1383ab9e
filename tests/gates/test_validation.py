"""Real tools in a real fence on real trees: what passes, what does not, and what is said about it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from candidates import change_plan

from shipway.check.candidate import Candidate
from shipway.check.equipment import Ears, Equipment
from shipway.contracts.evidence import GateEvidence, GateReport
from shipway.domain.gates import Verdict
from shipway.domain.states import Claim
from shipway.gates.failure import explain, passed
from shipway.workspace.fence import Limits
from shipway.workspace.git import Capture

SHOP = {
    "shop/__init__.py": '"""A shop."""\n\nimport os\n\n\n'
    "def price(n: int) -> int:\n    return n * 2 if n else 0\n",
    "tests/test_shop.py": "from shop import price\n\n\ndef test_price() -> None:\n    assert price(2) == 4\n",
    "mypy.ini": "[mypy]\nstrict = True\nexclude = tests\n",
    "ruff.toml": 'lint.select = ["F"]\n',
}
GATES = ("lint", "types", "tests", "security", "secrets")
GOOD = {
    "shop/__init__.py": '"""A shop."""\n\n# Two lines more\n# than before.\nimport os\n\n\n'
    "def price(n: int) -> int:\n    return n * 2 if n else 0\n",
}
BAD = {
    "shop/__init__.py": '"""A shop."""\n\nimport os\nimport json\nimport subprocess\n\n\n'
    "def price(n: int) -> str:\n    return n * 3\n\n\ndef run(what: str) -> None:\n"
    "    subprocess.call(what, shell=True)\n",
    "settings.py": 'AWS_KEY = "AKIA' + 'QYLPMN5HNM4LZXCV"\nNONE = AWS_KEY is "none"\n',
}


def one(report: GateReport, gate: str) -> GateEvidence:
    return next(found for found in report.evidence if found.gate == gate)


def verdicts(report: GateReport) -> dict[str, str]:
    """Of the gates with a tool of their own; proof and tampering have tests of theirs."""
    return {found.gate: found.verdict.value for found in report.evidence if found.gate in GATES}


@pytest.fixture
def base(commit) -> Capture:
    return commit(SHOP)


@pytest.fixture
def validated(
    hub, fence, environments, shelf, tmp_path: Path, base: Capture
) -> Callable[..., GateReport]:
    """What the validate stage of a pipeline says of a change that claims to keep behaviour."""

    def validate(made: Capture, on: Capture = base) -> GateReport:
        work = tmp_path / f"validated-{len(list(tmp_path.glob('validated-*')))}"
        work.mkdir()
        equipment = Equipment(fence, environments, shelf, work, Path(sys.executable))
        plan = change_plan(on.commit, claim=Claim.REFACTOR)
        return Candidate(hub, on.commit, made.commit, plan).judge(equipment, Ears(), work)

    return validate


@pytest.fixture
def tested(panel, commit) -> Callable[..., GateEvidence]:
    """The tests gate alone on a tree of files."""

    def test(files: dict[str, str], limits: Limits | None = None, **plan: object) -> GateEvidence:
        made = commit(files)
        given = {"patience": limits} if limits else {}
        return (
            panel(**given)
            .only_tests(change_plan(made.commit, **plan), made.commit, made.tree)
            .evidence[0]
        )

    return test


def test_a_good_change_passes_with_evidence_to_believe(validated, commit, base, shelf) -> None:
    made = commit(GOOD, on=base)
    report = validated(made)
    assert passed(report), explain(report, shelf.read)
    assert verdicts(report) == dict.fromkeys(GATES, "PASS")
    # The unused import was there before, on another line.
    assert one(report, "lint").counts["known"] == 1
    assert one(report, "lint").findings == []
    measured = {found.name: found.value for found in one(report, "tests").measurements}
    assert measured["coverage"] == 100.0
    for found in (one(report, gate) for gate in GATES):
        assert found.examined > 0
        assert found.exit_code is not None
        assert found.tool_version
        assert found.tree == made.tree == found.inputs["tree"]
        assert found.inputs["tools"]
        assert found.fence is not None
        assert found.fence.network
        assert found.started_at <= found.ended_at
        assert found.outputs
        assert found.reproduce
        assert found.log is not None
        assert shelf.read(found.log) is not None


def test_a_bad_change_is_stopped_by_every_gate_at_once(validated, commit, base, shelf) -> None:
    report = validated(commit(BAD, on=base))
    assert not passed(report)
    assert verdicts(report) == dict.fromkeys(GATES, "FAIL")
    places = {
        found.gate: {
            (finding.path, finding.line, finding.rule)
            for finding in found.findings
            if finding.severity == "error"
        }
        for found in report.evidence
    }
    # Nobody holds the project to a rule that its base breaks: of an unused import it is told only.
    assert places["lint"] == {("settings.py", 2, "F632")}
    assert places["types"] == {("shop/__init__.py", 9, "return-value")}
    assert places["tests"] == {("tests/test_shop.py", 4, "test-failed")}
    assert places["security"] == {("shop/__init__.py", 13, "B602")}
    assert ("settings.py", 1, "aws-access-key") in places["secrets"]
    error = explain(report, shelf.read)
    assert error.category == "permanent"
    assert error.step == "lint"
    assert error.message.startswith(
        "gate lint FAIL: 1 finding, 1 on the base already; first: settings.py:2"
    )
    assert all(
        f"{gate} FAIL" in error.message for gate in ("types", "tests", "security", "secrets")
    )
    assert error.log_tail
    assert error.reproduce
    everything = report.model_dump_json() + "".join(
        shelf.read(found.log).decode()
        for found in report.evidence
        if found.log and found.gate == "secrets"
    )
    assert "QYLPMN5HNM4LZXCV" not in everything


# -- tests that cannot be believed ------------------------------------------------------------

ONE = "def test_one():\n    assert True\n"


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"shop.py": "x = 1\n"}, "no test was collected"),
        ({"test_a.py": "import pytest\n@pytest.mark.skip\ndef test_a(): ...\n"}, "no test was run"),
        ({"test_a.py": ONE, "conftest.py": "import os\nos._exit(0)\n"}, "before the runner"),
        (
            {"test_a.py": "import os\ndef test_a():\n    os._exit(0)\n"},
            "while test_a.py::test_a was running",
        ),
        (
            {"test_a.py": ONE, "pytest.ini": "[pytest]\naddopts = --collect-only\n"},
            "collected and not run",
        ),
        (
            {"test_a.py": ONE, "pytest.ini": "[pytest]\naddopts = --no-such\n"},
            "does not accept its options",
        ),
        (
            {
                "test_a.py": "def test_a():\n    assert False\n",
                "conftest.py": "def pytest_sessionfinish(session):\n    session.exitstatus = 0\n",
            },
            "do not agree",
        ),
    ],
    ids=["none", "skipped", "exit early", "exit late", "collect only", "bad option", "forged exit"],
)
def test_tests_that_did_not_run_are_an_error(tested, files: dict[str, str], why: str) -> None:
    found = tested(files)
    assert found.verdict is Verdict.ERROR
    assert why in found.summary


def test_a_tree_cannot_bring_its_own_judge(tested) -> None:
    """Files named like our tools, in the tree and on its path, are not what judges it."""
    fake = "def main(*_):\n    return 0\n"
    found = tested(
        {
            "pytest.py": fake,
            "coverage.py": fake,
            "json.py": "def dumps(*_): return '{}'\n",
            "test_a.py": "def test_a():\n    assert False\n",
        }
    )
    assert found.verdict is Verdict.FAIL
    assert found.findings[0].path == "test_a.py"


def test_a_module_that_does_not_import_fails(tested) -> None:
    found = tested({"test_a.py": "import nothing_of_that_name\n", "test_b.py": ONE})
    assert found.verdict is Verdict.FAIL
    assert "nothing_of_that_name" in found.findings[0].message


def test_unittest_in_a_src_layout_with_files_to_write(tested) -> None:
    found = tested(
        {
            "src/shop/__init__.py": "def price(n):\n    if n:\n        return n\n    return 0\n",
            "checks/tests.py": (
                "import unittest, pathlib\nfrom shop import price\n\n\n"
                "class Prices(unittest.TestCase):\n"
                "    def test_price(self):\n"
                "        for n in (1, 2):\n            with self.subTest(n=n):\n"
                "                self.assertEqual(price(n), n)\n"
                "    def test_writes(self):\n        pathlib.Path('written').write_text('x')\n"
            ),
        },
        test=["python", "-m", "unittest", "discover", "-s", "checks", "-p", "tests.py"],
        layout="src",
    )
    assert found.verdict is Verdict.PASS, found.summary
    assert found.counts["passed"] == 2
    measured = {one.name: one.value for one in found.measurements}
    assert measured["branch coverage"] == 50.0


def test_coverage_below_the_projects_own_threshold_fails(tested) -> None:
    found = tested(
        {
            "shop.py": "def price(n):\n    if n:\n        return n\n    return 0\n",
            "test_shop.py": "import shop\n\n\ndef test_it():\n    assert shop\n",
            ".coveragerc": "[report]\nfail_under = 95\n",
        }
    )
    assert found.verdict is Verdict.FAIL
    assert "95" in found.summary


def test_tests_that_hang_are_stopped_with_all_they_started(tested) -> None:
    before = time.monotonic()
    hang = "import subprocess\ndef test_a():\n    subprocess.run(['setsid', 'sleep', '600'])\n"
    found = tested({"test_a.py": hang}, limits=Limits(seconds=5))
    assert time.monotonic() - before < 40
    assert found.verdict is Verdict.ERROR
    assert "stopped after 5 s" in found.summary


def test_an_environment_that_cannot_be_built_leaves_the_others_judged(
    validated, commit, base, shelf
) -> None:
    told = commit({".shipway/policy.yaml": "version: 1\nrequirements: [needed.txt]\n"}, on=base)
    report = validated(commit(GOOD, on=told), on=told)
    assert verdicts(report) == {
        "lint": "PASS", "types": "ERROR", "tests": "ERROR", "security": "PASS", "secrets": "PASS",
    }  # fmt: skip
    error = explain(report, shelf.read)
    assert error.category == "permanent"
    assert "needed.txt is not in the tree" in error.message


def test_what_a_project_declares_anywhere_is_there_for_validate_as_for_check(
    validated, commit, compare
) -> None:
    """A requirement of tox.ini, metadata of setup.cfg: one reader, so one and the same environment."""
    project = {
        "tox.ini": "[testenv]\ndeps =\n    iniconfig==2.0.0\n",
        "setup.cfg": "[metadata]\nname = my-shop\nversion = 1.5\n",
        "test_shop.py": (
            "from importlib.metadata import version\n\nimport iniconfig\n\n\n"
            "def test_installed():\n    assert version('my-shop') == '1.5'\n    assert iniconfig\n"
        ),
    }
    before = commit(project)
    after = commit({"shop.py": "PRICE = 3\n"}, on=before)
    report = validated(after, on=before)
    seen = one(report, "tests")
    assert seen.verdict is Verdict.PASS, seen.summary
    comparison = compare({"shop.py": "PRICE = 3\n"}, base=project)
    checked = comparison.candidate(comparison.head).candidate
    assert seen.inputs["environment"] == checked.digest


def test_an_index_that_does_not_answer_may_be_tried_again(
    commit, panel, shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = commit({"test_a.py": ONE, "requirements.txt": "a-package-that-nobody-has==1.0\n"})
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    plan = change_plan(made.commit, requirements=["requirements.txt"])
    report = panel().only_tests(plan, made.commit, made.tree)
    assert report.evidence[0].verdict is Verdict.ERROR
    error = explain(report, shelf.read)
    assert (error.category, error.recovery) == ("dependency", "retry"), error.message


@pytest.fixture
def tight_umask() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)


def test_a_tight_umask_is_no_obstacle(tight_umask, tested) -> None:
    assert tested({"test_a.py": ONE}).verdict is Verdict.PASS


# -- other stacks -----------------------------------------------------------------------------

MAKE = ["make", "test"]


@pytest.mark.parametrize(
    ("recipe", "verdict", "why"),
    [
        ("@echo 1..2; echo ok 1; echo ok 2", Verdict.PASS, "2 tests passed"),
        ("@echo 1..2; echo ok 1; echo not ok 2; exit 1", Verdict.FAIL, "1 of 2 tests failed"),
        ("@echo 1..1; echo ok 1; exit 1", Verdict.FAIL, "1 of 1 tests failed"),
        ("@echo 1..1; echo not ok 1", Verdict.ERROR, "do not agree"),
        ("@echo all good", Verdict.ERROR, "TAP"),
    ],
)
def test_another_stack_is_judged_by_its_own_command(
    tested, recipe: str, verdict: Verdict, why: str
) -> None:
    found = tested({"Makefile": f"test:\n\t{recipe}\n"}, stack="unknown", test=MAKE)
    assert found.verdict is verdict
    assert why in found.summary


@pytest.mark.parametrize(
    ("test", "why"), [(None, "no test command is known"), (["no-such-runner"], "not installed")]
)
def test_another_stack_without_a_test_command_never_passes(tested, test, why: str) -> None:
    found = tested({"main.go": "package main\n"}, stack="unknown", test=test)
    assert found.verdict is Verdict.ERROR
    assert why in found.summary
