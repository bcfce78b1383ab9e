"""A log that keeps its newest part: one file and one older file, never more."""

from __future__ import annotations

from pathlib import Path

LIMIT = 4 << 20
_TAIL = 8 << 10


class LogFile:
    """Bytes are appended to ``path``; at ``limit`` it becomes ``path.1`` and a new one begins."""

    def __init__(self, path: Path, limit: int = LIMIT) -> None:
        self._path = path
        self._limit = limit
        self._file = path.open("ab", buffering=0)
        self._size = self._file.tell()

    def write(self, data: bytes) -> None:
        if self._size and self._size + len(data) > self._limit:
            self._file.close()
            self._path.replace(self._path.with_name(self._path.name + ".1"))
            self._file = self._path.open("ab", buffering=0)
            self._size = 0
        self._size += self._file.write(data)

    def close(self) -> None:
        self._file.close()


def tail(path: Path, size: int = _TAIL) -> str:
    """The end of a log as text, from the beginning of a line; empty where there is none."""
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            length = file.tell()
            file.seek(max(0, length - size))
            data = file.read(size)
    except FileNotFoundError:
        return ""
    if length > size:
        data = data.partition(b"\n")[2]
    return data.decode(errors="replace")
