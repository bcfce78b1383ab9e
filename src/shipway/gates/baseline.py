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


def _line(tree: Path, finding: Finding) -> str:
    """The source line without its indentation and spacing; '' where there is none."""
    if finding.path is None or finding.line is None:
        return ""
    path = tree / finding.path
    if not path.resolve().is_relative_to(tree.resolve()) or not path.is_file():
        return ""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    at = finding.line - 1
    return SPACE.sub("", lines[at]) if at < len(lines) else ""


def _identity(
    tree: Path, look: Look, finding: Finding, renamed: Mapping[str, str]
) -> tuple[str, str, str]:
    """What stays the same when lines above move: rule, file, and the text of the line or its mark.

    A message without its numbers stands in where a finding has no line; a file that was renamed
    is known by its new name.
    """
    mark = look.marks.get((finding.rule, finding.path, finding.line))
    what = mark or _line(tree, finding) or NUMBER.sub("#", finding.message)
    path = finding.path or ""
    return finding.rule, renamed.get(path, path), what


def split(
    tree: Path, now: Look, base: Path, before: Look, renamed: Mapping[str, str] = _SAME
) -> tuple[list[Finding], int]:
    """The new findings, and how many of the others the base has too.

    Each finding of the base excuses one of the tree: a second copy of an old fault is new.
    ``renamed`` maps paths of the base to those of the tree.
    """
    known = Counter(_identity(base, before, one, renamed) for one in before.reading.findings)
    fresh = []
    for finding in now.reading.findings:
        identity = _identity(tree, now, finding, _SAME)
        if known[identity] > 0:
            known[identity] -= 1
        else:
            fresh.append(finding)
    return fresh, len(now.reading.findings) - len(fresh)
