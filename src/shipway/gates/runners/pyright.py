"""Gate ``types`` for projects that configure pyright: by basedpyright, which brings all it needs."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import replace
from pathlib import Path

from shipway.gates.bench import STATIC, Bench
from shipway.gates.look import Doubt, Look, Record, candidate_environment, check_ended, keep
from shipway.gates.parsers import pyright
from shipway.gates.project import PYRIGHT
from shipway.gates.runners.ruff import configuration
from shipway.gates.tools import version

GATE = "types"
TOOL = "basedpyright"
ENDS = frozenset({0, 1})
CONFIGURATION = (PYRIGHT, "pyproject.toml")
MODE = "typeCheckingMode"
OWN = ".pyrightconfig.own.json"
LIMITS = replace(STATIC, memory_mb=4096)


def look(bench: Bench, record: Record) -> Look:
    """Run it in a tree that may be written to; raises Doubt or UnreadableReportError."""
    candidate = candidate_environment(bench)
    place = bench.place(GATE)
    record.inputs.update(configuration(bench, CONFIGURATION))
    record.inputs["environment"] = candidate.digest
    tool = candidate.bin(TOOL)
    if not tool.is_file():
        if bench.checker is None:
            raise Doubt("neither the project nor Shipway has pyright here")
        tool = bench.checker.bin(TOOL)
        record.inputs["checker"] = bench.checker.digest
        _as_pyright(bench.tree)
    record.version = version(bench, [str(tool)], place)
    record.command = [str(tool), "--pythonpath", str(candidate.python), "--outputjson"]
    record.reproduce = f"basedpyright=={record.version}: basedpyright"
    finished = record.finished = bench.run(
        record.command, writable=place, readable=(candidate.path,), limits=LIMITS
    )
    check_ended(finished, ENDS)
    keep(record, report=finished.stdout)
    reading = pyright.read(finished.stdout, str(bench.tree))
    if reading.counts["errors"] and finished.exit_code == 0:
        raise Doubt("its exit code and its report do not agree")
    return Look(reading)


def _as_pyright(tree: Path) -> None:
    """Where the project does not say how strict it is, pyright's own default holds and not its kin's."""
    own = tree / PYRIGHT
    if own.is_symlink():
        raise Doubt(f"{PYRIGHT} is a link")
    if own.is_file():
        if re.search(rf'"{MODE}"', own.read_text(encoding="utf-8", errors="replace")):
            return
        own.rename(tree / OWN)
        above = OWN
    else:
        above = "pyproject.toml"
        tools = _tools(tree / above)
        if "basedpyright" in tools or MODE in tools.get("pyright", {}):
            return
    own.write_text(json.dumps({"extends": f"./{above}", MODE: "standard"}), encoding="utf-8")


def _tools(path: Path) -> dict[str, dict[str, object]]:
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8")).get("tool", {})
    except (OSError, ValueError):
        return {}  # it will say so itself
    return {name: table for name, table in found.items() if isinstance(table, dict)}
