"""``shipway check`` as a user types it: its words, its exit codes, its forms, and Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree as ET

import jsonschema
from checked import BROKEN, MENDED, SHOP, policy, write
from forms import SARIF, junit_faults

from gitcalls import git
from shipway.check import formats
from shipway.contracts.check import CheckReport
from shipway.contracts.evidence import Finding

ROOT = Path(__file__).resolve().parent.parent.parent


def test_accepted_rejected_and_a_person_have_their_codes_and_say_what_to_do(
    shipway, git_repository
) -> None:
    repository = git_repository(SHOP, [MENDED])
    done = shipway("check", "--repo", str(repository), "--base", "HEAD~1", "--gate", "tests")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "accepted" in done.stdout
    assert "tests" in done.stdout
    write(repository, BROKEN)
    done = shipway("check", "--gate", "tests", cwd=repository)
    assert done.returncode == 1
    assert "assert 10 == 4" in done.stdout
    assert "repeat it: python -m pytest 'test_shop.py::test_two'" in done.stdout
    assert "rejected" in done.stdout
    write(repository, {"shop.py": MENDED["shop.py"], "large.bin": "x" * 2_000_000})
    done = shipway("check", "--gate", "file-size", cwd=repository)
    assert done.returncode == 3
    assert "decide" in done.stdout
    assert "waiver" in done.stdout


def test_forms_for_other_programs_are_whole_documents_on_stdout(shipway, git_repository) -> None:
    repository = git_repository(SHOP, [BROKEN])
    words = ("check", "--repo", str(repository), "--base", "HEAD~1", "--gate", "tests")
    said = shipway(*words, "--json").stdout
    report = json.loads(said)
    assert report["outcome"] == "rejected"
    assert report["evidence"][0]["fence"]["network"] is True
    _hostile_findings_leave_the_forms_whole(CheckReport.model_validate_json(said))
    sarif = json.loads(shipway(*words, "--sarif").stdout)
    jsonschema.validate(sarif, SARIF)
    known = {rule["id"] for rule in sarif["runs"][0]["tool"]["driver"]["rules"]}
    assert {one["ruleId"] for one in sarif["runs"][0]["results"]} == known
    assert sarif["runs"][0]["results"][0]["ruleId"] == "tests/test-failed"
    suite = shipway(*words, "--junit").stdout
    assert not junit_faults(suite)
    assert ET.fromstring(suite).get("failures") == "2"  # noqa: S314 - our own output
    comment = shipway(*words, "--markdown").stdout
    assert comment.startswith("### ")
    assert "| ❌ | tests | FAIL |" in comment
    explained = shipway(*words[:-2], "--explain")
    assert explained.returncode == 0
    assert "no type checker is configured: mypy looks at 1 changed files" in explained.stdout


def _hostile_findings_leave_the_forms_whole(report: CheckReport) -> None:
    odd = Finding(
        rule="a <rule>", message="\x1b[31m</failure>\x00\ufffe", path="a b/ü#?x:1.py", line=1
    )
    one = report.evidence[0].model_copy(update={"findings": [odd]})
    odder = report.model_copy(update={"evidence": [one]})
    jsonschema.validate(formats.sarif(odder), SARIF)
    assert not junit_faults(formats.junit(odder).decode())


def test_evidence_is_verified_by_judging_again_and_bound_to_its_trees(
    shipway, git_repository, tmp_path
) -> None:
    repository = git_repository(SHOP, [MENDED])
    words = ("check", "--repo", str(repository))
    made = shipway(*words, "--base", "HEAD~1", "--gate", "tests", "--json").stdout
    file = tmp_path / "evidence.json"
    file.write_text(made)
    done = shipway(*words, "--verify", str(file))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the evidence holds" in done.stdout
    forged = json.loads(made)
    forged["evidence"][0]["examined"] = 99
    file.write_text(json.dumps(forged))
    done = shipway(*words, "--verify", str(file))
    assert done.returncode == 1
    assert "examined 99 in the evidence, 2 now" in done.stdout
    forged["head"]["tree"] = "0" * 40
    file.write_text(json.dumps(forged))
    done = shipway(*words, "--verify", str(file))
    assert done.returncode == 6
    assert "another tree" in done.stderr
    file.write_text("{}")
    assert shipway(*words, "--verify", str(file)).returncode == 2


def test_a_patch_from_stdin_and_mistakes_in_words(shipway, git_repository) -> None:
    repository = git_repository(SHOP)
    write(repository, MENDED)
    patch = git(repository, "diff") + "\n"
    git(repository, "checkout", "-q", ".")
    words = ("check", "--repo", str(repository), "--gate", "file-size")
    done = shipway(*words, "--patch", "-", input=patch)
    assert done.returncode == 0, done.stderr
    done = shipway(*words, "main", "--patch", "-", input=patch)
    assert done.returncode == 2
    done = shipway("check", "--repo", str(repository), "--gate", "tets")
    assert done.returncode == 2
    assert "the gates are" in done.stderr
    assert shipway("check", "--repo", str(repository.parent)).returncode == 2
    assert shipway("check", "--repo", str(repository)).returncode == 1


def test_a_wrong_policy_of_the_base_is_told_whole(shipway, git_repository) -> None:
    repository = git_repository({**SHOP, **policy("required: [lnt]\nadvisory: [x]\n")}, [MENDED])
    done = shipway("check", "--repo", str(repository), "--base", "HEAD~1")
    assert done.returncode == 78
    assert "2 faults" in done.stderr
    assert "did you mean `lint`?" in done.stderr


def test_ctrl_c_ends_everything_and_leaves_nothing(home, git_repository) -> None:
    slow = (
        "import time\n\n\ndef test_slow():\n    open('started', 'w').close()\n    time.sleep(90)\n"
    )
    repository = git_repository(SHOP, [{"test_slow.py": slow}])
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "shipway", "check", "--base", "HEAD~1", "--gate", "tests"],
        cwd=repository, env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not list((home / "checks").glob("check-*/gates/*/tree/started")):
        assert time.monotonic() < deadline, "the tests did not start"
        assert process.poll() is None, process.stdout.read() if process.stdout else ""
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 130, said
    assert not list((home / "checks").glob("check-*"))
