"""Gate ``pylint``: the project's own pylint, by its own configuration, on the files that changed."""

from __future__ import annotations

import shlex

from shipway.gates.bench import Bench
from shipway.gates.look import Doubt, Look, Record, candidate_environment, check_ended, keep
from shipway.gates.parsers import pylint
from shipway.gates.runners.ruff import configuration
from shipway.gates.tools import version

GATE = "pylint"
TOOL = "pylint"
CONFIGURATION = ("pylintrc", ".pylintrc", "pyproject.toml", "setup.cfg", "tox.ini")
# One bit for each kind of message; beyond them it says that it was called wrongly.
MESSAGES = 32


def look(bench: Bench, record: Record) -> Look:
    """Run it on ``style_of``; raises Doubt or UnreadableReportError when there is nothing to believe."""
    home = candidate_environment(bench)
    place = bench.place(GATE)
    record.inputs.update(configuration(bench, CONFIGURATION))
    record.inputs["environment"] = home.digest
    tool = home.bin(TOOL)
    record.version = version(bench, [str(tool)], place)
    files = list(bench.project.style_of)
    record.command = [
        str(tool), "--output-format=json", "--persistent=n", "--jobs=1", "--score=n", "--", *files,
    ]  # fmt: skip
    record.reproduce = shlex.join(["pylint", *files])
    finished = record.finished = bench.run(
        record.command, writable=place, readable=(home.path,), env={"PYLINTHOME": str(place)}
    )
    check_ended(finished, frozenset(range(MESSAGES)))
    keep(record, report=finished.stdout)
    failed = finished.exit_code != 0
    reading = pylint.read(finished.stdout, str(bench.tree), len(files), failed=failed)
    if failed and not reading.findings:
        raise Doubt("its exit code and its report do not agree")
    return Look(reading)
