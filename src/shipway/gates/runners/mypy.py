"""Gate ``types``: mypy as the project configures it, against the candidate's own environment."""

from __future__ import annotations

import shlex

from shipway.gates.bench import Bench
from shipway.gates.look import (
    Doubt,
    Look,
    Record,
    candidate_environment,
    check_ended,
    keep,
    read_report,
)
from shipway.gates.parsers import mypy
from shipway.gates.runners.ruff import configuration
from shipway.gates.tools import version

GATE = "types"
TOOL = "mypy"
ENDS = frozenset({0, 1})
CONFIGURATION = ("mypy.ini", ".mypy.ini", "pyproject.toml", "setup.cfg")


def _targets(bench: Bench) -> list[str]:
    """The plan's own arguments, else what the configuration names, else the sources."""
    command = list(bench.project.types or ())
    if "mypy" in command:
        # Paths only: options of the project stand in its configuration or are its own business.
        return [word for word in command[command.index("mypy") + 1 :] if not word.startswith("-")]
    if bench.project.mypy_targets:
        return []
    return ["src"] if bench.project.layout == "src" else ["."]


def _tool(bench: Bench) -> str:
    """Plug-ins of mypy live in the candidate's environment, and need the mypy that is there."""
    if bench.project.mypy_plugins and bench.candidate is not None:
        own = bench.candidate.bin("mypy")
        if own.is_file():
            return str(own)
    return str(bench.tools.bin("mypy"))


def look(bench: Bench, record: Record) -> Look:
    """Run mypy on the tree; raises Doubt or UnreadableReportError when there is nothing to believe."""
    candidate = candidate_environment(bench)
    place = bench.place(GATE)
    tool = _tool(bench)
    record.version = version(bench, [tool], place)
    record.inputs.update(configuration(bench, CONFIGURATION))
    record.inputs["environment"] = candidate.digest
    targets = _targets(bench)
    record.reproduce = shlex.join([f"mypy=={record.version}:", "mypy", *targets])
    record.command = [
        tool,
        "--python-executable", str(candidate.python),
        "--output", "json",
        "--cache-dir", str(place / "cache"),
        "--linecount-report", str(place / "lines"),
        *targets,
    ]  # fmt: skip
    finished = record.finished = bench.run(
        record.command, writable=place, readable=(candidate.path,)
    )
    check_ended(finished, ENDS)
    counted = read_report(place / "lines" / "linecount.txt", finished)
    keep(record, report=finished.stdout, lines=counted)
    reading = mypy.read(_findings(finished.stdout), counted, str(bench.tree))
    if (finished.exit_code == 1) != (reading.counts["errors"] > 0):
        raise Doubt("its exit code and its report do not agree")
    return Look(reading)


def _findings(output: bytes) -> bytes:
    """Mypy says on the same stream where it put the line counts; that line is not a finding."""
    kept = [line for line in output.splitlines() if not line.startswith(b"Generated ")]
    return b"\n".join(kept)
