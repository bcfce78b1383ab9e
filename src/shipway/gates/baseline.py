"""Only what a change brings counts: findings that stood on the base already are told apart."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from shipway.contracts.evidence import Finding
from shipway.gates.look import Look

NUMBER = re.compile(r"\d+")
SPACE = re.compile(r"\s+")


def _line(tree: Path, finding: Finding) -> str:
    """The source line without its indentation and spacing; '' where there is none."""
    if finding.path is None or finding.line is None:
        return ""
    path = tree / finding.path
    if path.is_symlink() or not path.is_file():
        return ""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    at = finding.line - 1
    return SPACE.sub("", lines[at]) if at < len(lines) else ""


def _identity(tree: Path, look: Look, finding: Finding) -> tuple[str, str, str]:
    """What stays the same when lines above move: rule, file, and the text of the line or its mark.

    A message without its numbers stands in where a finding has no line.
    """
    mark = look.marks.get((finding.rule, finding.path, finding.line))
    what = mark or _line(tree, finding) or NUMBER.sub("#", finding.message)
    return finding.rule, finding.path or "", what


def split(tree: Path, now: Look, base: Path, before: Look) -> tuple[list[Finding], int]:
    """The new findings, and how many of the others the base has too.

    Each finding of the base excuses one of the tree: a second copy of an old fault is new.
    """
    known = Counter(_identity(base, before, one) for one in before.reading.findings)
    fresh = []
    for finding in now.reading.findings:
        identity = _identity(tree, now, finding)
        if known[identity] > 0:
            known[identity] -= 1
        else:
            fresh.append(finding)
    return fresh, len(now.reading.findings) - len(fresh)
