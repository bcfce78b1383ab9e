"""Flake8's lines, and the number of files that it says it looked at."""

from __future__ import annotations

import re

from shipway.contracts.evidence import Finding
from shipway.gates.parsers.reading import Reading, UnreadableReportError, decode, inside, short

_LINE = re.compile(r"(?P<path>.+?):(?P<line>\d+):\d+: (?P<rule>[A-Z]{1,3}\d{0,3}) (?P<said>.*)")
_FILES = re.compile(r"(\d{1,9})\s+total files processed")
_TIMES = re.compile(r"[\d.]+\s+[a-z ]+(processed|elapsed|per second)")


def read(data: bytes, root: str) -> Reading:
    """The findings of ``--format=default``, and what ``--benchmark`` writes after them."""
    found, files = [], None
    for line in decode(data).splitlines():
        match = _LINE.fullmatch(line)
        if match is not None:
            found.append(_finding(match, root))
        elif (counted := _FILES.fullmatch(line)) is not None:
            files = int(counted[1])
        elif _TIMES.fullmatch(line) is None:
            raise UnreadableReportError("a line of flake8's report is no finding")
    if files is None:
        raise UnreadableReportError("flake8 does not say how many files it looked at")
    return Reading(files, found, {"files": files, "findings": len(found)})


def _finding(match: re.Match[str], root: str) -> Finding:
    return Finding(
        rule=match["rule"],
        message=short(match["said"]),
        path=inside(match["path"], root),
        line=int(match["line"]) or None,
    )
