"""What a run of the tests counts for, and when it counts for nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shipway.gates.look import Doubt
from shipway.gates.suite import Suite
from shipway.gates.tally import tally

RUN = Suite(
    outcomes={"test_a.py::test_good": "passed", "test_a.py::test_bad[it's]": "failed",
              "test_a.py::test_left": "skipped"},
    messages={"test_a.py::test_bad[it's]": "assert 1 == 2"},
    lines={"test_a.py::test_bad[it's]": 7},
    exit_code=1,
)  # fmt: skip


def test_a_failed_test_names_its_file_line_and_command() -> None:
    reading = tally(RUN)
    (finding,) = reading.findings
    assert (finding.path, finding.line) == ("test_a.py", 7)
    assert "assert 1 == 2" in finding.message
    assert finding.reproduce == "python -m pytest 'test_a.py::test_bad[it'\\''s]'"
    assert reading.examined == 2
    assert reading.counts["skipped"] == 1


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"exit_code": 0}, "do not agree"),
        ({"exit_code": 3}, "exit code 3"),
        ({"unrun": frozenset({"test_a.py::test_other"})}, "collected and not run"),
        ({"outcomes": {}, "exit_code": 5}, "no test was collected"),
        ({"whole": False, "why": "it broke off", "hung": "test_a.py::test_bad"}, "it broke off"),
    ],
)
def test_a_run_that_contradicts_itself_or_broke_off_counts_for_nothing(
    change: dict[str, object], why: str
) -> None:
    with pytest.raises(Doubt, match=why):
        tally(replace(RUN, **change))


def test_a_pass_that_was_made_up_is_a_failure() -> None:
    reading = tally(replace(RUN, forced=frozenset({"test_a.py::test_good"})))
    assert {one.rule for one in reading.findings} == {"test-failed", "outcome-forced"}
    assert reading.counts["passed"] == 0
