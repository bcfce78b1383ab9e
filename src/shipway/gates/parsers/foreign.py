"""Reports that tools of any stack write, in the formats they share: one reading for all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

from shipway.contracts.evidence import Finding
from shipway.gates.parsers import junit, lines, sarif
from shipway.gates.parsers.lines import Covered
from shipway.gates.parsers.reading import Reading, inside, short

KINDS = {"failure": "test-failed", "error": "test-error"}


@dataclass(frozen=True, slots=True)
class Report:
    """What a report says. ``failed`` names the test of each finding; ``covered`` is of lines that ran."""

    reading: Reading
    failed: tuple[str, ...] = ()
    covered: Covered | None = None


def _sarif(data: bytes, root: str) -> Report:
    return Report(sarif.read(data, root))


def _junit(data: bytes, root: str) -> Report:
    suite = junit.read(data)
    bad = [case for case in suite.cases if case.state in {"error", "failure"}]
    counts = {
        "passed": suite.count("passed"), "failed": suite.count("failure"),
        "errors": suite.count("error"), "skipped": suite.count("skipped"),
    }  # fmt: skip
    reading = Reading(counts["passed"] + len(bad), [_failed(one, root) for one in bad], counts)
    return Report(reading, tuple(name(one) for one in bad))


def name(case: junit.Case) -> str:
    """The test as its runner names it."""
    return f"{case.classname}.{case.name}" if case.classname else case.name


def _failed(case: junit.Case, root: str) -> Finding:
    outcome = next(one for one in case.outcomes if one.kind in KINDS)
    said = outcome.message or next(iter(outcome.text.strip().splitlines()), "no message")
    return Finding(
        rule=KINDS[outcome.kind],
        message=short(f"{name(case)}: {said}"),
        path=None if case.file is None else inside(case.file, root),
        line=case.line or None,
    )


def _covered(found: Covered) -> Report:
    examined = found.lines
    return Report(
        Reading(examined, [], {"lines": examined}, found.measurements), covered=found
    )  # fmt: skip


def _cobertura(data: bytes, root: str) -> Report:
    return _covered(lines.read_cobertura(data, root))


def _coverage(data: bytes, root: str) -> Report:
    return _covered(lines.read_json(data, root))


READERS: MappingProxyType[str, Callable[[bytes, str], Report]] = MappingProxyType(
    {"sarif": _sarif, "junit": _junit, "cobertura": _cobertura, "coverage": _coverage}
)
"""By the word that a policy calls each format; ``coverage`` is the JSON of coverage.py."""
