"""What /proc says: which processes live, which belong to a release, who holds a connection."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path

MARK = "SHIPWAY_RELEASE"  # in the environment of every process of a release: a path below its directory
_PROC = Path("/proc")
_START_TIME = 19  # field of /proc/PID/stat after the command's closing bracket
_PARENT, _SESSION = 1, 3
_DEAD = frozenset("ZX")


def _stat(pid: int) -> list[str] | None:
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except (OSError, UnicodeDecodeError):
        return None
    return text[text.rindex(")") + 2 :].split()


def start_time(pid: int) -> int | None:
    """When the process began, in clock ticks since boot; with the pid it names one process only.

    None for one that is gone, or dead and not yet buried.
    """
    fields = _stat(pid)
    if fields is None or fields[0] in _DEAD:
        return None
    return int(fields[_START_TIME])


def boot() -> str:
    """Which boot this is: pids and start times repeat after the next one."""
    return (_PROC / "sys/kernel/random/boot_id").read_text().strip()


def pids() -> list[int]:
    return [int(one.name) for one in _PROC.iterdir() if one.name.isdigit()]


def family(root: int) -> dict[int, int]:
    """The processes below ``root`` or in its session, itself included, each with its start time."""
    facts = {pid: fields for pid in pids() if (fields := _stat(pid)) is not None}
    found = {pid for pid, fields in facts.items() if pid == root or int(fields[_SESSION]) == root}
    while more := {p for p, fields in facts.items() if int(fields[_PARENT]) in found} - found:
        found |= more
    return {pid: int(facts[pid][_START_TIME]) for pid in found if facts[pid][0] not in _DEAD}


def marked(directory: Path) -> dict[int, int]:
    """Living processes that were started for a release below ``directory``, with start times."""
    beginning = f"{MARK}={directory}/".encode()
    found = {}
    for pid in pids():
        began = start_time(pid)
        try:
            environment = (_PROC / str(pid) / "environ").read_bytes()
        except OSError:
            continue
        if began is not None and any(e.startswith(beginning) for e in environment.split(b"\0")):
            found[pid] = began
    return found


def signal_exactly(pid: int, began: int, number: signal.Signals) -> bool:
    """Signal the process that began then, through a handle that cannot come to mean another one."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        if start_time(pid) != began:
            return False
        signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(handle)
    return True


def end_marked(directory: Path, seconds: float = 5.0) -> set[int]:
    """Kill what is left of the releases below ``directory`` and wait until it is gone."""
    ended: set[int] = set()
    deadline = time.monotonic() + seconds
    while (left := marked(directory)) and time.monotonic() < deadline:
        for pid, began in left.items():
            signal_exactly(pid, began, signal.SIGKILL)
        ended |= set(left)
        time.sleep(0.01)
    return ended


def holder(
    local: tuple[str, int], remote: tuple[str, int], candidates: Iterable[int]
) -> int | None:
    """Which of ``candidates`` holds the accepted TCP connection ``local``-``remote``, if one does."""
    inode = _inode(_hexadecimal(local), _hexadecimal(remote))
    if inode is None:
        return None
    wanted = f"socket:[{inode}]"
    for pid in sorted(candidates):
        try:
            with os.scandir(_PROC / str(pid) / "fd") as entries:
                if any(_target(Path(entry.path)) == wanted for entry in entries):
                    return pid
        except OSError:
            continue
    return None


def _inode(local: str, remote: str) -> str | None:
    with (_PROC / "net/tcp").open() as table:
        for line in table:
            fields = line.split(maxsplit=10)
            if fields[1] == local and fields[2] == remote and fields[9] != "0":
                return fields[9]
    return None


def _hexadecimal(address: tuple[str, int]) -> str:
    """An address as /proc/net/tcp writes it: the bytes of the IP backwards, then the port."""
    octets = [int(part) for part in address[0].split(".")]
    return "".join(f"{octet:02X}" for octet in reversed(octets)) + f":{address[1]:04X}"


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""
