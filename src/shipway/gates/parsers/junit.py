"""JUnit XML as pytest and schemathesis write it, read without any entity being expanded."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from xml.parsers import expat

from shipway.gates.parsers.reading import LIMIT, UnreadableReportError

DEPTH = 32
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
    """Collects cases while expat walks; a document type, an entity or deep nesting ends the reading."""

    def __init__(self) -> None:
        self.cases: list[Case] = []
        self.claimed: dict[str, int] = {}
        self.stack: list[str] = []
        self.open: Outcome | None = None

    def refuse(self, *_: Any) -> None:
        raise UnreadableReportError("the report declares a document type or an entity")

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.stack.append(name)
        if len(self.stack) > DEPTH:
            raise UnreadableReportError("the report is nested too deeply")
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


def _walk(data: bytes, reader: _Reader) -> None:
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = reader.refuse
    parser.EntityDeclHandler = reader.refuse
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.characters
    parser.buffer_text = True
    try:
        parser.Parse(data, True)
    except UnreadableReportError:
        raise
    except (expat.ExpatError, ValueError, LookupError):
        # An encoding that Python does not know is a LookupError or a ValueError here.
        raise UnreadableReportError("the report is not XML, or was cut off") from None


def read(data: bytes) -> Suite:
    """The suite; raises UnreadableReportError for what is truncated, hostile or contradicts itself."""
    if len(data) > LIMIT:
        raise UnreadableReportError(f"the report is larger than {LIMIT} bytes")
    reader = _Reader()
    _walk(data, reader)
    suite = Suite(reader.cases)
    for claim, kind in (("failures", "failure"), ("errors", "error")):
        seen = sum(1 for case in suite.cases if any(one.kind == kind for one in case.outcomes))
        # Subtests may make several failures of one case, never some of none.
        if (seen == 0) != (reader.claimed.get(claim, 0) == 0):
            raise UnreadableReportError(f"the report's total of {claim} is not what it lists")
    return suite
