"""Requirement files as text that stands alone: included files put in place, local paths refused."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from shipway.errors import RepositoryError, UnimplementedError

_INCLUDE = re.compile(r"^(?:-r|--requirement)(?:\s+|=)?(?P<name>.+)$")
_CONSTRAINT = re.compile(r"^(?:-c|--constraint)(?:\s+|=)?(?P<name>.+)$")
_LOCAL = re.compile(r"^(?:-e\b|--editable\b|\.{0,2}/|\.$|file:|\S+\s*@\s*(?:file:|\.{0,2}/))")
_COMMENT = re.compile(r"(^|\s+)#.*$")


@dataclass(frozen=True, slots=True)
class Requirements:
    """One requirement file with all that it includes; ``constraints`` is a file's text, or empty."""

    text: str
    constraints: str

    @property
    def hashed(self) -> bool:
        return "--hash=" in self.text


def read(path: Path) -> Requirements:
    """Raises RepositoryError for a file that cannot be read or lies outside the tree of the first,
    UnimplementedError for a requirement on a local path, which no digest of ours would cover."""
    root = next((one for one in path.resolve().parents if (one / ".git").exists()), None)
    lines: list[str] = []
    constraints: list[str] = []
    for line, is_constraint in _lines(path, root or path.resolve().parent, ()):
        (constraints if is_constraint else lines).append(line)
    return Requirements("".join(lines), "".join(constraints))


def _lines(path: Path, root: Path, above: tuple[Path, ...]) -> Iterator[tuple[str, bool]]:
    real = path.resolve()
    if real in above:
        raise RepositoryError(f"requirement files include each other: {path.name}")
    if not real.is_relative_to(root):
        raise RepositoryError(
            f"a requirement file lies outside the repository: {path.name}",
            hint="include only files of the repository",
        )
    for line in _logical(real, path.name):
        include, constraint = _INCLUDE.match(line), _CONSTRAINT.match(line)
        if _LOCAL.match(line):
            raise UnimplementedError(
                f"a requirement of {path.name} is a local path",
                hint="name packages only; the project itself is found by its source directory",
            )
        if include:
            yield from _lines(real.parent / include["name"], root, (*above, real))
        elif constraint:
            for inner, _ in _lines(real.parent / constraint["name"], root, (*above, real)):
                yield inner, True
        else:
            yield f"{line}\n", False


def _logical(path: Path, name: str) -> Iterator[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise RepositoryError(
            f"the requirement file {name} cannot be read", hint="it must exist and be UTF-8 text"
        ) from None
    for line in text.replace("\\\r\n", " ").replace("\\\n", " ").splitlines():
        if stripped := _COMMENT.sub("", line).strip():
            yield stripped
