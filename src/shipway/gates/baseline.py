"""Only what a change brings counts: findings that stood on the base already are told apart."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from shipway.contracts.evidence import Finding
from shipway.gates.look import Look

NUMBER = re.compile(r"\d+")
SPACE = re.compile(r"\s+")
_SAME: Mapping[str, str] = MappingProxyType({})


class _Tree:
    """The lines of a tree's files without indentation and spacing; each file is read once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._real = root.resolve()
        self._files: dict[str, list[str]] = {}

    def line(self, finding: Finding) -> str:
        """The source line of a finding; '' where there is none."""
        if finding.path is None or finding.line is None:
            return ""
        if finding.path not in self._files:
            self._files[finding.path] = self._lines(finding.path)
        lines, at = self._files[finding.path], finding.line - 1
        return SPACE.sub("", lines[at]) if at < len(lines) else ""

    def _lines(self, name: str) -> list[str]:
        path = self._root / name
        if not path.resolve().is_relative_to(self._real) or not path.is_file():
            return []
        return path.read_text(encoding="utf-8", errors="replace").splitlines()


def _identity(
    tree: _Tree, look: Look, finding: Finding, renamed: Mapping[str, str]
) -> tuple[str, str, str]:
    """What stays the same when lines above move: rule, file, and the text of the line or its mark.

    A message without its numbers stands in where a finding has no line; a file that was renamed
    is known by its new name.
    """
    mark = look.marks.get((finding.rule, finding.path, finding.line))
    what = mark or tree.line(finding) or NUMBER.sub("#", finding.message)
    path = finding.path or ""
    return finding.rule, renamed.get(path, path), what


def split(
    tree: Path, now: Look, base: Path, before: Look, renamed: Mapping[str, str] = _SAME
) -> tuple[list[Finding], int]:
    """The new findings, and how many of the others the base has too.

    Each finding of the base excuses one of the tree: a second copy of an old fault is new.
    ``renamed`` maps paths of the base to those of the tree.
    """
    here, there = _Tree(tree), _Tree(base)
    known = Counter(_identity(there, before, one, renamed) for one in before.reading.findings)
    fresh = []
    for finding in now.reading.findings:
        identity = _identity(here, now, finding, _SAME)
        if known[identity] > 0:
            known[identity] -= 1
        else:
            fresh.append(finding)
    return fresh, len(now.reading.findings) - len(fresh)
