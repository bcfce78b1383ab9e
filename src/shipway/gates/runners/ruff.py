"""Gate ``lint``: ruff by the project's own rules, or by its default ones."""

from __future__ import annotations

from shipway.gates.bench import Bench, digest
from shipway.gates.look import Doubt, Look, Record, check_ended, keep
from shipway.gates.parsers import ruff
from shipway.gates.tools import version

GATE = "lint"
TOOL = "ruff"
ENDS = frozenset({0, 1})
CONFIGURATION = ("pyproject.toml", "ruff.toml", ".ruff.toml")


def look(bench: Bench, record: Record) -> Look:
    """Run ruff on the tree; raises Doubt or UnreadableReportError when there is nothing to believe."""
    place = bench.place(GATE)
    tool = str(bench.tools.bin("ruff"))
    record.version = version(bench, [tool], place)
    record.inputs.update(configuration(bench, CONFIGURATION))
    # A project may have it mend what it finds: here nothing can be written, nor should be.
    check = [
        tool,
        "check",
        "--no-cache",
        "--no-fix",
        *(["--isolated"] if bench.project.ruff_isolated else []),
    ]
    shown = bench.run([*check, "--show-files", "."], writable=place)
    check_ended(shown, frozenset({0}))
    record.command = [*check, "--output-format", "json", "."]
    record.reproduce = f"ruff=={record.version}: ruff check ."
    finished = record.finished = bench.run(record.command, writable=place)
    check_ended(finished, ENDS)
    keep(record, report=finished.stdout)
    reading = ruff.read(finished.stdout, shown.stdout, str(bench.tree))
    if (finished.exit_code == 1) != bool(reading.findings):
        raise Doubt("its exit code and its report do not agree")
    return Look(reading)


def configuration(bench: Bench, names: tuple[str, ...]) -> dict[str, str]:
    """The digests of the project's files that steer a tool."""
    found = {}
    for name in names:
        path = bench.tree / name
        if path.is_file() and not path.is_symlink():
            found[f"configuration:{name}"] = digest(path.read_bytes())
    return found
