"""What a model may do with the files of a workspace: list, read, write and edit them, nothing else."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

#: Bytes of one file that a model may read or write at once.
LARGEST = 256 * 1024
_MOST_LISTED = 2000
_FORBIDDEN = ".git"


class Refusal(Exception):  # noqa: N818 - told to the model as an answer, it ends nothing
    """Why a model may not do what it asked for; the model may try something else."""


class WorkspaceFiles:
    """Files below ``root``, by relative path. No path leaves it: not by ``..`` and by no link.

    ``said`` hears each thing that was done, for a watching person.
    """

    def __init__(self, root: Path, said: Callable[[str], None]) -> None:
        self._root = root.resolve()
        self._said = said

    def list_files(self) -> str:
        """Every file of the project, one relative path a line."""
        found: list[str] = []
        for folder, folders, names in os.walk(self._root):
            folders[:] = sorted(name for name in folders if name != _FORBIDDEN)
            found += [os.path.relpath(Path(folder, name), self._root) for name in sorted(names)]
            if len(found) > _MOST_LISTED:
                return "\n".join([*found[:_MOST_LISTED], "... and more"])
        return "\n".join(found)

    def read_file(self, path: str) -> str:
        """The text of one file."""
        place = self._place(path)
        if not place.is_file():
            raise Refusal(f"there is no file {path!r}")
        if place.stat().st_size > LARGEST:
            raise Refusal(f"{path!r} is larger than {LARGEST} bytes")
        try:
            return place.read_bytes().decode("utf-8")
        except UnicodeDecodeError:
            raise Refusal(f"{path!r} is not UTF-8 text") from None

    def write_file(self, path: str, content: str) -> str:
        """Make a file, or replace what it holds."""
        place, data = self._place(path), content.encode("utf-8", "replace")
        if len(data) > LARGEST:
            raise Refusal(f"more than {LARGEST} bytes at once")
        if place.is_dir():
            raise Refusal(f"{path!r} is a directory")
        place.parent.mkdir(parents=True, exist_ok=True)
        mode = stat.S_IMODE(place.stat().st_mode) if place.exists() else 0o644
        handle = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        self._said(f"wrote {path}")
        return f"wrote {len(data)} bytes to {path}"

    def edit_file(self, path: str, old: str, new: str) -> str:
        """Replace the one place in a file where ``old`` stands by ``new``."""
        text = self.read_file(path)
        times = text.count(old) if old else 0
        if times != 1:
            raise Refusal(f"the old text stands {times} times in {path!r}; it must stand once")
        return self.write_file(path, text.replace(old, new))

    def _place(self, path: str) -> Path:
        """Where a relative path leads; raises Refusal when that is outside, or git's own."""
        if not path or "\0" in path or Path(path).is_absolute():
            raise Refusal("paths are relative to the project and not empty")
        place = (self._root / path).resolve()
        if not place.is_relative_to(self._root) or place == self._root:
            raise Refusal(f"{path!r} leads out of the project")
        if _FORBIDDEN in {part.lower() for part in place.relative_to(self._root).parts}:
            raise Refusal("the repository's own files are not to be touched")
        return place
