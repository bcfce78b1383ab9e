"""How much memory and disk the fenced processes use, measured from beside them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")
_BLOCK = 512  # st_blocks counts these, whatever the file system
_FULL_COUNT_EVERY = 20  # rounds: a slow leak that frees elsewhere is still seen


def processes() -> list[int]:
    """The processes in this pid namespace but the first, which is the one that watches."""
    return [pid for pid in _all_processes() if pid != 1]


def _all_processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def descendants(root: int) -> list[int]:
    """All processes below one, where there is no pid namespace to count."""
    parents: dict[int, list[int]] = {}
    for pid in _all_processes():
        try:
            stat = Path(f"/proc/{pid}/stat").read_bytes()
        except OSError:
            continue  # it ended meanwhile
        parents.setdefault(int(stat.rpartition(b")")[2].split()[1]), []).append(pid)
    found, waiting = [], [root]
    while waiting:
        children = parents.get(waiting.pop(), [])
        found += children
        waiting += children
    return found


def memory(pids: Iterable[int], limit: int) -> int:
    """Bytes of memory that these processes hold; shared pages are counted once when it matters."""
    pids = list(pids)
    resident = sum(_resident(pid) for pid in pids)
    if resident <= limit:
        return resident
    return sum(_proportional(pid) for pid in pids)


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_bytes().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0  # it ended meanwhile


def _proportional(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_bytes().splitlines():
            if line.startswith(b"Pss:"):
                return int(line.split()[1]) * 1024
    except (PermissionError, FileNotFoundError):
        return _resident(pid)
    except OSError:
        return 0  # it ended meanwhile
    return 0


def files(roots: Iterable[Path]) -> int:
    """Bytes on disk below these directories; links are not followed."""
    total, waiting = 0, [os.fspath(root) for root in roots]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    total += entry.stat(follow_symlinks=False).st_blocks * _BLOCK
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
        except OSError:
            continue  # removed or made unreadable meanwhile: the next round counts again
    return total


class DiskWatch:
    """Notices when directories have grown by more than a limit, without counting all the time.

    Counting every file is slow, asking a file system for its free space is not: files are counted
    only when so much space has gone that the limit can have been passed, and now and then anyway.
    """

    def __init__(self, roots: Iterable[Path], limit: int) -> None:
        self._roots = [root for root in roots if root.is_dir()]
        self._limit = limit
        self._start = files(self._roots)
        self._grown = 0
        self._free = self._free_now()
        self._round = 0

    def exceeded(self) -> bool:
        self._round += 1
        gone = sum(max(0, was - now) for was, now in zip(self._free, self._free_now(), strict=True))
        if self._grown + gone <= self._limit and self._round % _FULL_COUNT_EVERY:
            return False
        self._grown = files(self._roots) - self._start
        self._free = self._free_now()
        return self._grown > self._limit

    def _free_now(self) -> list[int]:
        volumes = [os.statvfs(root) for root in self._roots]
        return [volume.f_bfree * volume.f_frsize for volume in volumes]
