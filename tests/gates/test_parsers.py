"""Reports that lie, break off or attack are never read as a verdict."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shipway.gates.parsers import (
    acceptance,
    bandit,
    coverage,
    junit,
    mypy,
    pylint,
    ruff,
    schemathesis,
    secrets,
    summary,
)
from shipway.gates.parsers.reading import Reading, UnreadableReportError

SUITE = b"""<?xml version="1.0" encoding="utf-8"?>
<testsuites><testsuite name="pytest" errors="0" failures="1" skipped="1" tests="3">
<testcase classname="tests.test_a.TestA" name="test_good" file="tests/test_a.py" line="3" time="0.1"/>
<testcase classname="tests.test_a" name="test_bad[x&amp;y]" file="tests/test_a.py" line="6" time="0.2">
<failure message="assert 1 == 2">def test_bad(): ...</failure></testcase>
<testcase classname="tests.test_a" name="test_left" time="0"><skipped message="not here"/></testcase>
</testsuite></testsuites>"""
COVERED = {"totals": {"percent_covered": 90.0, "covered_lines": 9, "num_statements": 10,
                      "covered_branches": 1, "num_branches": 2}}  # fmt: skip
RUFF = [
    {
        "code": "F401",
        "message": "unused",
        "filename": "/tree/a.py",
        "location": {"row": 3, "column": 1},
    }
]
MYPY = b'{"file": "a.py", "line": 9, "column": 1, "message": "no", "code": "attr", "severity": "error"}\n'
CHECKED = b"a.py:9: error: no [attr]\nFound 1 error in 1 file (checked 4 source files)\n"
BANDIT = {
    "errors": [],
    "metrics": {"./a.py": {"loc": 3}, "_totals": {"loc": 3}},
    "results": [{"test_id": "B602", "issue_text": "shell", "filename": "./a.py", "line_number": 2,
                 "issue_severity": "HIGH"}],
}  # fmt: skip
PYLINT = [{"type": "convention", "module": "a", "obj": "", "line": 2, "column": 0, "path": "a.py",
           "symbol": "invalid-name", "message": "no", "message-id": "C0103"}]  # fmt: skip
SECRETS = {
    "plugins_used": [{"name": "KeywordDetector"}],
    "results": {"tree/a.py": [{"type": "Secret Keyword", "line_number": 4, "hashed_secret": "ab"}]},
}
API = {
    "schemathesis_version": "4.32.5", "complete": True, "exit_code": 1, "errors": [],
    "operations": {"selected": 2, "tested": 2, "errored": 0},
    "test_cases": {"generated": 50, "without_checks": 2, "unique_failures": 1},
    "phases": {"fuzzing": {"status": "failure", "skip_reason": None}},
    "warnings": {"missing_auth": [], "low_valid_rate": ["GET /notes"]},
}  # fmt: skip
FAULTS = b"""<testsuites errors="0" failures="1" skipped="0" tests="2">
<testsuite name="schemathesis" errors="0" failures="1" skipped="0" tests="2">
<testcase name="GET /notes" time="1"/><testcase name="POST /notes" time="2">
<failure type="failure" message="ST101">1. Test Case ID: abc

- ST101 Server error

- ST103 Undocumented status code

    Received: 500
    Documented: 201

[500] Internal Server Error:

    `oops`

Reproduce with:

    curl -X POST -d '{"stars": 5}' http://127.0.0.1:8000/notes</failure></testcase></testsuite></testsuites>"""
FLOWS = {"complete": True, "checks": [
    {"id": "a", "kind": "health", "verdict": "passed", "message": "up", "requests": []},
    {"id": "b", "kind": "page", "verdict": "failed", "message": "twice", "requests": [1],
     "reproduce": "curl x"},
    {"id": "c", "kind": "page", "verdict": "impossible", "message": "no pages", "requests": []},
]}  # fmt: skip


def dumped(value: object) -> bytes:
    return json.dumps(value).encode()


READERS: dict[str, tuple[Callable[[bytes], object], bytes]] = {
    "junit": (junit.read, SUITE),
    "coverage": (coverage.read, dumped(COVERED)),
    "ruff": (lambda data: ruff.read(data, b"a.py\n", "/tree"), dumped(RUFF)),
    "bandit": (lambda data: bandit.read(data, "/tree"), dumped(BANDIT)),
    "pylint": (lambda data: pylint.read(data, "/tree", 1, failed=True), dumped(PYLINT)),
    "secrets": (lambda data: secrets.read(data, "/", "/tree"), dumped(SECRETS)),
    "mypy": (lambda data: mypy.read(data, CHECKED, "/tree"), MYPY),
    "schemathesis": (lambda data: schemathesis.read(data, FAULTS), dumped(API)),
    "faults": (lambda data: schemathesis.read(dumped(API), data), FAULTS),
    "acceptance": (acceptance.read, dumped(FLOWS)),
    "summary": (summary.read, b"Ran 3 tests in 0.1s\n\nOK\n"),
}
EACH = pytest.mark.parametrize("name", READERS)


@EACH
def test_a_whole_report_is_read(name: str) -> None:
    read, good = READERS[name]
    assert read(good) is not None


@EACH
@settings(deadline=None)
@given(data=st.binary(max_size=400))
@example(data=b"")
@example(data=b"null")
@example(data=b"[]")
@example(data=b"{}")
@example(data=b"[" * 100_000)
@example(data=b'{"a":' * 100_000)
@example(data=b"1" * 200_000)
@example(data=b"1 passed " * 20_000)
@example(data=b"\n" * 200_000)
@example(data=b"\xff\xfe<\x00")
def test_garbage_is_unreadable_or_says_nothing(name: str, data: bytes) -> None:
    read, _ = READERS[name]
    try:
        found = read(data)
    except UnreadableReportError:
        return
    # Some formats are a list of findings: an empty one is a report, and finds nothing.
    assert name in {"ruff", "pylint", "summary"}
    assert isinstance(found, Reading)
    assert name == "summary" or not found.findings


@pytest.mark.parametrize("name", [one for one in READERS if one not in {"mypy", "summary"}])
@settings(deadline=None)
@given(share=st.floats(min_value=0.0, max_value=0.98))
def test_a_report_that_was_cut_off_is_unreadable(name: str, share: float) -> None:
    read, good = READERS[name]
    with pytest.raises(UnreadableReportError):
        read(good[: int(len(good) * share)])


@pytest.mark.parametrize("name", ["coverage", "bandit", "secrets", "schemathesis", "acceptance"])
@settings(deadline=None)
@given(data=st.data())
def test_one_wrong_member_never_gets_through_as_something_else(
    name: str, data: st.DataObject
) -> None:
    """Any member replaced by a value of another kind: unreadable, or read as what it says."""
    read, good = READERS[name]
    document = json.loads(good)
    key = data.draw(st.sampled_from(sorted(document)))
    document[key] = data.draw(st.sampled_from([None, 7, "word", [3], {"x": {}}, True]))
    try:
        found = read(dumped(document))
    except UnreadableReportError:
        return
    assert found is not None


BOMB = b"""<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
<testsuites tests="1"><testsuite tests="1"><testcase name="&b;"/></testsuite></testsuites>"""
OUTSIDE = b"""<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>
<testsuites tests="1"><testsuite tests="1"><testcase name="&a;"/></testsuite></testsuites>"""
DEEP = b"<testsuites>" + b"<a>" * 5000 + b"</a>" * 5000 + b"</testsuites>"
DENIES = SUITE.replace(b'failures="1"', b'failures="0"')
CLAIMS = SUITE.replace(b'errors="0"', b'errors="4"')
FOREIGN = b"<html><body>502 Bad Gateway</body></html>"


@pytest.mark.parametrize("data", [BOMB, OUTSIDE, DEEP, DENIES, CLAIMS, FOREIGN])
def test_hostile_and_contradictory_junit_is_unreadable(data: bytes) -> None:
    with pytest.raises(UnreadableReportError):
        junit.read(data)


def test_branches_are_measured_and_impossible_coverage_is_unreadable() -> None:
    found = {one.name: one.value for one in coverage.read(dumped(COVERED), 80)}
    assert found == {"coverage": 90.0, "line coverage": 90.0, "branch coverage": 50.0}
    for wrong in (
        {"percent_covered": 101},
        {"covered_lines": 11},
        {"percent_covered": float("nan")},
    ):
        with pytest.raises(UnreadableReportError):
            coverage.read(dumped({"totals": {**COVERED["totals"], **wrong}}))


@pytest.mark.parametrize(
    "words",
    [
        b"",
        b"Success: no issues found in 4 source files",
        b"Found 1 error in 1 file (errors prevented",
    ],
)
def test_findings_that_mypy_does_not_count_are_unreadable(words: bytes) -> None:
    assert mypy.read(MYPY, CHECKED, "/tree").examined == 4
    with pytest.raises(UnreadableReportError):
        mypy.read(MYPY, words, "/tree")


def test_a_mypy_that_writes_no_json_is_read_in_its_words() -> None:
    words = (
        b'a.py:3: error: Name "x" is not defined  [name-defined]\n'
        b"a.py:3: note: see below\nFound 1 error in 1 file (checked 4 source files)\n"
    )
    found = mypy.read(None, words, "/tree").findings
    assert [(one.rule, one.line, one.severity) for one in found] == [
        ("name-defined", 3, "error"), ("misc", 3, "note"),
    ]  # fmt: skip
    with pytest.raises(UnreadableReportError):
        mypy.read(None, words.replace(b"a.py:3: error", b"a.py: error"), "/tree")


def test_a_file_that_bandit_could_not_read_is_no_evidence() -> None:
    broken = {**BANDIT, "errors": [{"filename": "./a.py", "reason": "syntax error"}]}
    with pytest.raises(UnreadableReportError, match=r"a\.py"):
        bandit.read(dumped(broken), "/tree")


def test_what_pylint_only_mentions_informs_unless_it_breaks_the_program() -> None:
    def severities(kind: str, *, failed: bool) -> list[str]:
        said = dumped([{**PYLINT[0], "type": kind}])
        return [one.severity for one in pylint.read(said, "/tree", 1, failed=failed).findings]

    assert severities("convention", failed=True) == ["error"]
    assert severities("convention", failed=False) == ["warning"]
    assert severities("error", failed=False) == ["error"]


def test_secrets_are_placed_and_never_shown() -> None:
    found, marks = secrets.read(dumped(SECRETS), "/", "/tree")
    assert [(one.path, one.line, one.rule) for one in found] == [("a.py", 4, "secret-keyword")]
    assert list(marks.values()) == ["ab"]
    with pytest.raises(UnreadableReportError):
        secrets.read(dumped({**SECRETS, "plugins_used": []}), "/", "/tree")


def test_schemathesis_findings_carry_the_command_that_repeats_them() -> None:
    run = schemathesis.read(dumped(API), FAULTS)
    assert [one.rule for one in run.reading.findings] == ["ST101", "ST103"]
    assert run.reading.findings[1].message.endswith("Received: 500 Documented: 201")
    curl = "curl -X POST -d '{\"stars\": 5}' http://127.0.0.1:8000/notes"
    assert {one.reproduce for one in run.reading.findings} == {curl}
    assert run.reading.examined == 48
    assert run.warnings == {"low_valid_rate": ["GET /notes"]}


def test_failures_that_no_report_lists_are_unreadable() -> None:
    silent = b'<testsuites tests="0"><testsuite tests="0" failures="0" errors="0"/></testsuites>'
    with pytest.raises(UnreadableReportError):
        schemathesis.read(dumped(API), silent)


def test_flows_that_did_not_end_are_unreadable() -> None:
    with pytest.raises(UnreadableReportError):
        acceptance.read(dumped({**FLOWS, "complete": False}))
    reading, unjudged = acceptance.read(dumped(FLOWS))
    assert reading.examined == 2
    assert [one.reproduce for one in reading.findings] == ["curl x"]
    assert unjudged == ["c: no pages"]


@pytest.mark.parametrize(
    ("output", "ran", "failed"),
    [
        (b"Ran 5 tests in 0.002s\n\nFAILED (failures=1, errors=1)\n", 5, 2),
        (b"===== 2 failed, 3 passed in 0.12s =====\n", 5, 2),
        (b"=== 4 passed, 1 skipped in 1.00s ===\n", 4, 0),
        (b"\x1b[32mTests:       1 failed, 7 passed, 8 total\x1b[0m\n", 8, 1),
        (b"  12 passing (30ms)\n  1 failing\n", 13, 1),
        (b"TAP version 13\n1..3\nok 1 - a\nnot ok 2 - b\nok 3\n", 3, 1),
        (b"--- PASS: TestA (0.00s)\n--- FAIL: TestB (0.00s)\nFAIL\n", 2, 1),
        (b"ok  \texample.org/a\t0.003s\n", 1, 0),
        (b"test result: ok. 6 passed; 0 failed; 0 ignored\n", 6, 0),
        (
            b"Tests run: 2, Failures: 0, Errors: 0\nTests run: 9, Failures: 1, Errors: 1, Skipped: 0\n",
            9,
            2,
        ),
        (b"67% tests passed, 1 tests failed out of 3\n", 3, 1),
        (b"noise\n" * 100_000 + b"Ran 1 test in 0s\nOK\n", 1, 0),
    ],
)
def test_known_summaries_are_counted(output: bytes, ran: int, failed: int) -> None:
    reading = summary.read(output)
    assert (reading.examined, reading.counts["failed"]) == (ran, failed)


@pytest.mark.parametrize("output", [b"", b"all good\n", b"Done in 3s.\n", b"\xff\xfe passed"])
def test_output_without_a_number_of_tests_counts_nothing(output: bytes) -> None:
    with pytest.raises(UnreadableReportError):
        summary.read(output)
