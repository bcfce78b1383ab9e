"""Gate ``security``: bandit on the Python files that are not tests; severity medium and above counts."""

from __future__ import annotations

from shipway.gates.bench import Bench
from shipway.gates.look import Doubt, Look, Record, check_ended, keep, read_report
from shipway.gates.parsers import bandit
from shipway.gates.runners.ruff import configuration
from shipway.gates.tools import version

GATE = "security"
TOOL = "bandit"
ENDS = frozenset({0, 1})


def look(bench: Bench, record: Record) -> Look:
    """Run bandit on the tree; raises Doubt or UnreadableReportError when there is nothing to believe."""
    place = bench.place(GATE)
    tool = str(bench.tools.bin("bandit"))
    record.version = version(bench, [tool], place)
    report = place / "report.json"
    # Named one by one: its patterns for what to leave out also match directories above the tree.
    options = ["--", *(f"./{name}" for name in bench.project.sources)]
    if bench.project.has_bandit:
        options = ["-c", str(bench.tree / "pyproject.toml"), *options]
        record.inputs.update(configuration(bench, ("pyproject.toml",)))
    record.command = [tool, "-q", "-f", "json", "-o", str(report), *options]
    record.reproduce = f"bandit=={record.version}: bandit -r . -x ./tests"
    finished = record.finished = bench.run(record.command, writable=place)
    check_ended(finished, ENDS)
    data = read_report(report, finished)
    keep(record, report=data)
    reading = bandit.read(data, str(bench.tree))
    if (finished.exit_code == 1) != bool(reading.findings):
        raise Doubt("its exit code and its report do not agree")
    return Look(reading)
