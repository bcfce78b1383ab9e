"""How many tests a foreign runner says it ran, read from the end of its output."""

from __future__ import annotations

import re
from collections.abc import Callable

from shipway.gates.parsers.reading import Reading, UnreadableReportError

ESCAPE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
TAIL = 256 * 1024
LONGEST = 400


def _sum(pattern: str, text: str) -> int | None:
    """The sum of the first group over all matches, None if there is none."""
    found = re.findall(pattern, text, re.MULTILINE)
    return sum(int(one) for one in found) if found else None


def _each(pattern: str, text: str) -> int | None:
    return len(re.findall(pattern, text, re.MULTILINE)) or None


def _either(passed: str, failed: str) -> Callable[[str], tuple[int, int] | None]:
    def read(text: str) -> tuple[int, int] | None:
        good, bad = _sum(passed, text), _sum(failed, text)
        return None if good is None and bad is None else ((good or 0) + (bad or 0), bad or 0)

    return read


def _unittest(text: str) -> tuple[int, int] | None:
    ran = _sum(r"^Ran (\d+) tests? in ", text)
    bad = (_sum(r"\bfailures=(\d+)", text) or 0) + (_sum(r"\berrors=(\d+)", text) or 0)
    return None if ran is None else (ran, bad)


def _maven(text: str) -> tuple[int, int] | None:
    # Each class prints such a line, and the last one is the total.
    lines = re.findall(r"Tests run: (\d+), Failures: (\d+), Errors: (\d+)", text)
    return (int(lines[-1][0]), int(lines[-1][1]) + int(lines[-1][2])) if lines else None


def _tap(text: str) -> tuple[int, int] | None:
    if not re.search(r"^1\.\.\d+\s*$|^TAP version ", text, re.MULTILINE):
        return None
    # What is skipped or still to be done is neither.
    good = _each(r"^ok\b(?!.*#\s*(?i:skip|todo))", text) or 0
    bad = _each(r"^not ok\b(?!.*#\s*(?i:todo))", text) or 0
    return (good + bad, bad) if good + bad else None


def _go(text: str) -> tuple[int, int] | None:
    good, bad = _each(r"^\s*--- PASS: ", text), _each(r"^\s*--- FAIL: ", text)
    if good is None and bad is None:
        # Without -v go names packages only: each "ok" package ran at least one test.
        good, bad = _each(r"^ok\s+\S+\s+[\d.(]", text), _each(r"^FAIL\s+\S+", text)
    return None if good is None and bad is None else ((good or 0) + (bad or 0), bad or 0)


def _ctest(text: str) -> tuple[int, int] | None:
    found = re.search(r"tests passed, (\d+) tests? failed out of (\d+)", text)
    return (int(found[2]), int(found[1])) if found else None


READERS: tuple[Callable[[str], tuple[int, int] | None], ...] = (
    _either(r"^test result: .*? (\d+) passed", r"^test result: .* (\d+) failed"),  # cargo
    _either(r"^Tests:.* (\d+) passed", r"^Tests:.* (\d+) failed"),  # jest, vitest
    _either(r"^\s*(\d+) passing\b", r"^\s*(\d+) failing\b"),  # mocha
    _either(r"^=*.*\b(\d+) passed.* in [\d.]+", r"^=*.*\b(\d+) failed.* in [\d.]+"),  # pytest
    _either(r"^(?:#|\u2139) pass (\d+)", r"^(?:#|\u2139) fail (\d+)"),  # node --test
    _unittest,
    _maven,
    _ctest,
    _tap,
    _go,
)


def read(output: bytes) -> Reading:
    """Tests run and failed; raises UnreadableReportError when no known summary is there."""
    text = ESCAPE.sub("", output[-TAIL:].decode("utf-8", "replace"))
    # A summary is a short line; long ones are left out so that no pattern can be made slow.
    text = "\n".join(line for line in text.splitlines() if line.strip() and len(line) <= LONGEST)
    for reader in READERS:
        seen = reader(text)
        if seen is not None:
            return Reading(seen[0], [], {"tests": seen[0], "failed": seen[1]})
    raise UnreadableReportError("the output states no number of tests")
