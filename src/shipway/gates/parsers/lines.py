"""Which lines of which files ran: Cobertura XML, and the JSON report of coverage.py."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from shipway.contracts.evidence import Measurement
from shipway.gates.parsers import coverage
from shipway.gates.parsers.markup import walk
from shipway.gates.parsers.reading import (
    UnreadableReportError,
    count,
    inside,
    load_json,
    mapping,
    sequence,
)


@dataclass(slots=True)
class Ran:
    """The lines of one file that ran, and those that did not."""

    run: set[int] = field(default_factory=set)
    missed: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Covered:
    """A whole report: its own total in percent, and its files by their path in the tree."""

    measurements: list[Measurement]
    files: dict[str, Ran]

    @property
    def lines(self) -> int:
        return sum(len(one.run) + len(one.missed) for one in self.files.values())


def read_json(data: bytes, root: str) -> Covered:
    """The JSON report of coverage.py, file by file."""
    files = mapping(mapping(load_json(data), "the report").get("files"), "its files")
    found = {}
    for name, said in files.items():
        facts = mapping(said, "a file of the coverage report")
        found[inside(name, root)] = Ran(
            {count(one, "a line") for one in sequence(facts.get("executed_lines"), "lines")},
            {count(one, "a line") for one in sequence(facts.get("missing_lines"), "lines")},
        )
    return Covered(coverage.read(data), found)


def read_cobertura(data: bytes, root: str) -> Covered:
    """Cobertura XML, as gcovr, istanbul, coverage.py and others write it."""
    reader = _Cobertura(root)
    walk(data, reader.start, reader.end, reader.characters, doctype=True)
    if not reader.seen:
        raise UnreadableReportError("the report is no Cobertura report")
    run = sum(len(one.run) for one in reader.files.values())
    whole = run + sum(len(one.missed) for one in reader.files.values())
    share = round(100.0 * run / whole, 2) if whole else 0.0
    if reader.rate is not None and whole and abs(share - reader.rate) > 25.0:
        raise UnreadableReportError("the report's own rate is not what its lines say")
    return Covered([Measurement(name="coverage", value=share, unit="%")], reader.files)


class _Cobertura:
    """Collects the lines of each class; a file may hold several."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.files: dict[str, Ran] = {}
        self.sources: list[str] = []
        self.seen = False
        self.rate: float | None = None
        self._now: Ran | None = None
        self._text: str | None = None

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if not self.seen:
            if name != "coverage":
                raise UnreadableReportError("the report is no Cobertura report")
            self.seen = True
            self.rate = _rate(attributes.get("line-rate"))
        elif name == "source":
            self._text = ""
        elif name == "class":
            file = attributes.get("filename")
            if not file:
                raise UnreadableReportError("a class of the report has no file")
            self._now = self.files.setdefault(self._path(file), Ran())
        elif name == "line" and self._now is not None:
            number, hits = _whole(attributes.get("number")), _whole(attributes.get("hits"))
            ran, other = self._now.run, self._now.missed
            if hits:
                ran.add(number)
                other.discard(number)
            elif number not in ran:
                other.add(number)

    def end(self, name: str) -> None:
        if name == "class":
            self._now = None
        elif name == "source" and self._text is not None:
            self.sources.append(self._text.strip())
            self._text = None

    def characters(self, data: str) -> None:
        if self._text is not None:
            self._text += data

    def _path(self, file: str) -> str:
        """Relative to the tree, where a source says what it is relative to."""
        for source in self.sources:
            if source.startswith("/"):
                return inside(f"{source.rstrip('/')}/{file}" if file[0] != "/" else file, self.root)
        return inside(file, self.root)


def _whole(value: str | None) -> int:
    if value is None or not re.fullmatch(r"\d{1,12}", value, re.ASCII):
        raise UnreadableReportError("a line of the report has no number or no hits")
    return int(value)


def _rate(value: str | None) -> float | None:
    if value is None:
        return None
    try:
        rate = float(value)
    except ValueError:
        raise UnreadableReportError("the report's rate is not a number") from None
    if not 0.0 <= rate <= 1.0:
        raise UnreadableReportError("the report's rate is not a share")
    return 100.0 * rate
