"""Reports of tools that we do not know, in formats that everybody writes; hostile ones are unreadable."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shipway.gates.parsers.foreign import READERS
from shipway.gates.parsers.reading import UnreadableReportError

SARIF = {
    "version": "2.1.0",
    "runs": [{
        "tool": {"driver": {"name": "eslint", "rules": [
            {"id": "no-eval", "defaultConfiguration": {"level": "error"}}]}},
        "artifacts": [{"location": {"uri": "a.js"}}, {"location": {"uri": "b.js"}}],
        "results": [
            {"ruleId": "no-eval", "message": {"text": "eval can be harmful"}, "locations": [
                {"physicalLocation": {"artifactLocation": {"uri": "file:///tree/src/a%20b.js"},
                                      "region": {"startLine": 3}}}]},
            {"ruleId": "no-eval", "message": {"text": "known"}, "suppressions": [{"kind": "inSource"}]},
            {"ruleId": "ok", "kind": "pass", "message": {"text": "fine"}},
        ],
    }],
}  # fmt: skip
JUNIT = b"""<testsuite name="go" tests="3" failures="1" errors="0" skipped="1">
<testcase classname="shop" name="TestPrice" file="/tree/price_test.go" line="4" time="0.1"/>
<testcase classname="shop" name="TestSum" time="0"><failure message="got 3"/></testcase>
<testcase classname="shop" name="TestLeft" time="0"><skipped/></testcase></testsuite>"""
COBERTURA = b"""<?xml version="1.0"?>
<!DOCTYPE coverage SYSTEM "http://cobertura.sourceforge.net/xml/coverage-04.dtd">
<coverage line-rate="0.75"><sources><source>/tree/src</source></sources><packages><package><classes>
<class filename="a.c"><lines><line number="1" hits="2"/><line number="2" hits="0"/></lines></class>
<class filename="b.c"><lines><line number="1" hits="1"/><line number="7" hits="1"/></lines></class>
</classes></package></packages></coverage>"""
COVERAGE = {
    "totals": {"percent_covered": 50.0, "covered_lines": 1, "num_statements": 2},
    "files": {"/tree/a.py": {"executed_lines": [1], "missing_lines": [2]}},
}
GOOD = {
    "sarif": json.dumps(SARIF).encode(),
    "junit": JUNIT,
    "cobertura": COBERTURA,
    "coverage": json.dumps(COVERAGE).encode(),
}
EACH = pytest.mark.parametrize("name", GOOD)
BOMB = (
    b'<!DOCTYPE %s [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    b"<%s>&b;</%s>"
)


def test_sarif_becomes_findings_with_their_places_and_levels() -> None:
    found = READERS["sarif"](GOOD["sarif"], "/tree").reading
    assert found.examined == 2
    (one,) = found.findings
    assert (one.rule, one.path, one.line) == ("no-eval", "src/a b.js", 3)
    assert one.severity == "error"


def test_junit_becomes_tests_that_failed_by_their_name() -> None:
    report = READERS["junit"](JUNIT, "/tree")
    assert report.failed == ("shop.TestSum",)
    assert report.reading.examined == 2
    assert report.reading.counts["skipped"] == 1
    assert "got 3" in report.reading.findings[0].message


def test_lines_that_ran_come_from_cobertura_and_from_coverage() -> None:
    covered = READERS["cobertura"](COBERTURA, "/tree").covered
    assert covered is not None
    assert covered.files["src/a.c"].missed == {2}
    assert covered.measurements[0].value == 75.0
    other = READERS["coverage"](GOOD["coverage"], "/tree").covered
    assert other is not None
    assert other.files["a.py"].run == {1}
    assert other.measurements[0].value == 50.0


@EACH
@settings(deadline=None, max_examples=60)
@given(data=st.binary(max_size=300))
@example(data=b"")
@example(data=b"null")
@example(data=b"{}")
@example(data=b"[" * 100_000)
@example(data=b"<a>" * 100_000)
@example(data=b"<coverage/>garbage")
@example(data=b'{"version": "2.1.0", "runs": []}')
@example(data=b'{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "x"}}}]}')
@example(data=BOMB % ((b"coverage",) * 3))
@example(data=BOMB % ((b"testsuite",) * 3))
@example(data=b'<!DOCTYPE coverage SYSTEM "file:///etc/passwd" [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
         b"<coverage>&x;</coverage>")  # fmt: skip
def test_what_is_no_report_is_unreadable(name: str, data: bytes) -> None:
    with pytest.raises(UnreadableReportError):
        READERS[name](data, "/tree")


@EACH
def test_a_report_that_was_cut_off_anywhere_is_unreadable(name: str) -> None:
    whole = GOOD[name]
    for end in range(0, len(whole), 7):
        with pytest.raises(UnreadableReportError):
            READERS[name](whole[:end], "/tree")


@EACH
def test_a_report_beyond_the_limit_is_unreadable(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("reading", "markup"):
        monkeypatch.setattr(f"shipway.gates.parsers.{module}.LIMIT", 16)
    with pytest.raises(UnreadableReportError, match="larger"):
        READERS[name](GOOD[name], "/tree")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("version",), 2),
        (("runs", 0, "tool"), []),
        (("runs", 0, "results"), None),
        (("runs", 0, "results"), {}),
        (("runs", 0, "results", 0, "message"), "text"),
        (("runs", 0, "results", 0, "level"), "fatal"),
        (("runs", 0, "results", 0, "locations", 0, "physicalLocation", "region", "startLine"), -1),
        (("runs", 0, "results", 0, "locations", 0, "physicalLocation", "region", "startLine"), "3"),
        (("runs", 0, "invocations"), [{"executionSuccessful": False}]),
    ],
)
def test_wrong_types_in_sarif_are_unreadable(path: tuple[str | int, ...], value: object) -> None:
    log = json.loads(GOOD["sarif"])
    place = log
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(UnreadableReportError):
        READERS["sarif"](json.dumps(log).encode(), "/tree")


@pytest.mark.parametrize(
    ("old", "new"),
    [(b'hits="2"', b'hits="many"'), (b'number="1"', b""), (b'"0.75"', b'"7.5"'),
     (b'"0.75"', b'"nan"'), (b'"0.75"', b'"0.1"'), (b'filename="a.c"', b"")],
)  # fmt: skip
def test_wrong_numbers_in_cobertura_are_unreadable(old: bytes, new: bytes) -> None:
    with pytest.raises(UnreadableReportError):
        READERS["cobertura"](COBERTURA.replace(old, new), "/tree")
