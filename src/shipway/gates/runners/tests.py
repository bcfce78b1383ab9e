"""Gate ``tests``: pytest with branch coverage in the candidate's environment, or its own test command."""

from __future__ import annotations

import shlex
from pathlib import Path

from shipway.contracts.evidence import GateEvidence
from shipway.domain.gates import Verdict
from shipway.errors import Category
from shipway.gates.bench import Bench
from shipway.gates.carry import script
from shipway.gates.look import (
    Doubt,
    Record,
    candidate_environment,
    check_ended,
    evidence,
    keep,
    read_report,
)
from shipway.gates.parsers import summary, tests
from shipway.gates.parsers.reading import Reading, UnreadableReportError, load_json, mapping
from shipway.gates.runners.mypy import CONFIGURATION
from shipway.gates.runners.ruff import configuration
from shipway.workspace.environments import Environment

GATE = "tests"
# pytest: 0 all passed, 1 some failed, 2 collection broke, 5 nothing collected.
ENDS = frozenset({0, 1, 2, 5})
RUNNERS = frozenset({"pytest", "py.test"})
MISSING = frozenset({126, 127})
SCRIPT = "measure.py"


def judge(bench: Bench) -> GateEvidence:
    """Run the tests; ``bench.tree`` is a checkout that they may write to."""
    record = Record(GATE, "pytest")
    bench.say("tests: pytest")
    try:
        if bench.project.stack == "python":
            return _decide(bench, record, _pytest(bench, record))
        record.tool = "test command"
        return _decide(bench, record, _command(bench, record))
    except Doubt as doubt:
        return evidence(
            bench, record, Verdict.ERROR, f"{record.tool}: {doubt.reason}", category=doubt.category
        )
    except UnreadableReportError as error:
        return evidence(bench, record, Verdict.ERROR, f"{record.tool}: {error}")


def arguments(test: tuple[str, ...] | None) -> list[str]:
    """What the project's own test command hands to pytest, or what unittest's would be there."""
    words = list(test or ())
    for at, word in enumerate(words):
        if Path(word).name in RUNNERS:
            return words[at + 1 :]
        if word == "unittest":
            return _from_unittest(words[at + 1 :])
    return []


def _from_unittest(words: list[str]) -> list[str]:
    """unittest finds ``test*.py``; -s and -p of its discovery say otherwise."""
    pattern, places = "test*.py", []
    given = iter(words)
    for word in given:
        if word in {"-p", "--pattern"}:
            pattern = next(given, pattern)
        elif word in {"-s", "--start-directory"}:
            places.append(next(given, "."))
    return ["-o", f"python_files={pattern}", *places]


def site_packages(environment: Environment) -> Path:
    """Where an environment keeps its packages."""
    found = next(iter(sorted((environment.path / "lib").glob("python*/site-packages"))), None)
    if found is None:
        raise Doubt("the environment has no place for packages", Category.DEPENDENCY)
    return found


def brings_runner(candidate: Environment) -> bool:
    """Whether the candidate's own requirements hold pytest and coverage."""
    place = site_packages(candidate)
    return all((place / name / "__init__.py").is_file() for name in ("pytest", "coverage"))


def _pytest(bench: Bench, record: Record) -> Reading:
    candidate = candidate_environment(bench)
    place = bench.place(GATE)
    record.inputs.update(
        configuration(bench, (*CONFIGURATION, "pytest.ini", "tox.ini", ".coveragerc"))
    )
    record.inputs["environment"] = candidate.digest
    record.command, words = _measure(bench, candidate, place)
    record.reproduce = shlex.join(["python", "-m", "pytest", *words])
    readable = (bench.runner.path,) if bench.runner is not None else ()
    finished = record.finished = bench.run(
        record.command, writable=place, cwd=bench.tree, limits=bench.patience, readable=readable
    )
    check_ended(finished, ENDS)
    counted = read_report(place / "count.json", finished)
    own = mapping(load_json(counted), "our own count")
    versions = mapping(own.get("tools"), "the versions")
    record.version = f"{versions.get('pytest')} (coverage {versions.get('coverage')})"
    if finished.exit_code == 5:
        raise Doubt("no test was collected")
    suite = read_report(place / "junit.xml", finished)
    covered = _optional(place / "coverage.json")
    keep(record, junit=suite, count=counted)
    if covered is not None:
        covered = read_report(place / "coverage.json", finished)
        keep(record, coverage=covered)
    reading = tests.read(suite, counted, covered)
    _agree(finished.exit_code, own.get("exit"), reading)
    return reading


def _measure(bench: Bench, candidate: Environment, place: Path) -> tuple[list[str], list[str]]:
    """The command that runs our script, and the words of it that are pytest's."""
    tree = bench.tree
    paths = [tree / "src", tree] if bench.project.layout == "src" else [tree]
    words = arguments(bench.project.test)
    (place / SCRIPT).write_bytes(script(SCRIPT))
    command = [str(candidate.python), "-I", str(place / SCRIPT), "--reports", str(place)]
    for path in paths:
        command += ["--path", str(path)]
    command += ["--source", str(paths[0])]
    if not brings_runner(candidate):
        if bench.runner is None:
            raise Doubt("neither the candidate nor Shipway has a test runner", Category.DEPENDENCY)
        command += ["--overlay", str(site_packages(bench.runner))]
    return [*command, "--", *words], words


def _optional(path: Path) -> bytes | None:
    return b"" if path.exists() else None


def _agree(ended: int | None, said: object, reading: Reading) -> None:
    bad = reading.counts["failed"] + reading.counts["errors"]
    if ended != said:
        raise Doubt("its exit code is not the one that the runner reported")
    if (ended == 0) != (bad == 0):
        raise Doubt("its exit code and its report do not agree")


def _command(bench: Bench, record: Record) -> Reading:
    """A test command of another stack: its exit code counts only beside a number of tests."""
    if not bench.project.test:
        raise Doubt("no test command is known; add a `test` target to the project's Makefile")
    place = bench.place(GATE)
    record.command = list(bench.project.test)
    record.reproduce = shlex.join(record.command)
    record.tool = Path(record.command[0]).name
    finished = record.finished = bench.run(
        record.command, writable=place, cwd=bench.tree, limits=bench.patience
    )
    if finished.exit_code in MISSING:
        raise Doubt("a command that the tests need is not installed", Category.DEPENDENCY)
    check_ended(finished, frozenset(range(256)))
    try:
        reading = summary.read(finished.output)
    except UnreadableReportError as error:
        raise Doubt(
            f"{error}; let the test command print a summary that can be counted (TAP, `N passed`, JUnit-like)"
        ) from None
    if finished.exit_code == 0 and reading.counts["failed"]:
        raise Doubt("its exit code and its output do not agree")
    if finished.exit_code:
        reading.counts["failed"] = max(reading.counts["failed"], 1)
    return reading


def _decide(bench: Bench, record: Record, reading: Reading) -> GateEvidence:
    bad = reading.counts["failed"] + reading.counts.get("errors", 0)
    if reading.examined == 0:
        return evidence(bench, record, Verdict.ERROR, f"{record.tool}: no test was run", reading)
    covered = next((one for one in reading.measurements if one.name == "coverage"), None)
    said = f"{reading.examined} tests" + (f", coverage {covered.value} %" if covered else "")
    if bad:
        first = f"; first: {reading.findings[0].message}" if reading.findings else ""
        return evidence(bench, record, Verdict.FAIL, f"{bad} of {said} failed{first}", reading)
    if covered and covered.threshold is not None and covered.value < covered.threshold:
        short = f"coverage {covered.value} % is below the project's own {covered.threshold} %"
        return evidence(
            bench, record, Verdict.FAIL, f"{reading.examined} tests passed, but {short}", reading
        )
    skipped = reading.counts.get("skipped", 0)
    return evidence(
        bench,
        record,
        Verdict.PASS,
        f"{said} passed" + (f", {skipped} skipped" if skipped else ""),
        reading,
    )
