"""Reads `.pre-commit-config.yaml`: its hooks, and which changed files each of them is for."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from shipway.gates.parsers.reading import UnreadableReportError

CONFIGURATION = ".pre-commit-config.yaml"
MOST = 256 * 1024
_KINDS = {
    ".py": {"python"}, ".pyi": {"pyi"}, ".ipynb": {"jupyter", "json"}, ".yaml": {"yaml"},
    ".yml": {"yaml"}, ".json": {"json"}, ".toml": {"toml"}, ".md": {"markdown"}, ".rst": {"rst"},
    ".txt": {"plain-text"}, ".sh": {"shell", "sh"}, ".bash": {"shell", "bash"}, ".ini": {"ini"},
    ".cfg": {"ini"}, ".js": {"javascript"}, ".ts": {"ts"}, ".tsx": {"tsx"}, ".jsx": {"jsx"},
    ".css": {"css"}, ".html": {"html"}, ".xml": {"xml"}, ".c": {"c"}, ".h": {"header", "c"},
    ".cpp": {"c++"}, ".rs": {"rust"}, ".go": {"go"}, ".sql": {"sql"}, ".csv": {"csv"},
}  # fmt: skip
_ANY = frozenset({"file", "text", "binary", "executable", "non-executable"})
KNOWN = _ANY.union(*_KINDS.values())


@dataclass(frozen=True, slots=True)
class Hook:
    """One hook as it is configured. ``where`` is ``local`` or the address of its repository."""

    id: str
    where: str
    language: str = ""
    entry: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    kinds: frozenset[str] = frozenset()
    any_of: frozenset[str] = frozenset()
    none_of: frozenset[str] = frozenset()
    names_files: bool = True
    always: bool = False
    needs: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()

    @property
    def unknown(self) -> str | None:
        """What it asks of files that nobody here can tell, if anything."""
        asked = (self.kinds | self.any_of | self.none_of) - KNOWN
        return min(asked) if asked else None

    def picks(self, tree: Path, names: list[str]) -> list[str]:
        """Those of these files that it is for; raises UnreadableReportError for a broken pattern."""
        try:
            want, leave = [[re.compile(one) for one in side] for side in (self.files, self.exclude)]
        except re.error:
            raise UnreadableReportError(f"a pattern of the hook {self.id} is none") from None
        return [
            name for name in names
            if all(one.search(name) for one in want) and not any(one.search(name) for one in leave)
            and self._suits(_tags(tree / name))
        ]  # fmt: skip

    def _suits(self, tags: frozenset[str]) -> bool:
        return (
            self.kinds <= tags
            and (not self.any_of or bool(self.any_of & tags))
            and not self.none_of & tags
        )


def _tags(path: Path) -> frozenset[str]:
    with path.open("rb") as opened:
        is_text = b"\0" not in opened.read(1024)
    may = "executable" if path.stat().st_mode & 0o100 else "non-executable"
    kinds = _KINDS.get(PurePosixPath(path.name).suffix.lower(), set()) if is_text else set()
    return frozenset({"file", "text" if is_text else "binary", may, *kinds})


def read(data: bytes) -> list[Hook]:
    """Its hooks in their order, those of other stages left out; raises UnreadableReportError."""
    try:
        root = yaml.safe_load(data[:MOST])
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError):
        raise UnreadableReportError(f"{CONFIGURATION} is not YAML") from None
    repositories = root.get("repos") if isinstance(root, dict) else None
    if not isinstance(repositories, list):
        raise UnreadableReportError(f"{CONFIGURATION} has no list of repos")
    hooks = [hook for one in repositories for hook in _hooks(one, root)]
    return [one for one in hooks if not one.stages or {"pre-commit", "commit"} & set(one.stages)]


def _hooks(repository: Any, root: dict[str, Any]) -> Iterator[Hook]:
    given = repository.get("hooks") if isinstance(repository, dict) else None
    for said in given if isinstance(given, list) else []:
        if isinstance(said, dict) and isinstance(said.get("id"), str):
            yield _hook(said, str(repository.get("repo", "")), root)


def _hook(said: dict[str, Any], where: str, root: dict[str, Any]) -> Hook:
    try:
        entry = tuple(shlex.split(str(said.get("entry", ""))))
    except ValueError:
        raise UnreadableReportError(f"the entry of the hook {said['id']} is no command") from None
    return Hook(
        id=said["id"],
        where=where,
        language=str(said.get("language", "")),
        entry=entry,
        args=_words(said.get("args")),
        files=_patterns("files", root, said),
        exclude=_patterns("exclude", root, said),
        kinds=frozenset(_words(said.get("types"))),
        any_of=frozenset(_words(said.get("types_or"))),
        none_of=frozenset(_words(said.get("exclude_types"))),
        names_files=said.get("pass_filenames", True) is not False,
        always=said.get("always_run", False) is True,
        needs=_words(said.get("additional_dependencies")),
        stages=_words(said.get("stages", root.get("default_stages"))),
    )  # fmt: skip


def _patterns(name: str, *tables: dict[str, Any]) -> tuple[str, ...]:
    """What the file says for all hooks, beside what the hook says for itself."""
    return tuple(str(one[name]) for one in tables if one.get(name))


def _words(value: Any) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()
