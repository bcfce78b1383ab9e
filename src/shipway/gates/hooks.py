"""Gate ``hooks``: the base's pre-commit hooks that can be run here, on the files that changed."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from shipway.contracts.evidence import Finding, GateEvidence
from shipway.domain.gates import Verdict
from shipway.errors import ShipwayError
from shipway.gates import toolchains
from shipway.gates.baseline import split
from shipway.gates.bench import TESTS, Bench
from shipway.gates.cases import read as read_file
from shipway.gates.comparison import Comparison
from shipway.gates.gate import Rule
from shipway.gates.look import Doubt, Look, Record, check_ended, evidence
from shipway.gates.parsers.reading import Reading, inside, short
from shipway.gates.precommit import CONFIGURATION, Hook, read
from shipway.workspace.environments import Environment

NAME = "hooks"
LIMITS = replace(TESTS, seconds=300.0)
LINES = 50
_MISSING = frozenset({126, 127})
#: Hooks whose tool has a gate of its own, which knows its reports.
_GATES = {
    "ruff": "lint", "ruff-check": "lint", "flake8": "lint", "mypy": "types", "bandit": "security",
    "detect-secrets": "secrets", "pylint": "pylint", "pyright": "types", "basedpyright": "types",
}  # fmt: skip
#: Well-known hooks: the program that each is, and the words that it is started with.
_PROGRAMS = {
    "ruff-format": ("ruff", "format"), "black": ("black",), "isort": ("isort",),
    "codespell": ("codespell",), "pydocstyle": ("pydocstyle",), "yamllint": ("yamllint",),
    "autoflake": ("autoflake", "-i"), "docformatter": ("docformatter", "--in-place"),
    "vulture": ("vulture",), "interrogate": ("interrogate",), "mdformat": ("mdformat",),
    "add-trailing-comma": ("add-trailing-comma",), "blacken-docs": ("blacken-docs",),
}  # fmt: skip
_PYTHON = frozenset({"ruff-format", "black", "isort", "autoflake", "docformatter", "pydocstyle"})


@dataclass(frozen=True, slots=True)
class _Ready:
    """A hook with the command that it is, and the environments that the command lies in."""

    hook: Hook
    command: tuple[str, ...]
    homes: tuple[Environment, ...]


class _CannotRun(Exception):  # noqa: N818 - a reason, told beside the hook's name
    """Why a hook is not run here."""


def _select(comparison: Comparison) -> tuple[bool, str]:
    place = comparison.base.bench.tree / CONFIGURATION
    if place.is_symlink() or not place.is_file():
        return False, f"the base has no {CONFIGURATION}"
    if not _changed(comparison):
        return False, "no file changed that a hook would look at"
    return True, f"the base has a {CONFIGURATION}"


def _changed(comparison: Comparison) -> dict[str, str | None]:
    """Changed files with their names on the base."""
    tree = comparison.head.bench.tree
    return {
        one.path: one.before
        for one in comparison.changes
        if not one.is_gone and (tree / one.path).is_file() and not (tree / one.path).is_symlink()
    }


def _judge(comparison: Comparison) -> GateEvidence:
    record = Record(NAME, "pre-commit hooks")
    hooks = read(read_file(comparison.base.bench.tree, CONFIGURATION))
    names = _changed(comparison)
    bench = comparison.ready(
        comparison.fresh(comparison.prepared(comparison.head), comparison.head.commit)
    )
    ran = 0
    found: list[Finding] = []
    unrun: list[Finding] = []
    elsewhere: list[str] = []
    for hook in hooks:
        if hook.where != "local" and hook.id in _GATES:
            elsewhere.append(f"{hook.id} (gate {_GATES[hook.id]})")
            continue
        mine = Record(NAME, record.tool)
        try:
            ready = _ready(comparison, bench, hook)
            files = ready.hook.picks(bench.tree, list(names))
            if not files and not hook.always:
                continue
            seen = _look(bench, ready, files, mine, comparison.base.bench.tree)
        except _CannotRun as reason:
            unrun.append(Finding(rule=hook.id, message=f"not run: {reason}", severity="note"))
            continue
        ran += 1
        told = _new(comparison, ready, seen, bench, {name: names[name] for name in files})
        if not any(one.severity == "error" for one in found):
            record = mine  # the first that objects, else the last
        found += told
    return _decided(bench, record, ran, found, unrun, elsewhere)


def _decided(
    bench: Bench, record: Record, ran: int, found: list[Finding], unrun: list[Finding],
    elsewhere: Sequence[str],
) -> GateEvidence:  # fmt: skip
    bad = [one for one in found if one.severity == "error"]
    counts = {"run": ran, "not run": len(unrun), "elsewhere": len(elsewhere)}
    reading = Reading(ran, [*found, *unrun], counts)
    said = [f"{ran} hooks run"]
    if bad:
        said = [f"{bad[0].rule}: {bad[0].message}"]
    if unrun:
        said.append(f"{len(unrun)} not run: {', '.join(one.rule for one in unrun)}")
    if elsewhere:
        said.append(f"others have a gate: {', '.join(elsewhere)}")
    verdict = Verdict.FAIL if bad else Verdict.PASS if ran else Verdict.NOT_RUN
    return evidence(bench, record, verdict, "; ".join(said), reading)


# -- what a hook is ---------------------------------------------------------------------------


def _ready(comparison: Comparison, bench: Bench, hook: Hook) -> _Ready:
    """Raises _CannotRun with the reason."""
    if hook.unknown is not None:
        raise _CannotRun(f"which files are `{hook.unknown}` is not known here")
    own = bench.candidate
    if hook.where != "local":
        return _well_known(bench, hook, own)
    if hook.language not in {"system", "unsupported", "script", "unsupported_script", "python"}:
        raise _CannotRun(f"hooks in the language `{hook.language}` are not run here")
    if not hook.entry:
        raise _CannotRun("it has no entry")
    if hook.language == "python" and hook.needs:
        own = _built(comparison, bench, hook)
    words = list(hook.entry)
    if hook.language.endswith("script"):
        words[0] = f"./{words[0]}"
    program = own.bin(words[0]) if own is not None and "/" not in words[0] else None
    if program is not None and program.is_file():
        words[0] = str(program)
    return _Ready(hook, (*words, *hook.args), () if own is None else (own,))


def _well_known(bench: Bench, hook: Hook, own: Environment | None) -> _Ready:
    """By the project's own copy of the tool, else by the one of the gates."""
    said = _PROGRAMS.get(hook.id)
    if said is None:
        raise _CannotRun("hooks of other repositories are not fetched")
    for home in (own, bench.tools):
        if home is not None and home.bin(said[0]).is_file():
            if hook.id in _PYTHON and not hook.kinds | hook.any_of:
                hook = replace(hook, any_of=frozenset({"python", "pyi"}))
            return _Ready(hook, (str(home.bin(said[0])), *said[1:], *hook.args), (home,))
    raise _CannotRun(f"{said[0]} is not among what the tests need")


def _built(comparison: Comparison, bench: Bench, hook: Hook) -> Environment:
    """An environment of what the hook needs beside the standard library."""
    path = bench.work / f"{NAME}-{hook.id.replace('/', '-')}.txt"
    path.write_text("".join(f"{one}\n" for one in hook.needs), encoding="utf-8")
    try:
        return comparison.environments.build(
            [path], before=comparison.day, say=comparison.say, cancel=comparison.cancel
        )
    except ShipwayError as error:
        raise _CannotRun(f"what it needs cannot be had: {error.message}") from error


# -- one run ----------------------------------------------------------------------------------


def _look(
    bench: Bench, ready: _Ready, files: Sequence[str], record: Record, base: Path
) -> Look:  # fmt: skip
    """What it objects to: its lines where it ends badly, and the files that it mends."""
    known, hook = toolchains.found(), ready.hook
    record.command = [*ready.command, *(files if hook.names_files else ())]
    record.reproduce = f"pre-commit run {shlex.quote(hook.id)} --files {shlex.join(files)}"
    before = _bytes(bench.tree, files)
    _as_on_base(bench.tree, base, hook)
    path = [*(str(one.path / "bin") for one in ready.homes), *known.programs]
    bench.say(f"hooks: {hook.id}")
    finished = record.finished = bench.run(
        record.command, writable=bench.place(f"{NAME}-{len(list(bench.work.iterdir()))}"),
        cwd=bench.tree, limits=LIMITS,
        readable=(*known.readable, *(one.path for one in ready.homes)),
        env={**known.env, "PATH": ":".join([*path, "/usr/local/bin", "/usr/bin", "/bin"])},
    )  # fmt: skip
    if finished.exit_code in _MISSING:
        raise _CannotRun(f"{ready.command[0]} is not installed where it can be seen")
    check_ended(finished, frozenset(range(256)))
    found = []
    if finished.exit_code:
        found = _lines(hook, finished.tail(LINES), files, str(bench.tree))
    for name, data in before.items():
        if _bytes(bench.tree, [name]).get(name) != data:
            said = "it would mend this file"
            found.append(Finding(rule=hook.id, message=said, path=name))
            (bench.tree / name).write_bytes(data)
    return Look(Reading(len(files), found))


def _as_on_base(tree: Path, base: Path, hook: Hook) -> None:
    """What a hook is made of is the base's to say, where it lies in the repository."""
    for word in hook.entry:
        before, now = base / word, tree / word
        if before.is_file() and not before.is_symlink() and now.resolve().is_relative_to(tree):
            now.parent.mkdir(parents=True, exist_ok=True)
            now.write_bytes(before.read_bytes())
            now.chmod(before.stat().st_mode & 0o755)


def _bytes(tree: Path, names: Sequence[str]) -> dict[str, bytes]:
    places = {name: tree / name for name in names}
    return {
        name: place.read_bytes()
        for name, place in places.items()
        if place.is_file() and place.resolve().is_relative_to(tree.resolve())
    }


def _lines(hook: Hook, text: str, files: Sequence[str], root: str) -> list[Finding]:
    """Its last lines, each with the file and line that it begins with, if it does."""
    found = []
    for line in filter(None, map(str.strip, text.splitlines())):
        place, _, rest = line.partition(":")
        path = inside(place, root)
        number, _, said = rest.partition(":")
        named = path in files
        found.append(
            Finding(
                rule=hook.id,
                message=short(line),
                path=path if named else None,
                line=int(number) if named and number.isdigit() and said else None,
            )
        )
    return found or [Finding(rule=hook.id, message="it failed, and says nothing")]


def _new(
    comparison: Comparison, ready: _Ready, seen: Look, head: Bench, names: Mapping[str, str | None]
) -> list[Finding]:  # fmt: skip
    """What it says of the head and not of the base, as errors; the rest as warnings."""
    if not seen.reading.findings:
        return []
    files = [before for before in names.values() if before]
    base = comparison.ready(
        comparison.fresh(
            replace(head, project=comparison.base.bench.project), comparison.base.commit
        )
    )
    known = Look(Reading(0, []))
    if files or not ready.hook.names_files:
        # A base that it cannot be run on excuses nothing.
        with contextlib.suppress(_CannotRun, Doubt):
            known = _look(base, ready, files, Record(NAME, NAME), comparison.base.bench.tree)
    fresh, _ = split(head.tree, seen, base.tree, known, comparison.renamed())
    return [
        one if one in fresh else one.model_copy(update={"severity": "warning"})
        for one in seen.reading.findings
    ]


RULE = Rule(_select, _judge)
