"""Gate ``tests``: the suite in a runner of ours with branch coverage, or the project's own command."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from shipway.contracts.evidence import GateEvidence
from shipway.domain.gates import Verdict
from shipway.errors import Category
from shipway.gates import toolchains
from shipway.gates.bench import Bench
from shipway.gates.installed import PROGRAMS
from shipway.gates.look import Doubt, Record, check_ended, evidence
from shipway.gates.parsers import summary
from shipway.gates.parsers.reading import Reading, UnreadableReportError
from shipway.gates.runners.mypy import CONFIGURATION
from shipway.gates.runners.ruff import configuration
from shipway.gates.suite import Suite, describe, run_suite
from shipway.gates.tally import decide, tally
from shipway.gates.testing import is_own

GATE = "tests"
MISSING = frozenset({126, 127})


def judge(bench: Bench) -> GateEvidence:
    """Run the tests; ``bench.tree`` is a checkout that they may write to."""
    record = Record(GATE, "pytest")
    try:
        if bench.project.stack == "python" and not is_own(bench.project.test):
            suite = run_suite(bench, coverage=True)
            return decide(bench, record, read(bench, record, suite))
        record.tool = "test command"
        return decide(bench, record, command(bench, record))
    except Doubt as doubt:
        return evidence(
            bench, record, Verdict.ERROR, f"{record.tool}: {doubt.reason}", category=doubt.category
        )
    except UnreadableReportError as error:
        return evidence(bench, record, Verdict.ERROR, f"{record.tool}: {error}")


def read(bench: Bench, record: Record, suite: Suite) -> Reading:
    """What a run says, with all that the record should tell of it."""
    describe(record, suite)
    record.inputs.update(
        configuration(bench, (*CONFIGURATION, "pytest.ini", "tox.ini", ".coveragerc"))
    )
    if bench.candidate is not None:
        record.inputs["environment"] = bench.candidate.digest
    record.outputs["outcomes"] = suite.digest
    return tally(suite)


def _paths(bench: Bench, known: toolchains.Toolchains) -> dict[str, str]:
    """A command of a Python project finds the candidate's programs first, and its sources."""
    env = {**toolchains.caches(bench.tree), **known.env}
    if bench.candidate is None:
        return env
    sources = [bench.tree / "src", bench.tree] if bench.project.layout == "src" else [bench.tree]
    programs = (one for path in sources for one in path.glob(f"*.dist-info/{PROGRAMS}"))
    first = [*programs, bench.candidate.path / "bin", *known.programs, os.defpath]
    return env | {
        "PATH": os.pathsep.join(map(str, first)),
        "PYTHONPATH": os.pathsep.join(map(str, sources)),
    }


def _missing(tool: str, *, itself: bool) -> str:
    if itself:
        return f"{tool} is not installed where tests can see it: {toolchains.where(tool)}"
    return (
        f"a command that {tool} needs is not installed where tests can see it (homes are hidden "
        "from them); its log says which"
    )


def command(bench: Bench, record: Record) -> Reading:
    """A test command of another stack: its exit code counts only beside a number of tests."""
    if not bench.project.test:
        raise Doubt("no test command is known; add a `test` target to the project's Makefile")
    bench.say("running the tests")
    place = bench.place(GATE)
    record.command = list(bench.project.test)
    record.reproduce = shlex.join(record.command)
    record.tool = Path(record.command[0]).name
    known = toolchains.found()
    own = () if bench.candidate is None else (bench.candidate.path,)
    finished = record.finished = bench.run(
        record.command, writable=place, cwd=bench.tree, limits=bench.patience,
        readable=(*known.readable, *own), env=_paths(bench, known),
    )  # fmt: skip
    if finished.exit_code in MISSING:
        raise Doubt(_missing(record.tool, itself=finished.missing), Category.DEPENDENCY)
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
