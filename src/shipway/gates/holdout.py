"""Gate ``holdout``: checks that live outside the repository, where whoever makes a change cannot see them."""

from __future__ import annotations

import secrets
import shutil
from dataclasses import replace
from pathlib import Path

from shipway.contracts.evidence import Finding, GateEvidence
from shipway.domain.gates import Verdict
from shipway.gates.comparison import Comparison
from shipway.gates.gate import Rule
from shipway.gates.look import Doubt, Record, evidence
from shipway.gates.parsers.reading import Reading
from shipway.gates.suite import describe, run_suite
from shipway.gates.tally import tally
from shipway.gates.trees import with_old_tests

NAME = "holdout"


def select(comparison: Comparison) -> tuple[bool, str]:
    """Whether the base's policy names any."""
    places = comparison.policy.holdout
    if not places:
        return False, "the policy names no checks outside the repository"
    return True, f"the policy names {len(places)} directories of checks outside the repository"


def judge(comparison: Comparison) -> GateEvidence:
    """Lay the checks beside the head's source, under the base's tests and configuration, and run them.

    What they hold is told to nobody: the evidence counts them, and has no log.
    """
    if comparison.head.bench.project.stack != "python":
        raise Doubt("checks outside the repository are run by pytest, in a Python project only")
    record = Record(NAME, "pytest")
    bench = comparison.candidate(comparison.head)
    bench = comparison.fresh(bench, with_old_tests(comparison))
    laid = [_laid(Path(place), bench.tree) for place in comparison.policy.holdout]
    suite = run_suite(bench, files=laid, say="the checks outside the repository")
    describe(record, suite, "pytest")
    reading = tally(suite)
    record.command, record.reproduce = [], f"shipway check --gate {NAME}"
    if record.finished is not None:
        record.finished = replace(record.finished, output=b"", stdout=b"")
    if suite.deselected:
        raise Doubt(f"{len(suite.deselected)} of the checks were deselected")
    bad = reading.counts["failed"] + reading.counts["errors"]
    told = Reading(reading.examined, _said(bad), reading.counts, [])
    if reading.counts["skipped"]:
        said = f"{reading.counts['skipped']} of the checks were skipped"
        return evidence(bench, record, Verdict.ERROR, said, told)
    if bad:
        said = f"{bad} of {reading.examined} checks outside the repository fail"
        return evidence(bench, record, Verdict.FAIL, said, told)
    said = f"{reading.examined} checks outside the repository pass"
    return evidence(bench, record, Verdict.PASS, said, told)


def _said(bad: int) -> list[Finding]:
    if not bad:
        return []
    said = f"{bad} fail; whoever keeps them can say what they ask for"
    return [Finding(rule="holdout-failed", message=said)]


def _laid(place: Path, tree: Path) -> str:
    """A copy in the checkout, under a name that no candidate can know."""
    if not place.is_absolute() or not place.is_dir():
        raise Doubt(f"the checks outside the repository are not there: {place}")
    if tree.resolve().is_relative_to(place.resolve()):
        raise Doubt(f"{place} holds more than checks: Shipway's own work lies in it")
    name = f"holdout_{secrets.token_hex(8)}"
    shutil.copytree(place, tree / name, ignore=shutil.ignore_patterns("__pycache__", ".git"))
    for path in (tree / name, *(tree / name).rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return name


RULE = Rule(select, judge)
