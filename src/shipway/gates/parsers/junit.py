"""JUnit XML as test runners write it: cases with what became of each."""

from __future__ import annotations

import re
from dataclasses import dataclass

from shipway.gates.parsers.markup import walk
from shipway.gates.parsers.reading import UnreadableReportError

OUTCOMES = frozenset({"failure", "error", "skipped"})


@dataclass(slots=True)
class Outcome:
    """What a case says besides having passed: failure, error or skipped."""

    kind: str
    message: str
    text: str


@dataclass(slots=True)
class Case:
    """One test; no outcome is a pass."""

    name: str
    classname: str
    file: str | None
    line: int | None
    seconds: float
    outcomes: list[Outcome]

    @property
    def state(self) -> str:
        kinds = {one.kind for one in self.outcomes}
        return next((one for one in ("error", "failure", "skipped") if one in kinds), "passed")


@dataclass(frozen=True, slots=True)
class Suite:
    """All cases, checked against the totals that the report states about itself."""

    cases: list[Case]

    def count(self, state: str) -> int:
        return sum(1 for case in self.cases if case.state == state)


class _Reader:
    """Collects cases on the way through the report."""

    def __init__(self) -> None:
        self.cases: list[Case] = []
        self.claimed: dict[str, int] = {}
        self.stack: list[str] = []
        self.open: Outcome | None = None

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.stack.append(name)
        if len(self.stack) == 1 and name not in {"testsuites", "testsuite"}:
            raise UnreadableReportError("the report is no JUnit report")
        if name == "testsuite":
            for key in ("tests", "failures", "errors", "skipped"):
                self.claimed[key] = self.claimed.get(key, 0) + _number(attributes.get(key, "0"))
        elif name == "testcase":
            self.cases.append(_case(attributes))
        elif name in OUTCOMES and self.cases and "testcase" in self.stack:
            self.open = Outcome(name, attributes.get("message", ""), "")
            self.cases[-1].outcomes.append(self.open)

    def end(self, name: str) -> None:
        self.stack.pop()
        if name in OUTCOMES:
            self.open = None

    def characters(self, data: str) -> None:
        if self.open is not None:
            self.open.text += data


def _number(value: str) -> int:
    if not re.fullmatch(r"\d{1,9}", value, re.ASCII):
        raise UnreadableReportError("a total of the report is not a count")
    return int(value)


def _case(attributes: dict[str, str]) -> Case:
    if "name" not in attributes:
        raise UnreadableReportError("a test case has no name")
    line = attributes.get("line")
    try:
        seconds = float(attributes.get("time", "0") or "0")
    except ValueError:
        raise UnreadableReportError("the time of a test case is not a number") from None
    return Case(
        attributes["name"],
        attributes.get("classname", ""),
        attributes.get("file"),
        None if line is None else _number(line),
        seconds,
        [],
    )


def read(data: bytes) -> Suite:
    """The suite; raises UnreadableReportError for what is truncated, hostile or contradicts itself."""
    reader = _Reader()
    walk(data, reader.start, reader.end, reader.characters)
    suite = Suite(reader.cases)
    for claim, kind in (("failures", "failure"), ("errors", "error")):
        seen = sum(1 for case in suite.cases if any(one.kind == kind for one in case.outcomes))
        # Subtests may make several failures of one case, never some of none.
        if (seen == 0) != (reader.claimed.get(claim, 0) == 0):
            raise UnreadableReportError(f"the report's total of {claim} is not what it lists")
    return suite
