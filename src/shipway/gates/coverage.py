"""Gate ``coverage``: how many of the lines that a change touched its tests ran."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import PurePosixPath

from shipway.contracts.evidence import Finding, GateEvidence, Measurement
from shipway.domain.gates import Verdict
from shipway.gates.cases import parse, read
from shipway.gates.comparison import Comparison
from shipway.gates.gate import Rule
from shipway.gates.look import Doubt, Record, evidence
from shipway.gates.parsers.reading import Reading, load_json, mapping, sequence
from shipway.gates.suite import Suite, describe, head_suite
from shipway.gates.trees import parts


@dataclass(frozen=True, slots=True)
class Lines:
    """The changed lines of one source that hold code: which of them ran, which did not."""

    path: str
    run: frozenset[int]
    missed: frozenset[int]


def touched(comparison: Comparison) -> dict[str, frozenset[int]]:
    """Changed lines that belong to a statement, by source file of the head."""
    found = {}
    for one in parts(comparison).source:
        if one.is_gone or PurePosixPath(one.path).suffix != ".py":
            continue
        module = parse(read(comparison.head.bench.tree, one.path))
        lines = one.added_lines & _statements(module) if module else frozenset()
        if lines:
            found[one.path] = lines
    return found


def _statements(module: ast.Module) -> frozenset[int]:
    """Every line of every statement, but of docstrings."""
    lines: set[int] = set()
    for node in ast.walk(module):
        if not isinstance(node, ast.stmt):
            continue
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue
        last = node.end_lineno or node.lineno
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.stmt):
            last = max(node.lineno, body[0].lineno - 1)
        lines |= set(range(node.lineno, last + 1))
    return frozenset(lines)


def covered(comparison: Comparison, suite: Suite) -> list[Lines]:
    """What the head's own suite ran of the changed lines; raises Doubt when nothing says so."""
    if suite.coverage is None:
        raise Doubt("the run of the tests left no coverage behind")
    report = mapping(load_json(suite.coverage), "the coverage report")
    files = mapping(report.get("files"), "the coverage report's files")
    found = []
    for path, lines in touched(comparison).items():
        facts = files.get(path)
        if facts is None:
            continue
        facts = mapping(facts, "a file of the coverage report")
        run = set(sequence(facts.get("executed_lines"), "the lines that ran"))
        missed = set(sequence(facts.get("missing_lines"), "the lines that did not run"))
        found.append(Lines(path, lines & run, lines & missed))
    return found


def select(comparison: Comparison) -> tuple[bool, str]:
    """Whether code changed that tests could run."""
    if comparison.head.bench.project.stack != "python":
        return False, "no Python project"
    if comparison.policy.no_tests:
        return False, "the policy says there are no tests"
    files = touched(comparison)
    if not files:
        return False, "no line of code was added or changed"
    return True, f"{sum(map(len, files.values()))} changed lines hold code"


def judge(comparison: Comparison) -> GateEvidence:
    """The share of the changed lines that ran, against the policy's ``changed_coverage``."""
    record = Record("coverage", "coverage")
    suite = head_suite(comparison)
    describe(record, suite, "coverage")
    lines = covered(comparison, suite)
    run = sum(len(one.run) for one in lines)
    missed = sum(len(one.missed) for one in lines)
    share = round(100.0 * run / (run + missed), 2) if run + missed else 0.0
    least = comparison.policy.threshold("changed_coverage")
    reading = Reading(
        examined=run + missed,
        findings=[
            Finding(
                rule="line-not-run", message="no test runs this changed line", path=one.path,
                line=line, severity="warning",
            )
            for one in lines
            for line in sorted(one.missed)
        ],
        counts={"run": run, "missed": missed, "files": len(lines)},
        measurements=[
            Measurement(name="changed coverage", value=share, unit="%", threshold=least)
        ],
    )  # fmt: skip
    bench = comparison.head.bench
    if not run + missed:
        said = "none of the changed lines is one that coverage counts"
        return evidence(bench, record, Verdict.NOT_RUN, said, reading)
    verdict = Verdict.PASS if share >= least else Verdict.FAIL
    said = f"{run} of {run + missed} changed lines ran ({share} %, at least {least:g} %)"
    return evidence(bench, record, verdict, said, reading)


RULE = Rule(select, judge)
