"""Other stacks by their own command and by reports: tricks that need no Python are caught too."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest
from checked import gate, policy, write

from shipway.contracts.check import Outcome
from shipway.domain.gates import Verdict
from shipway.domain.states import Claim
from shipway.gates import conventions, toolchains
from shipway.workspace.fence import Command

RUN = """. ./price.sh
n=0
check() { n=$((n + 1)); if [ "$1" = "$2" ]; then echo "ok $n"; else echo "not ok $n"; bad=1; fi; }
check "$(price 0)" 0
check "$(price 1)" 3
echo "1..$n"
exit ${bad:-0}
"""
SHELL = {
    "Makefile": "test:\n\t@sh tests/run.sh\n",
    "price.sh": "price() { echo $(($1 * 3)); }\n",
    "tests/run.sh": RUN,
}
FIXED = "price() { echo $(($1 * 2)); }\n"
MEANT = RUN.replace('"$(price 1)" 3', '"$(price 1)" 2')
LESS = RUN.replace('check "$(price 1)" 3\n', "")
MADE_UP = "test:\n\t@echo 1..2; echo ok 1; echo ok 2\n"
JUDGES = ("tests", "proof", "tamper")


@pytest.mark.parametrize(
    ("change", "claim", "outcome", "rule"),
    [
        ({"price.sh": FIXED, "tests/run.sh": MEANT}, Claim.FIX, Outcome.ACCEPTED, None),
        ({"notes.txt": "x\n"}, Claim.CHORE, Outcome.ACCEPTED, None),
        ({"Makefile": "# Tests.\n" + SHELL["Makefile"]}, Claim.CHORE, Outcome.ACCEPTED, None),
        ({"price.sh": SHELL["price.sh"] + "# x\n"}, Claim.FIX, Outcome.REJECTED, None),
        ({"tests/run.sh": RUN + "# x\n"}, Claim.FIX, Outcome.REJECTED, None),
        ({"price.sh": FIXED}, Claim.FIX, Outcome.REJECTED, None),
        (
            {"price.sh": FIXED, "tests/run.sh": LESS},
            Claim.FIX, Outcome.REJECTED, "expectation-replaced",
        ),
        ({"price.sh": FIXED, "Makefile": MADE_UP}, Claim.FIX, Outcome.REJECTED, "runner-changed"),
        ({"tests/run.sh": LESS}, Claim.CHORE, Outcome.PERSON, "fewer-tests"),
        (
            {"price.sh": FIXED, "tests/run.sh": MEANT},
            Claim.REFACTOR, Outcome.PERSON, "expectation-changed",
        ),
    ],
    ids=["gold", "beside", "routine", "no test", "only tests", "broken", "weakened", "forced",
         "deleted", "no refactoring"],
)  # fmt: skip
def test_what_a_whole_run_says_catches_tricks_of_any_stack(
    judge, git_repository, change, claim, outcome, rule
) -> None:
    repository = git_repository(SHELL, [change])
    report = judge(repository, base="HEAD~1", gates=JUDGES, claim=claim)
    assert report.outcome is outcome, report.summary
    found = [one.rule for one in gate(report, "tamper").findings if one.severity != "note"]
    assert found[:1] == ([rule] if rule else [])


def test_names_and_places_of_tests_and_of_what_runs_them() -> None:
    for name in (
        "a/price_test.go", "web/price.test.ts", "web/__tests__/price.js", "spec/price_spec.rb",
        "tests/api.rs", "test.c", "src/test/java/PriceTest.java", "test/helper.sh",
    ):  # fmt: skip
        assert conventions.is_test(PurePosixPath(name)), name
    for name in ("price.go", "src/latest.ts", "contest.js", "tests/data.json"):
        assert not conventions.is_test(PurePosixPath(name)), name
    for name in ("package.json", "Makefile", "jest.config.ts", "tox.ini"):
        assert conventions.runs_tests(PurePosixPath(name)), name


def test_of_a_package_only_what_runs_tests_is_compared(tmp_path) -> None:
    def how(**table: object) -> object:
        (tmp_path / "package.json").write_text(json.dumps(table))
        return conventions.how(tmp_path, "package.json")

    plain = how(scripts={"test": "node --test", "build": "tsc"}, dependencies={"a": "1"})
    assert how(scripts={"test": "node --test", "build": "x"}, dependencies={"b": "2"}) == plain
    assert how(scripts={"test": "echo 3 passed"}) != plain
    assert how(scripts={"test": "node --test"}, jest={"testMatch": []}) != plain
    assert how(scripts={"test": "node --test", "pretest": "rm -r test"}) != plain


# -- reports of declared commands -------------------------------------------------------------

REPORTING = policy(
    "commands:\n"
    "- {gate: scan, report: out.sarif, format: sarif,"
    " run: [sh, -c, 'cp found.json out.sarif; test ! -s fail']}\n"
    "- {gate: unit, report: out.xml, format: junit,"
    " run: [sh, -c, 'cp found.xml out.xml; test ! -s red']}\n"
    "- {gate: lines, run: [cp, ran.json, out.json], report: out.json, format: coverage}\n"
)  # fmt: skip


def sarif(*lines: int) -> str:
    results = [
        {"ruleId": "no-eval", "level": "error", "message": {"text": f"eval on line {line}"},
         "locations": [{"physicalLocation": {"artifactLocation": {"uri": "a.js"},
                                             "region": {"startLine": line}}}]}
        for line in lines
    ]  # fmt: skip
    run = {"tool": {"driver": {"name": "scan"}}, "artifacts": [{}], "results": results}
    return json.dumps({"version": "2.1.0", "runs": [run]})


def junit(**cases: bool) -> str:
    bad = sum(not good for good in cases.values())
    said = {True: "", False: '<failure message="no"/>'}
    inner = "".join(
        f'<testcase name="{name}">{said[good]}</testcase>' for name, good in cases.items()
    )
    return f'<testsuite tests="{len(cases)}" failures="{bad}">{inner}</testsuite>'


def ran(*missing: int) -> str:
    run = [line for line in (1, 2, 3) if line not in missing]
    return json.dumps({
        "totals": {"percent_covered": 90.0},
        "files": {"a.js": {"executed_lines": run, "missing_lines": list(missing)}},
    })  # fmt: skip


BEFORE = {
    **REPORTING, "a.js": "eval(x)\n", "found.json": sarif(1), "fail": "1", "red": "1",
    "found.xml": junit(a=True, b=False), "ran.json": ran(),
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "verdicts"),
    [
        (
            {"a.js": "// moved\neval(x)\n", "found.json": sarif(2)},
            ("PASS", "PASS", "PASS"),
        ),
        (
            {"a.js": "eval(x)\neval(y)\n", "found.json": sarif(1, 2),
             "found.xml": junit(a=False, b=False), "ran.json": ran(2)},
            ("FAIL", "FAIL", "FAIL"),
        ),
        (
            {"found.json": sarif(1)[:-3], "found.xml": junit(), "ran.json": "{}"},
            ("ERROR", "ERROR", "ERROR"),
        ),
        ({"found.json": sarif(), "red": ""}, ("ERROR", "ERROR", "PASS")),
    ],
    ids=["only moved", "worse", "broken reports", "contradictions"],
)  # fmt: skip
def test_reports_of_declared_commands_are_read_and_only_what_is_new_counts(
    judge, git_repository, change, verdicts
) -> None:
    repository = git_repository(BEFORE, [change])
    report = judge(repository, base="HEAD~1", gates=("scan", "unit", "lines"))
    seen = {one.gate: one.verdict.value for one in report.evidence}
    assert (seen["scan"], seen["unit"], seen["lines"]) == verdicts
    if verdicts[0] == "PASS":
        assert gate(report, "scan").counts["known"] == 1
        assert gate(report, "unit").counts["known"] == 1
        assert gate(report, "scan").verdict is Verdict.PASS


# -- stacks with tools of their own -----------------------------------------------------------

STACKS = {
    "npm": (
        {
            "package.json": '{"name": "shop", "version": "1.0.0", "scripts": {"test": "node --test"}}\n',
            "price.js": "exports.price = (n) => n * 2;\n",
            "price.test.js": (
                "const test = require('node:test');\nconst assert = require('node:assert');\n"
                "const { price } = require('./price.js');\n"
                "test('two', () => assert.strictEqual(price(2), 4));\n"
            ),
        },
        {"price.js": "exports.price = (n) => n * 3;\n"},
    ),
    "cargo": (
        {
            "Cargo.toml": '[package]\nname = "shop"\nversion = "1.0.0"\nedition = "2021"\n',
            "src/lib.rs": "pub fn price(n: u32) -> u32 { n * 2 }\n",
            "tests/price.rs": "#[test]\nfn two() { assert_eq!(shop::price(2), 4); }\n",
        },
        {"src/lib.rs": "pub fn price(n: u32) -> u32 { n * 3 }\n"},
    ),
    "go": (
        {
            "go.mod": "module example.org/shop\n\ngo 1.20\n",
            "price.go": "package shop\n\nfunc Price(n int) int { return n * 2 }\n",
            "price_test.go": (
                'package shop\n\nimport "testing"\n\nfunc TestTwo(t *testing.T) {\n'
                "\tif Price(2) != 4 {\n\t\tt.Fail()\n\t}\n}\n"
            ),
        },
        {"price.go": "package shop\n\nfunc Price(n int) int { return n * 3 }\n"},
    ),
}


@pytest.mark.parametrize("program", STACKS)
def test_a_project_of_another_stack_is_tested_by_its_tool_or_told_that_it_is_not_here(
    judge, equipment, git_repository, program
) -> None:
    files, broken = STACKS[program]
    repository = git_repository(files, [broken])
    report = judge(repository, base="HEAD~1", gates=("tests",))
    seen = gate(report, "tests")
    known = toolchains.found()
    words = (program, "version" if program == "go" else "--version")
    asked = Command(words, repository, readable=known.readable, env=known.env)
    if equipment.fence.run(asked).exit_code != 0:
        assert seen.verdict is Verdict.ERROR
        assert f"{program} is not installed where tests can see it" in seen.summary
        assert report.outcome is Outcome.PERSON
        return
    assert seen.verdict is Verdict.FAIL, seen.summary
    assert report.outcome is Outcome.REJECTED


def test_a_tool_that_nobody_has_is_one_question_with_what_to_do(judge, git_repository) -> None:
    asks = policy("test: [frobnicate, all]\n")
    repository = git_repository({**SHELL, **asks}, [{"price.sh": FIXED, "tests/run.sh": MEANT}])
    report = judge(repository, base="HEAD~1", gates=JUDGES, claim=Claim.FIX)
    assert report.outcome is Outcome.PERSON, report.summary
    (asked,) = report.decisions
    assert asked.question.startswith("tests, proof, tamper could not judge (ERROR): frobnicate is")
    assert "install it on this machine, or name another `test:`" in asked.question


@pytest.fixture
def home_with_go(tmp_path, monkeypatch) -> Iterator[Path]:
    """A program below the home, beside what is nobody's business."""
    home = tmp_path / "home"
    tests = f"test ! -e {home}/key || exit 1\n"
    said = "echo '--- PASS: TestTwo (0.00s)'\n"
    write(home, {"sdk/go/bin/go": f"#!/bin/sh\n{tests}{said}", "key": "k\n"})
    (home / "sdk/go/bin/go").chmod(0o755)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PATH", f"{home}/sdk/go/bin:{os.environ['PATH']}")
    toolchains.found.cache_clear()
    yield home
    toolchains.found.cache_clear()


def test_a_toolchain_below_the_home_is_seen_by_tests_and_nothing_beside_it(
    home_with_go, judge, git_repository
) -> None:
    files, _ = STACKS["go"]
    repository = git_repository(files, [{"notes.txt": "x\n"}])
    seen = gate(judge(repository, base="HEAD~1", gates=("tests",)), "tests")
    assert seen.verdict is Verdict.ERROR
    assert f"{home_with_go}/sdk/go/bin is hidden from them" in seen.summary
    write(home_with_go, {"sdk/go/pkg/tool/link": ""})  # as go is unpacked
    toolchains.found.cache_clear()
    seen = gate(judge(repository, base="HEAD~1", gates=("tests",)), "tests")
    assert seen.verdict is Verdict.PASS, seen.summary
