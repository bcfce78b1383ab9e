"""A patch as files and lines to show: bounded, and honest about what it leaves out."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

MOST_FILES = 200
MOST_LINES_OF_FILE = 400
MOST_LINES = 3000
LONGEST_LINE = 400
_HUNK = re.compile(r"^@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@")
_SAME_NAME = re.compile(r"^a/(.*) b/\1$")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_ESCAPE = re.compile(rb"\\([0-7]{3}|[^0-9])")
_NAMED = {b"a": b"\a", b"b": b"\b", b"t": b"\t", b"n": b"\n", b"v": b"\v", b"f": b"\f", b"r": b"\r"}
LineKind = Literal["hunk", "add", "del", "same", "note"]


@dataclass(frozen=True, slots=True)
class Line:
    """``number`` is the line in the new file, or in the old one for a removed line."""

    kind: LineKind
    text: str
    number: int | None = None


@dataclass(slots=True)
class FileChange:
    """One file; ``hidden`` counts the lines that are only in the patch file."""

    path: str
    what: str = "changed"
    insertions: int = 0
    deletions: int = 0
    lines: list[Line] = field(default_factory=list)
    hidden: int = 0


@dataclass(frozen=True, slots=True)
class Changes:
    """All files; ``hidden`` names those beyond the bound."""

    files: list[FileChange]
    hidden: list[FileChange]
    insertions: int
    deletions: int


def read(patch: bytes) -> Changes:
    """Reads what ``git diff`` wrote."""
    files = list(_files(patch.decode("utf-8", "replace").split("\n")))
    left = MOST_LINES
    for change in files:
        keep = max(0, min(len(change.lines), MOST_LINES_OF_FILE, left))
        left -= keep
        change.hidden = len(change.lines) - keep
        del change.lines[keep:]
    return Changes(
        files=files[:MOST_FILES],
        hidden=files[MOST_FILES:],
        insertions=sum(change.insertions for change in files),
        deletions=sum(change.deletions for change in files),
    )


def _files(lines: list[str]) -> Iterator[FileChange]:
    starts = [number for number, line in enumerate(lines) if line.startswith("diff --git ")]
    for start, end in itertools.pairwise([*starts, len(lines)]):
        yield _file(lines[start:end])


def _file(lines: list[str]) -> FileChange:
    change = FileChange(_path_of_header(lines[0].removeprefix("diff --git ")))
    body = next((n for n, line in enumerate(lines) if line.startswith("@@ ")), len(lines))
    for line in lines[1:body]:
        _header(change, line)
    _body(change, lines[body:])
    return change


def _header(change: FileChange, line: str) -> None:
    if line.startswith("new file"):
        change.what = "added"
    elif line.startswith("deleted file"):
        change.what = "deleted"
    elif line.startswith("rename to "):
        change.what = f"renamed from {change.path.split(' → ')[0]}"
        change.path = _unquoted(line.removeprefix("rename to "))
    elif line.startswith(("+++ b/", '+++ "b/')):
        change.path = _unquoted(line.removeprefix("+++ ").split("\t")[0]).removeprefix("b/")
    elif line.startswith(("Binary files", "GIT binary patch")):
        change.lines.append(Line("note", "a binary file, not shown"))
    elif line.startswith(("old mode", "new mode")):
        change.lines.append(Line("note", line))


def _body(change: FileChange, lines: list[str]) -> None:
    old = new = 0
    for line in lines:
        hunk = _HUNK.match(line)
        if hunk:
            old, new = int(hunk[1]), int(hunk[2])
            change.lines.append(Line("hunk", _cut(line)))
        elif line.startswith("+"):
            change.insertions += 1
            change.lines.append(Line("add", _cut(line[1:]), new))
            new += 1
        elif line.startswith("-"):
            change.deletions += 1
            change.lines.append(Line("del", _cut(line[1:]), old))
            old += 1
        elif line.startswith("\\"):
            change.lines.append(Line("note", line[2:]))
        elif line.startswith(" "):
            change.lines.append(Line("same", _cut(line[1:]), new))
            old, new = old + 1, new + 1


def _cut(line: str) -> str:
    if len(line) <= LONGEST_LINE:
        return line
    return f"{line[:LONGEST_LINE]} … ({len(line) - LONGEST_LINE} more characters)"


def _path_of_header(names: str) -> str:
    """``a/x b/x``; the two halves differ only for renames, which name themselves later."""
    quoted = _QUOTED.match(names)
    if quoted:
        return _unquoted(quoted[0]).removeprefix("a/")
    same = _SAME_NAME.match(names)
    return same[1] if same else names.split(" b/", maxsplit=1)[0].removeprefix("a/")


def _unquoted(name: str) -> str:
    """Git quotes unusual names like a C string, byte by byte."""
    if not _QUOTED.fullmatch(name):
        return name
    raw = _ESCAPE.sub(_byte, name[1:-1].encode())
    return raw.decode("utf-8", "replace")


def _byte(match: re.Match[bytes]) -> bytes:
    code = match[1]
    return _NAMED.get(code) or bytes([int(code, 8) & 0xFF] if code.isdigit() else code)
