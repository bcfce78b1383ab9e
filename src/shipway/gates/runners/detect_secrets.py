"""Gate ``secrets``: detect-secrets on every file, with a planted secret that it has to find."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from shipway.contracts.evidence import Finding
from shipway.gates.bench import Bench
from shipway.gates.look import Doubt, Look, Record, check_ended, keep
from shipway.gates.parsers.reading import Reading
from shipway.gates.parsers.secrets import read
from shipway.gates.tools import version

GATE = "secrets"
TOOL = "detect-secrets"
CONTROL = "control.py"


def _files(tree: Path) -> int:
    """How many plain files the scanner is given."""
    total = 0
    for folder, folders, names in os.walk(tree):
        folders[:] = [name for name in folders if name != ".git"]
        total += sum(1 for name in names if not (Path(folder) / name).is_symlink())
    return total


def _plant(place: Path) -> Path:
    """A file with a secret made up for this run: silence about it means that nothing was scanned."""
    path = place / CONTROL
    path.write_text(f'api_key = "{secrets.token_hex(20)}"\n', encoding="utf-8")
    return path


def look(bench: Bench, record: Record) -> Look:
    """Scan the tree; raises Doubt or UnreadableReportError when there is nothing to believe."""
    place = bench.place(GATE)
    tool = str(bench.tools.bin("detect-secrets"))
    record.version = version(bench, [tool], place)
    control = _plant(place)
    # The scanner leaves out, without a word, what is not below the directory that it starts in.
    start = bench.tree.parent
    record.command = [
        tool, "-C", str(start), "scan", "--all-files", "--no-verify",
        "--exclude-files", r"(^|/)\.git/",
        str(bench.tree), str(control),
    ]  # fmt: skip
    record.reproduce = (
        f"detect-secrets=={record.version}: detect-secrets scan --all-files --no-verify ."
    )
    finished = record.finished = bench.run(record.command, writable=place)
    check_ended(finished, frozenset({0}))
    keep(record, report=finished.stdout)
    found, marks = read(finished.stdout, str(start), str(bench.tree))
    here = [one for one in found if not _is(one, control)]
    if len(here) == len(found):
        raise Doubt("it did not find the secret that was planted for it")
    examined = _files(bench.tree)
    return Look(Reading(examined, here, {"files": examined, "findings": len(here)}), marks)


def _is(finding: Finding, control: Path) -> bool:
    return finding.path is not None and Path(finding.path) == control
