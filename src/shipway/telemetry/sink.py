"""Where log lines go: a stream, or a file that several processes share and that stays bounded."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Protocol

MiB = 1024 * 1024
#: Seconds for which a file is taken to be in its place: to look costs more than to write a line.
_LOOK_EVERY = 0.1


class Sink(Protocol):
    """What takes finished lines; it never raises, and counts what it could not write."""

    lost: int

    def write(self, line: bytes) -> None: ...


class Stream:
    """Whole lines to an open binary stream; lines that cannot be written are counted, not raised."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self.lost = 0

    def write(self, line: bytes) -> None:
        with self._lock:
            try:
                self._stream.write(line + b"\n")
                self._stream.flush()
            except (OSError, ValueError):  # a closed pipe must not stop the work that is logged
                self.lost += 1


class RotatingFile:
    """Appends whole lines; past ``size`` bytes the file moves to .1, .1 to .2, up to ``keep`` old.

    Each line is one append, so lines of several processes never mix; what another one has moved is
    noticed a moment later, and is longer by what was written meanwhile. A full disk loses lines, not
    the run: they are counted, and the next line that can be written is preceded by the count.
    """

    def __init__(self, path: Path, size: int = 8 * MiB, keep: int = 3) -> None:
        self.path, self.size, self.keep = path, size, keep
        self._place = str(path)
        self.lost = 0
        self._file = -1
        self._looked = self._room = 0.0
        self._lock = threading.Lock()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = self._open()

    def write(self, line: bytes) -> None:
        with self._lock:
            try:
                self._file = self._current(len(line) + 1)
                if self.lost:
                    note = b'{"level":"warning","event":"log lines lost","count":%d}\n' % self.lost
                    os.write(self._file, note)
                os.write(self._file, line + b"\n")
            except OSError:  # no space, no permission: logging never stops the work
                self.lost += 1
            else:
                self.lost = 0

    def close(self, let_go: Callable[[int], None] = os.close) -> None:
        """Nothing can be written afterwards; who drops the last reference has closed it too."""
        with self._lock:
            if self._file >= 0:
                let_go(self._file)  # bound early: when a process ends, modules go before objects
            self._file = -1

    __del__ = close

    def _open(self) -> int:
        return os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def _current(self, more: int) -> int:
        """The descriptor to write to: another process may have rotated, or it is our turn."""
        now = time.monotonic()
        self._room -= more
        if self._room >= 0 and now - self._looked < _LOOK_EVERY:
            return self._file
        ours = os.fstat(self._file)
        self._looked, self._room = now, self.size - ours.st_size - more
        if self._room >= 0 and self._is_in_place(ours):
            return self._file
        self._looked = 0.0
        guard = os.open(self.path.parent / f".{self.path.name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(guard, fcntl.LOCK_EX)
            ours = os.fstat(self._file)
            if self._is_in_place(ours) and ours.st_size + more > self.size:
                self._rotate()
            fresh = self._open()
        finally:
            os.close(guard)
        os.close(self._file)
        return fresh

    def _is_in_place(self, ours: os.stat_result) -> bool:
        try:
            there = os.stat(self._place)  # noqa: PTH116 - a Path is made into a text each time
        except FileNotFoundError:
            return False
        return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)

    def _rotate(self) -> None:
        names = [self.path, *(Path(f"{self.path}.{age}") for age in range(1, self.keep + 1))]
        for older, newer in zip(reversed(names[1:]), reversed(names[:-1]), strict=True):
            if newer.exists():
                newer.replace(older)
