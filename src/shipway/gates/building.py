"""Gate ``build``: every changed Python file compiles, and the packages of the tree can be imported."""

from __future__ import annotations

import secrets
from dataclasses import replace
from pathlib import Path

from shipway.contracts.evidence import Finding, GateEvidence
from shipway.domain.gates import Verdict
from shipway.gates.bench import Bench
from shipway.gates.carry import script
from shipway.gates.comparison import Comparison
from shipway.gates.gate import Rule
from shipway.gates.look import Record, check_ended, evidence, keep, read_report
from shipway.gates.parsers.reading import Reading, load_json, mapping, sequence, short, text
from shipway.gates.shape import is_test
from shipway.workspace.fence import Limits

NAME = "build"
SCRIPT = "importing.py"
QUICK = Limits(seconds=180.0, memory_mb=2048, processes=128)
_NOT_PACKAGES = frozenset(
    {
        "tests",
        "test",
        "docs",
        "doc",
        "examples",
        "example",
        "scripts",
        "benchmarks",
        "build",
        "dist",
    }
)


def _select(comparison: Comparison) -> tuple[bool, str]:
    if comparison.head.bench.project.stack != "python":
        return False, "no Python project"
    if not _changed(comparison) and not packages(comparison.head.bench):
        return False, "no Python file changed, and there is no package to import"
    return True, "what changed compiles, and the packages are imported"


def _changed(comparison: Comparison) -> list[str]:
    return [
        one.path
        for one in comparison.changes
        if not one.is_gone and one.kind != "type" and one.path.endswith(".py")
    ]


def packages(bench: Bench) -> list[str]:
    """The top-level packages and modules that users of the project import."""
    root = bench.tree / "src" if bench.project.layout == "src" else bench.tree
    found = []
    for entry in sorted(root.iterdir()):
        if entry.is_symlink() or entry.name in _NOT_PACKAGES or not entry.name.isidentifier():
            continue
        if (entry / "__init__.py").is_file() and not is_test(Path(entry.name)):
            found.append(entry.name)
    return found


def _judge(comparison: Comparison) -> GateEvidence:
    record = Record(NAME, "python")
    head = comparison.candidate(comparison.head)
    examined, seen = _look(
        comparison.fresh(head, comparison.head.commit), record, _changed(comparison)
    )
    known: list[Finding] = []
    if seen:
        paths = [
            one.before for one in comparison.changes if one.before and one.path.endswith(".py")
        ]
        # In the head's environment too: what it installs is not what is compared.
        base = comparison.fresh(
            replace(comparison.base.bench, candidate=head.candidate), comparison.base.commit
        )
        before = _look(base, Record(NAME, "python"), paths)[1]
        had = {(one.rule, one.path) for one in before}
        known = [one for one in seen if (one.rule, one.path) in had]
    fresh = [one for one in seen if one not in known]
    reading = Reading(examined, fresh, {"examined": examined, "known": len(known)})
    if fresh:
        return evidence(head, record, Verdict.FAIL, fresh[0].message, reading)
    old = f", {len(known)} broken on the base already" if known else ""
    return evidence(head, record, Verdict.PASS, f"{examined} files and packages{old}", reading)


def _look(bench: Bench, record: Record, files: list[str]) -> tuple[int, list[Finding]]:
    """Compile and import in the fence; a word made up for this run shows that an import ended."""
    place = bench.place(NAME)
    (place / SCRIPT).write_bytes(script(SCRIPT))
    wanted = packages(bench)
    assert bench.candidate is not None  # noqa: S101 - candidate() has seen to it
    record.command = [
        str(bench.candidate.python), "-I", str(place / SCRIPT), str(place / "seen.json"),
        secrets.token_hex(8), str(bench.tree), bench.project.layout, ",".join(wanted), *files,
    ]  # fmt: skip
    names = " ".join(f"-c 'import {name}'" for name in wanted[:1])
    record.reproduce = f"python {names}" if names else "python -m compileall -q ."
    finished = record.finished = bench.run(
        record.command, writable=place, limits=QUICK, readable=(bench.candidate.path,)
    )
    check_ended(finished, frozenset({0}))
    data = read_report(place / "seen.json", finished)
    keep(record, report=data)
    told = mapping(load_json(data), "what was seen")
    record.version = text(told.get("python"), "the version")
    found = []
    for one in sequence(told.get("bad"), "what is broken"):
        entry = mapping(one, "an entry")
        name = text(entry.get("name"), "a name")
        is_file = entry.get("kind") == "compile"
        line = entry.get("line")
        found.append(
            Finding(
                rule="syntax" if is_file else "import",
                message=short(
                    f"{name} {'does not compile' if is_file else 'cannot be imported'}: "
                    f"{text(entry.get('why'), 'a reason')}"
                ),
                path=name if is_file else name.replace(".", "/"),
                line=line if isinstance(line, int) and line > 0 else None,
                reproduce=f"python -m py_compile {name}"
                if is_file
                else f"python -c 'import {name}'",
            )
        )
    return len(files) + len(wanted), found


RULE = Rule(_select, _judge)
