"""One run of a suite in a runner of our own, with what became of each test by its node id."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from shipway.contracts.evidence import GateEvidence
from shipway.errors import Category
from shipway.gates import scope
from shipway.gates.bench import Bench, digest
from shipway.gates.carry import script
from shipway.gates.cases import read as read_file
from shipway.gates.comparison import Comparison, Side
from shipway.gates.look import Doubt, Record, candidate_environment, read_report
from shipway.gates.parsers.reading import UnreadableReportError, load_json, mapping
from shipway.gates.testing import arguments, brings_runner, site_packages
from shipway.workspace.fence import Finished

SCRIPT = "probe.py"
PASSED, FAILED, ERROR, SKIPPED = "passed", "failed", "error", "skipped"
XFAILED, XPASSED = "xfailed", "xpassed"
USAGE = 4
COVERAGE = (".coveragerc", "pyproject.toml", "setup.cfg", "tox.ini")
FEW = 10
"""A suite of fewer modules has nothing to choose from."""


@dataclass(frozen=True, slots=True)
class Suite:
    """What a run said. ``whole`` is False when it ended before pytest did: nothing of it is a pass.

    ``forced`` are tests whose reported outcome is not what their call did; ``deselected`` were
    collected but not run; ``broken`` are files that could not be collected, with the reason;
    ``hung`` is the test that was running when the run was ended; ``collected`` were to be run and
    ``unrun`` of them were not; ``least`` is the coverage in percent that the project asks for.
    """

    outcomes: Mapping[str, str]
    messages: Mapping[str, str] = field(default_factory=dict)
    forced: frozenset[str] = frozenset()
    deselected: frozenset[str] = frozenset()
    broken: Mapping[str, str] = field(default_factory=dict)
    passed_over: Mapping[str, str] = field(default_factory=dict)
    lines: Mapping[str, int] = field(default_factory=dict)
    collected: frozenset[str] = frozenset()
    unrun: frozenset[str] = frozenset()
    whole: bool = True
    exit_code: int | None = None
    hung: str | None = None
    version: str | None = None
    command: tuple[str, ...] = ()
    seconds: float = 0.0
    why: str = ""
    finished: Finished | None = None
    digest: str = ""
    coverage: bytes | None = None
    least: float | None = None

    def having(self, *states: str) -> frozenset[str]:
        return frozenset(node for node, state in self.outcomes.items() if state in states)

    @property
    def passed(self) -> frozenset[str]:
        """Tests that passed, and whose pass nobody made up."""
        return (self.having(PASSED) - self.forced) if self.whole else frozenset()

    @property
    def made_up(self) -> frozenset[str]:
        """Tests that are said to have passed, which they did not."""
        return self.having(PASSED) & self.forced

    @property
    def ran(self) -> int:
        return len(self.having(PASSED, FAILED, ERROR, XFAILED, XPASSED))


def base_suite(comparison: Comparison) -> Suite:
    """The suite of the base on the base, with coverage where the project asks for a least."""
    return comparison.once(
        "suite:base",
        lambda: _side(comparison, comparison.base, coverage=has_least(comparison)),
    )


def head_suite(comparison: Comparison) -> Suite:
    """The suite of the head on the head, with the coverage of its sources where somebody asks for it."""
    return _head(comparison)[0]


def covers(comparison: Comparison) -> bool:
    """Whether a gate, or the project's own least coverage, needs to know which lines ran."""
    return comparison.covers or has_least(comparison)


def has_least(comparison: Comparison) -> bool:
    """Whether the project asks for a least coverage anywhere."""
    tree = comparison.head.bench.tree
    return any(b"fail_under" in read_file(tree, name) for name in COVERAGE)


def chosen_files(comparison: Comparison) -> tuple[str, ...] | None:
    """The test modules that are run on both sides; None for the whole suite, as it usually is."""
    return _head(comparison)[1]


def _head(comparison: Comparison) -> tuple[Suite, tuple[str, ...] | None]:
    """The head's run and what was run: all, or what the change concerns where all takes too long."""

    def run() -> tuple[Suite, tuple[str, ...] | None]:
        known = scope.modules(comparison, comparison.head.bench.tree)
        files = scope.chosen(comparison)
        counted = covers(comparison)
        suite = _run(comparison, comparison.head, files, coverage=counted)
        late = suite.finished is not None and suite.finished.timed_out
        if suite.whole or files or not late or len(known) < FEW:
            return suite, files
        files = scope.concerned(comparison)
        return (
            (_run(comparison, comparison.head, files, coverage=counted), files)
            if files
            else (suite, None)
        )

    return comparison.once("suite:head", run)


def _side(comparison: Comparison, side: Side, *, coverage: bool = False) -> Suite:
    return _run(comparison, side, chosen_files(comparison), coverage=coverage)


def base_part(comparison: Comparison, is_needed: Callable[[str], bool]) -> Suite:
    """The base's suite, but only modules with a test for which it matters what it was before.

    Which tests there are is asked without running any; without one that matters that is all.
    """
    bench = comparison.candidate(comparison.base)
    there = run_suite(
        comparison.fresh(bench, comparison.base.commit), files=chosen_files(comparison),
        collect=True, say="counting the base's tests",
    )  # fmt: skip
    needed = {node for node in there.collected if is_needed(node)} | there.broken.keys()
    files = {node.split("::", maxsplit=1)[0] for node in needed}
    if not there.whole or not files:
        return there
    if not all((bench.tree / one).is_file() for one in files):
        return base_suite(comparison)
    return _run(comparison, comparison.base, tuple(sorted(files)), coverage=False)


def _run(
    comparison: Comparison, side: Side, files: tuple[str, ...] | None, *, coverage: bool
) -> Suite:
    bench = comparison.fresh(comparison.candidate(side), side.commit)
    return run_suite(bench, files=files, coverage=coverage, say=f"the {side.name}'s tests")


def run_suite(
    bench: Bench,
    *,
    files: Sequence[str] | None = None,
    only: Iterable[str] | None = None,
    seconds: float | None = None,
    coverage: bool = False,
    stop: int = 0,
    collect: bool = False,
    say: str = "tests",
) -> Suite:
    """Run the suite of a checkout that may be written to; raises Doubt when it cannot be started.

    ``files`` and ``only`` (node ids) are None for all; ``stop`` is after how many failures it is
    enough, 0 for never; with ``collect`` tests are found and none is run. A run that is ended before
    its time is told in the Suite; a report that is not ours is an UnreadableReportError.
    """
    candidate = candidate_environment(bench)
    place = bench.place("suite")
    reports = place / "reports"
    reports.mkdir()
    (place / SCRIPT).write_bytes(script(SCRIPT))
    # Whoever runs it is another user, whatever mask ours has.
    place.chmod(0o755)
    (place / SCRIPT).chmod(0o644)
    key = secrets.token_bytes(32)
    report = reports / f"{secrets.token_hex(8)}.jsonl"
    wanted = None if only is None else sorted(only)
    if files is None and wanted is not None:
        files = sorted({node.split("::")[0] for node in wanted})
    asked = _asked(bench, reports, report, files, wanted, coverage=coverage)
    asked |= {"stop": stop, "words": [*asked["words"], *(["--collect-only"] if collect else [])]}
    command = [str(candidate.python), "-I", str(place / SCRIPT)]
    limits = bench.patience if seconds is None else replace(bench.patience, seconds=seconds)
    bench.say(say if collect else f"running {say}")
    finished = bench.run(
        command,
        writable=reports,
        cwd=bench.tree,
        limits=limits,
        readable=(place, *((bench.runner.path,) if bench.runner else ())),
        stdin=json.dumps({"key": key.hex(), **asked}).encode(),
        env={"PYTHONHASHSEED": "0"},
    )
    if finished.cancelled:
        raise Doubt("it was cancelled", Category.CANCELLED)
    if finished.missing:
        raise Doubt("the candidate's Python is not there", Category.DEPENDENCY)
    told = b"" if not report.exists() else read_report(report, finished)
    covered = reports / "coverage.json"
    suite = read(told, key, finished)
    return replace(
        suite,
        command=("python", "-m", "pytest", *asked["words"]),
        coverage=read_report(covered, finished) if coverage and covered.exists() else None,
    )


def _asked(
    bench: Bench,
    reports: Path,
    report: Path,
    files: Sequence[str] | None,
    only: list[str] | None,
    *,
    coverage: bool,
) -> dict[str, Any]:
    tree = bench.tree
    words = arguments(bench.project.test)
    if files is not None:
        words = [one for one in words if one.startswith("-") or not _is_place(tree, one)]
        there = [one for one in files if (tree / one).exists()]
        if files and not there and only is None:
            raise Doubt("none of the test modules that are to be run is there")
        words += there
    paths = [tree / "src", tree] if bench.project.layout == "src" else [tree]
    candidate = candidate_environment(bench)
    overlay = None
    if not brings_runner(candidate):
        if bench.runner is None:
            raise Doubt("neither the candidate nor Shipway has a test runner", Category.DEPENDENCY)
        overlay = str(site_packages(bench.runner))
    return {
        "tree": str(tree),
        "out": str(reports),
        "report": str(report),
        "paths": [str(one) for one in paths],
        "sources": [str(paths[0])],
        "own": list(bench.own),
        "overlay": overlay,
        "words": words,
        "only": only,
        "coverage": coverage,
    }


def _is_place(tree: Path, word: str) -> bool:
    return (tree / word.split("::", maxsplit=1)[0]).exists()


def read(told: bytes, key: bytes, finished: Finished) -> Suite:
    """The Suite of a sealed report; a line without its seal is an UnreadableReportError."""
    lines = told.split(b"\n")
    tail = lines.pop() if lines else b""
    entries = [_unsealed(line, key, number) for number, line in enumerate(lines, 1)]
    end = entries[-1] if entries and entries[-1]["kind"] == "end" else None
    whole = end is not None and not tail and finished.exit_code == end["exit"]
    seen = _Seen()
    for one in entries:
        seen.take(one)
    why = "" if whole else f"the run {finished.why()} before the runner had ended"
    if whole and end is not None and end["exit"] == USAGE:
        raise Doubt(f"pytest does not accept its options:\n{finished.tail(8)}")
    return Suite(
        outcomes=seen.outcomes(),
        messages=seen.messages,
        forced=frozenset(seen.forced()),
        deselected=frozenset(seen.deselected),
        broken=seen.broken,
        passed_over=seen.passed_over,
        lines=seen.lines,
        collected=frozenset(seen.selected),
        unrun=frozenset(seen.selected - seen.states.keys()),
        whole=whole,
        exit_code=finished.exit_code,
        hung=None if whole else seen.running,
        version=None if end is None else str(end["pytest"]),
        seconds=finished.seconds,
        why=why,
        finished=finished,
        digest=digest(json.dumps(sorted(seen.outcomes().items())).encode()),
        least=None if end is None else end["least"],
    )


def _unsealed(line: bytes, key: bytes, number: int) -> dict[str, Any]:
    seal, _, text = line.partition(b" ")
    if not hmac.compare_digest(hmac.new(key, text, hashlib.sha256).hexdigest().encode(), seal):
        raise UnreadableReportError("the report of the tests was written by somebody else")
    entry = mapping(load_json(text), "a line of the report")
    if entry.get("n") != number:
        raise UnreadableReportError("lines of the report of the tests are missing")
    return entry


class _Seen:
    """Collects the lines of a report, which are ours and have the shape that we gave them."""

    def __init__(self) -> None:
        self.states: dict[str, set[str]] = {}
        self.calls: dict[str, tuple[str, str | None]] = {}
        self.messages: dict[str, str] = {}
        self.broken: dict[str, str] = {}
        self.passed_over: dict[str, str] = {}
        self.deselected: set[str] = set()
        self.selected: set[str] = set()
        self.running: str | None = None
        self.lines: dict[str, int] = {}

    def take(self, one: dict[str, Any]) -> None:
        kind, node = one["kind"], one.get("node", "")
        if kind == "collected":
            self.deselected |= set(one["before"]) - set(one["after"])
            self.selected |= set(one["after"])
        elif kind == "start":
            self.running = node
            if one["line"] is not None:
                self.lines[node] = one["line"]
        elif kind == "broken":
            self.broken[node] = one["message"]
        elif kind == "passed-over":
            self.passed_over[node] = one["message"]
        elif kind == "report":
            self._report(node, one)

    def _report(self, node: str, one: dict[str, Any]) -> None:
        states = self.states.setdefault(node, set())
        outcome, when = one["outcome"], one["when"]
        if outcome == "rerun":
            states.clear()
            return
        if one["message"]:
            self.messages.setdefault(node, one["message"])
        if outcome == "failed":
            states.add(FAILED if when == "call" else ERROR)
        elif outcome == "skipped":
            states.add(XFAILED if one["xfail"] else SKIPPED)
        elif when == "call":
            states.add(XPASSED if one["xfail"] else PASSED)
        if when == "call":
            self.calls[node] = (outcome, None if one["xfail"] else one["raw"])

    def outcomes(self) -> dict[str, str]:
        order = (ERROR, FAILED, XFAILED, XPASSED, SKIPPED, PASSED)
        return {
            node: next((state for state in order if state in states), ERROR)
            for node, states in sorted(self.states.items())
        }

    def forced(self) -> set[str]:
        """Reported as a pass or a skip although the call raised or did not happen."""
        expected = {"passed": "passed", "skipped": "skipped"}
        return {
            node
            for node, (outcome, raw) in self.calls.items()
            if self.states[node] & {PASSED, SKIPPED} and raw != expected.get(outcome, raw)
        }


def describe(record: Record, suite: Suite, tool: str = "pytest") -> None:
    """What a gate's record tells of the run that decided."""
    record.tool = tool
    record.version = suite.version
    record.command = list(suite.command)
    record.finished = suite.finished
    record.reproduce = shlex.join(suite.command)


def asking(evidence: GateEvidence, ask: str | None) -> GateEvidence:
    """The evidence with what a person has to decide, if there is something."""
    return evidence if ask is None else evidence.model_copy(update={"ask": ask})
