"""The Pythons of this machine, and the one that a project at a commit was written for."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

Version = tuple[int, int]

RELEASED: Mapping[Version, date] = {
    (3, 8): date(2019, 10, 14), (3, 9): date(2020, 10, 5), (3, 10): date(2021, 10, 4),
    (3, 11): date(2022, 10, 24), (3, 12): date(2023, 10, 2), (3, 13): date(2024, 10, 7),
    (3, 14): date(2025, 10, 7),
}  # fmt: skip
"""When each Python came out. Older ones run neither our runner nor what it needs."""
RIPE = timedelta(days=270)
"""How long it takes until packages for a new Python are there, and projects use it."""
_ASK = "import sys; print(*sys.version_info[:2])"
_CLAUSE = re.compile(r"^(>=|<=|==|!=|~=|>|<|\^)\s*(\d+)(?:\.(\d+|\*))?(?:\.[\d*]+)*$")


@dataclass(frozen=True, slots=True)
class Interpreter:
    path: Path
    version: Version


def found(own: Path) -> list[Interpreter]:
    """One of each version: on the path, beside our own installation, and in pyenv's place."""
    seen: dict[Version, Interpreter] = {}
    for path in _places(own):
        name = re.fullmatch(r"python3\.(\d+)", path.name)
        version = (3, int(name[1])) if name else (0, 0)
        if version in RELEASED and version not in seen and _answers(path, version):
            seen[version] = Interpreter(path, version)
    return [seen[version] for version in sorted(seen)]


def _places(own: Path) -> Iterator[Path]:
    real = own.resolve()
    directories = [real.parent, *map(Path, os.environ.get("PATH", "").split(os.pathsep))]
    roots = [
        real.parent.parent.parent,
        Path(os.environ.get("PYENV_ROOT") or "~/.pyenv") / "versions",
    ]
    for root in roots:
        try:
            directories += sorted(path / "bin" for path in root.expanduser().glob("3.*"))
        except OSError:
            continue
    for directory in directories:
        if directory.is_absolute() and directory.name != "shims":
            yield from _pythons(directory)


def _pythons(directory: Path) -> list[Path]:
    """What a directory has; one that we may not look into has nothing for us."""
    try:
        return sorted(directory.glob("python3.*")) if directory.is_dir() else []
    except OSError:
        return []


def _answers(path: Path, version: Version) -> bool:
    try:
        done = subprocess.run(
            [path, "-I", "-c", _ASK], capture_output=True, text=True, check=False, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.stdout.split() == [str(part) for part in version]


def suiting(
    own: Version, there: Iterable[Version], requires: str, committed: datetime | None
) -> Version:
    """Which version to take: our own, unless the project excludes it or is older than it.

    ``committed`` is None for a commit that is not old; ``requires`` is what metadata calls
    requires-python.
    """
    fit = sorted({version for version in {*there, own} if allows(requires, version)})
    if not fit:
        return own
    if committed is None:
        return own if own in fit else min(fit, key=lambda one: abs(one[1] - own[1]))
    day = committed.astimezone(UTC).date()
    ripe = [version for version in fit if RELEASED[version] + RIPE <= day]
    best = max(ripe, default=fit[0])
    return own if own in fit and best > own else best


def others(
    own: Version, there: Iterable[Version], requires: str, before: str | None
) -> list[Version]:
    """The newest and the oldest but our own that the project runs with and that were out by then."""
    fit = sorted(
        version
        for version in there
        if version != own
        and allows(requires, version)
        and (before is None or RELEASED[version].isoformat() <= before)
    )
    return [fit[-1], *fit[:-1][:1]] if fit else []


def allows(requires: str, version: Version) -> bool:
    """Whether a specifier such as ``>=3.8,<4`` lets the version in; what is no specifier lets all in."""
    return all(_holds(clause.strip(), version) for clause in requires.split(",") if clause.strip())


def _holds(clause: str, version: Version) -> bool:
    match = _CLAUSE.match(clause)
    if match is None:
        return True
    sign, major = match[1], int(match[2])
    minor = None if match[3] in {None, "*"} else int(match[3])
    wanted = (major, minor or 0)
    if sign in {"~=", "^"} or (sign == "==" and minor is None):
        return version >= wanted and version[0] == major
    return {
        ">=": version >= wanted, ">": version >= wanted if minor is None else version > wanted,
        "<": version < wanted, "<=": version <= wanted, "==": version == wanted,
        "!=": version != wanted,
    }[sign]  # fmt: skip
