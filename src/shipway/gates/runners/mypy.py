"""Gate ``types``: mypy as the project configures it, against the candidate's own environment."""

from __future__ import annotations

import shlex
import shutil
import uuid
from pathlib import Path

from shipway.gates.bench import Bench, text_digest
from shipway.gates.look import (
    Doubt,
    Look,
    Record,
    candidate_environment,
    check_ended,
    keep,
)
from shipway.gates.parsers import mypy
from shipway.gates.runners.ruff import configuration
from shipway.gates.tools import version
from shipway.workspace.environments import Environment

GATE = "types"
TOOL = "mypy"
ENDS = frozenset({0, 1})
KEPT = 8
ALONE = (
    "--config-file=", "--no-site-packages", "--ignore-missing-imports", "--follow-imports=silent",
    "--allow-redefinition", "--explicit-package-bases",
)  # fmt: skip
"""How files are looked at by themselves: what is not among them is taken on trust."""
WORDS = ("--hide-error-context", "--no-color-output", "--show-error-codes", "--no-pretty")
JSON = (1, 11)
"""The first mypy that writes its findings as JSON."""
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
    cache = place / "cache"
    kept = _kept(bench, candidate)
    if kept is not None and kept.is_dir():
        shutil.copytree(kept, cache)
    python = str(candidate.python)
    common = [tool, "--python-executable", python, "--cache-dir", str(cache)]
    if bench.project.types_of:
        common = [tool, "--cache-dir", str(cache), *ALONE]
        targets = list(bench.project.types_of)
    words = [*common, *WORDS, *targets]
    by_words = _numbers(record.version) < JSON
    record.command = words if by_words else [*common, "--output", "json", *targets]
    told = finished = record.finished = bench.run(
        record.command, writable=place, readable=(candidate.path,)
    )
    check_ended(finished, ENDS)
    if not by_words:
        # Only what it says in words tells how many files it saw; from its cache that takes no time.
        told = bench.run(words, writable=place, readable=(candidate.path,))
        check_ended(told, ENDS)
    keep(record, report=finished.stdout, words=told.stdout)
    reading = mypy.read(None if by_words else finished.stdout, told.stdout, str(bench.tree))
    if (finished.exit_code == 1) != (reading.counts["errors"] > 0):
        raise Doubt("its exit code and its report do not agree")
    if kept is not None and not kept.is_dir():
        _keep_cache(cache, kept)
    return Look(reading)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2])


def _kept(bench: Bench, candidate: Environment) -> Path | None:
    """Where what mypy learned of these very libraries is kept; it checks each entry by itself.

    With plug-ins mypy runs code of the candidate: then nothing is kept or taken.
    """
    if bench.cache is None or bench.project.mypy_plugins:
        return None
    return bench.cache / f"mypy-{text_digest(candidate.digest, bench.tools.digest)[:24]}"


def _keep_cache(cache: Path, kept: Path) -> None:
    """Published whole or not at all; the oldest go. A cache that cannot be kept costs time only."""
    fresh = kept.with_name(f"{kept.name}.{uuid.uuid4().hex}")
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(cache, fresh)
        fresh.rename(kept)
    except OSError:
        shutil.rmtree(fresh, ignore_errors=True)
    known = sorted(kept.parent.glob("mypy-*"), key=lambda one: one.lstat().st_mtime)
    for old in known[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
