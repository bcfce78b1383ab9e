"""Checks of the ground we stand on: each says what it found and what to do about it."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import stat
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from shipway.health.check import Status

MiB = 1024 * 1024
NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb2", "smb3", "smbfs", "ncpfs", "afs", "ceph", "glusterfs", "lustre"}
    | {
        "gpfs",
        "beegfs",
        "ocfs2",
        "gfs2",
        "fuse.sshfs",
        "fuse.glusterfs",
        "fuse.s3fs",
        "fuse.rclone",
    }
)
"""Kinds of file system on which file locks and write-ahead logs of a database cannot be trusted."""

ENOUGH_MB, COMFORTABLE_MB = 512, 3072
OLDEST_GIT = (2, 34)
OLDEST_PYTHON = (3, 11)
EARLIEST_YEAR, MOST_SKEW_S = 2025, 60.0


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One line of the doctor's report; ``remedy`` says what to do when it is not a pass."""

    name: str
    status: Status
    summary: str
    remedy: str | None = None
    seconds: float = 0.0


Finding = tuple[Status, str]


@dataclass(frozen=True, slots=True)
class Check:
    """A question to the machine; an exception in ``probe`` is a failure, never a crash."""

    name: str
    probe: Callable[[], Finding]
    remedy: str


class Places(Protocol):
    """The part of the settings that the checks look at."""

    @property
    def home(self) -> Path: ...
    @property
    def cache(self) -> Path: ...
    @property
    def python(self) -> Path: ...


def doctor_checks(places: Places, more: Iterable[Check] = ()) -> list[CheckResult]:
    """Ask everything once; ``more`` are the checks of rooms above, such as the fence's."""
    return [examine(check) for check in (*_checks(places), *more)]


def examine(check: Check) -> CheckResult:
    """The result of one check; whatever goes wrong in it is what it found."""
    began = time.monotonic()
    try:
        status, summary = check.probe()
    except Exception as error:  # noqa: BLE001 - a check that breaks has found a fault
        status, summary = Status.FAIL, str(error) or type(error).__name__
    remedy = None if status is Status.PASS else check.remedy
    return CheckResult(check.name, status, summary, remedy, round(time.monotonic() - began, 3))


def filesystem_of(path: Path) -> str:
    """The kind of file system that a path is, or would be, on."""
    there = existing(path).resolve()
    found = ("", "unknown")
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        mount = re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), left.split(" ")[4])
        if there.is_relative_to(mount) and len(mount) >= len(found[0]):
            found = (mount, right.split(" ")[0])
    return found[1]


def existing(path: Path) -> Path:
    """The path, or the nearest directory above it that is already there."""
    return next(place for place in (path.absolute(), *path.absolute().parents) if place.exists())


def _checks(places: Places) -> list[Check]:
    home, cache = places.home, places.cache
    room = f"free some space, or point SHIPWAY_HOME and SHIPWAY_CACHE to a larger disk ({cache})"
    return [
        Check("python", lambda: _python(places.python), "apt install python3 (3.11 or newer)"),
        Check("environments", lambda: _environments(places.python), "apt install python3-venv"),
        Check("git", _git, f"apt install git ({'.'.join(map(str, OLDEST_GIT))} or newer)"),
        Check(
            "state directory",
            lambda: _directory(home),
            "point SHIPWAY_HOME to a directory of yours on a local disk",
        ),
        Check(
            "cache directory",
            lambda: _directory(cache),
            "point SHIPWAY_CACHE to a directory of yours on a local disk",
        ),
        Check("disk space", lambda: _space(home, cache), room),
        Check("memory", _memory, "close other programs: gates and services run side by side"),
        Check("clock", lambda: _clock(home), "set the clock: timeouts and records depend on it"),
    ]


def _python(python: Path) -> Finding:
    version = _answer(str(python), "-c", "import sys; print('%d.%d.%d' % sys.version_info[:3])")
    fits = tuple(map(int, version.split(".")))[:2] >= OLDEST_PYTHON
    return (Status.PASS if fits else Status.FAIL), f"{version} ({python})"


def _environments(python: Path) -> Finding:
    _answer(str(python), "-c", "import venv, ensurepip")
    return Status.PASS, "venv and ensurepip are there"


def _git() -> Finding:
    answer = _answer("git", "--version")
    version = re.search(r"(\d+)\.(\d+)", answer)
    fits = version is not None and (int(version[1]), int(version[2])) >= OLDEST_GIT
    return (Status.PASS if fits else Status.FAIL), answer


def _answer(*command: str) -> str:
    if not shutil.which(command[0]):
        raise FileNotFoundError(f"{command[0]} is not installed")
    done = subprocess.run(command, capture_output=True, text=True, timeout=15, check=False)
    if done.returncode:
        last = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise RuntimeError(f"{Path(command[0]).name}: {last[-1]}")
    return done.stdout.strip()


def _directory(path: Path) -> Finding:
    """Ours, private, on a local disk, writable, and with file locks that work."""
    kind = filesystem_of(path)
    if kind in NETWORK:
        return Status.FAIL, f"{path} is on a network file system ({kind})"
    if not path.exists():
        above = existing(path)
        if not (above.is_dir() and os.access(above, os.W_OK | os.X_OK)):
            return Status.FAIL, f"{path} cannot be made: {above} is not writable"
        return Status.PASS, f"{path} will be made ({kind})"
    _try_out(path)
    if path.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return Status.WARN, f"{path} can be written by others: chmod 700 it"
    if kind == "9p":
        return Status.WARN, f"{path} is on a shared folder (9p), whose file locks may not hold"
    return Status.PASS, f"{path} ({kind})"


def _try_out(path: Path) -> float:
    """Write, lock, sync and remove a file there; returns when the disk thinks it was written."""
    trial = path / f".doctor-{os.getpid()}"
    file = os.open(trial, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.write(file, b"trial")
        os.fsync(file)
        return os.fstat(file).st_mtime
    finally:
        os.close(file)
        trial.unlink()


def _space(*paths: Path) -> Finding:
    places = [existing(path) for path in paths]
    free = min(shutil.disk_usage(place).free for place in places) // MiB
    nodes = [os.statvfs(place) for place in places]
    short = any(one.f_files and one.f_favail < one.f_files // 100 for one in nodes)
    summary = f"{free / 1024:.1f} GiB free" + (", but hardly any file left" if short else "")
    if free < ENOUGH_MB or short:
        return Status.FAIL, summary
    return (Status.PASS if free >= COMFORTABLE_MB else Status.WARN), summary


def _memory() -> Finding:
    words = Path("/proc/meminfo").read_text().split()
    free = int(words[words.index("MemAvailable:") + 1]) // 1024
    return (Status.PASS if free >= ENOUGH_MB else Status.WARN), f"{free} MiB available"


def _clock(home: Path) -> Finding:
    if time.gmtime().tm_year < EARLIEST_YEAR:
        return Status.FAIL, f"it says {time.strftime('%Y-%m-%d', time.gmtime())}"
    if home.is_dir():
        skew = abs(_try_out(home) - time.time())
        if skew > MOST_SKEW_S:
            return Status.WARN, f"the disk of {home} is {skew:.0f} s away from it"
    return Status.PASS, time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
