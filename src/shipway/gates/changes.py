"""What changed between two commits: files with their renames, and the lines on both sides."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Literal

from shipway.workspace.git import Hub

Kind = Literal["added", "deleted", "modified", "renamed", "type"]
Lines = tuple[tuple[int, int], ...]

_KINDS: dict[str, Kind] = {
    "A": "added", "D": "deleted", "M": "modified", "R": "renamed", "C": "added", "T": "type",
}  # fmt: skip
_HUNK = re.compile(rb"^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Change:
    """One changed file. ``before`` is its path on the base, None when it is new there.

    ``added`` and ``removed`` are inclusive ranges of lines, on the head and on the base.
    """

    path: str
    before: str | None
    kind: Kind
    binary: bool
    added: Lines = ()
    removed: Lines = ()

    @property
    def added_lines(self) -> frozenset[int]:
        return frozenset(line for first, last in self.added for line in range(first, last + 1))

    @property
    def is_gone(self) -> bool:
        return self.kind == "deleted"


def between(hub: Hub, base: str, head: str) -> tuple[Change, ...]:
    """All changed files, in the order of their paths."""
    # Only a header stands at the start of a line: what files hold comes after "+" or "-".
    pieces = iter(re.split(rb"(?m)^diff --git ", hub.patch(base, head))[1:])
    found = []
    for status, before, after in hub.changed(base, head):
        kind = _KINDS.get(status[:1], "modified")
        piece = next(pieces, b"")
        if kind == "type":  # a file that became a link is told as one that went and one that came
            piece += next(pieces, b"")
        added, removed, binary = _lines(piece)
        old = None if kind == "added" else os.fsdecode(before)
        found.append(Change(os.fsdecode(after), old, kind, binary, added, removed))
    return tuple(sorted(found, key=lambda one: one.path))


def _lines(piece: bytes) -> tuple[Lines, Lines, bool]:
    head = piece.split(b"\n@@", 1)[0]
    if b"\nBinary files " in head or b"\nGIT binary patch" in head:
        return (), (), True
    added, removed = [], []
    for match in _HUNK.finditer(piece):
        old, old_count, new, new_count = (
            int(one) if one is not None else 1 for one in match.groups()
        )
        if old_count:
            removed.append((old, old + old_count - 1))
        if new_count:
            added.append((new, new + new_count - 1))
    return tuple(added), tuple(removed), False
