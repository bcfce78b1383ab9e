"""Gate ``security``: bandit on the Python files that are not tests; severity medium and above counts."""

from __future__ import annotations

import shlex

from shipway.gates.bench import Bench
from shipway.gates.look import Doubt, Look, Record, check_ended, keep, read_report
from shipway.gates.parsers import bandit
from shipway.gates.project import SKIPPED
from shipway.gates.runners.ruff import configuration
from shipway.gates.tools import version

GATE = "security"
TOOL = "bandit"
ENDS = frozenset({0, 1})
# Tests assert, start processes and hold made-up passwords by their nature.
TESTS = ("*/tests/*", "*/test/*", "*/test_*.py", "*/*_test.py", "*/conftest.py")


def look(bench: Bench, record: Record) -> Look:
    """Run bandit on the tree; raises Doubt or UnreadableReportError when there is nothing to believe."""
    place = bench.place(GATE)
    tool = str(bench.tools.bin("bandit"))
    record.version = version(bench, [tool], place)
    report = place / "report.json"
    excluded = ",".join((*TESTS, *(f"*/{name}/*" for name in sorted(SKIPPED))))
    options = ["-r", str(bench.tree), "-x", excluded]
    if bench.project.has_bandit:
        options += ["-c", str(bench.tree / "pyproject.toml")]
        record.inputs.update(configuration(bench, ("pyproject.toml",)))
    record.command = [tool, "-q", "-f", "json", "-o", str(report), *options]
    record.reproduce = (
        f"bandit=={record.version}: {shlex.join(['bandit', '-r', '.', '-x', excluded])}"
    )
    finished = record.finished = bench.run(record.command, writable=place)
    check_ended(finished, ENDS)
    data = read_report(report, finished)
    keep(record, report=data)
    reading = bandit.read(data, str(bench.tree))
    if (finished.exit_code == 1) != bool(reading.findings):
        raise Doubt("its exit code and its report do not agree")
    return Look(reading)
