"""Gate ``lint`` for projects that configure flake8: their own one with its plug-ins, else ours."""

from __future__ import annotations

from shipway.gates.bench import Bench
from shipway.gates.look import Doubt, Look, Record, check_ended, keep, read_report
from shipway.gates.parsers import flake8
from shipway.gates.runners.ruff import configuration
from shipway.gates.tools import version

GATE = "lint"
TOOL = "flake8"
ENDS = frozenset({0, 1})
CONFIGURATION = (".flake8", "setup.cfg", "tox.ini")


def look(bench: Bench, record: Record) -> Look:
    """Run flake8 on the tree; raises Doubt or UnreadableReportError when there is nothing to believe."""
    place = bench.place(GATE)
    record.inputs.update(configuration(bench, CONFIGURATION))
    places = [one for one in (bench.candidate, bench.checker) if one is not None]
    home = next((one for one in places if one.bin(TOOL).is_file()), None)
    if home is None:
        raise Doubt("neither the project nor Shipway has flake8 here")
    record.inputs["checker"] = home.digest
    # The program itself: with -m a file of that name in the tree would be run in its place.
    tool = [str(home.bin(TOOL))]
    record.version = version(bench, tool, place)
    report = place / "report"
    record.command = [
        *tool, "--format=default", f"--output-file={report}", "--benchmark", "--jobs=1", ".",
    ]  # fmt: skip
    record.reproduce = f"flake8=={record.version}: flake8"
    finished = record.finished = bench.run(record.command, writable=place, readable=(home.path,))
    check_ended(finished, ENDS)
    data = read_report(report, finished)
    keep(record, report=data)
    return Look(flake8.read(data, str(bench.tree)))
