"""Finds bug fixes in a repository's history: the cases of a corpus, out of what people mended before."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from shipway.errors import CommandError, RepositoryError
from shipway.gates.shape import is_test
from shipway.workspace.gitcommand import git
from shipway.workspace.repository import git_directory

MOST_FILES, MOST_LINES = 12, 150
_FIX = re.compile(
    r"(?i)\b(fix(es|ed)?|bug(fix)?|regression|crash(es|ed)?|wrong(ly)?|incorrect(ly)?)\b"
)
_ISSUE = re.compile(r"(?i)\b(fix(es|ed)?|clos(es|ed?)|resolv(es|ed?))\s*:?\s*(issue\s*)?#\d+")
_OTHER = re.compile(
    r"(?i)\b(typos?|doc(s|strings?|umentation)?|lint(ing)?|mypy|typing|ci|bump|release|revert|tests?"
    r"|cover(age)?|deprecat\w*|refactor\w*|pre-?commit|style|format(ting)?|version|changelog|flaky"
    r"|merge branch|backport|pin|drop)\b"
)
_ASIDE = frozenset({"doc", "docs", "examples", "benchmarks", "scripts"})


@dataclass(frozen=True, slots=True)
class Fix:
    """A commit, or a whole merge, that says it mends something, with tests beside a small change."""

    base: str
    gold: str
    day: str
    subject: str


def fixes(repository: Path, since: str, most: int) -> list[Fix]:
    """At most so many of them, spread over the time since a day; raises RepositoryError."""
    place = git_directory(repository)
    found = list(_read(place, since, "--first-parent"))
    if len(found) < most:  # where branches are merged under other names, their commits say it
        known = {one.gold for one in found}
        found += [one for one in _read(place, since, "--no-merges") if one.gold not in known]
    return found[:: max(1, len(found) // most)][:most]


def manifest(repository: Path, found: list[Fix]) -> str:
    """A corpus of these cases."""
    lines = ["version: 1", "cases:"]
    name = re.sub(r"[^\w.-]+", "-", repository.resolve().name.removesuffix(".git"))
    for one in found:
        lines += [
            f"  # {one.day} {one.subject}",
            f"  - id: {name}-{one.gold[:10]}",
            f'    repository: "{repository.resolve()}"',
            f"    base: {one.base}",
            f"    gold: {one.gold}",
            "    claim: fix",
        ]
    return "\n".join(lines) + "\n"


def _read(place: Path, since: str, which: str) -> Iterator[Fix]:
    try:
        told = git(
            "log", which, f"--since={since}", "--format=%x00%H%x01%P%x01%cs%x01%B", git_dir=place
        ).stdout.decode("utf-8", "replace")
    except CommandError as error:
        raise RepositoryError("its history cannot be read", hint=error.message) from None
    for entry in told.split("\0")[1:]:
        gold, parents, day, body = entry.split("\x01", 3)
        lines = [line.strip() for line in body.splitlines() if line.strip()]
        if not parents or not lines:
            continue
        subject = " ".join(lines[:2] if lines[0].startswith("Merge pull") else lines[:1])
        says = _FIX.search(subject) or _ISSUE.search(" ".join(lines))
        base = parents.split()[0]
        if says and not _OTHER.search(subject) and _suits(place, base, gold):
            printable = "".join(one if one.isprintable() else " " for one in subject)
            yield Fix(base, gold, day, printable[:100])


def _suits(place: Path, base: str, gold: str) -> bool:
    """Whether it changes source and adds to tests, and is small enough to be one fix."""
    told = git("diff", "--numstat", "--no-renames", "-z", base, gold, git_dir=place).stdout
    files = [os.fsdecode(one).split("\t", 2) for one in told.split(b"\0") if one]
    python = [
        (PurePosixPath(name), int(added) + int(removed), int(added))
        for added, removed, name in files
        if name.endswith(".py") and added != "-"
    ]
    source = [
        lines for path, lines, _ in python if not is_test(path) and path.parts[0] not in _ASIDE
    ]
    tested = any(added for path, _, added in python if is_test(path))
    return tested and bool(source) and len(files) <= MOST_FILES and sum(source) <= MOST_LINES
