"""What is visible and what is set around a fenced command: paths, environment, ownership."""

from __future__ import annotations

import contextlib
import os
import pwd
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from shipway.errors import FenceError
from shipway.workspace.command import Command

_SCRATCH = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108 - each fence has its own
_NAMES = (Path("/etc/resolv.conf"), Path("/etc/hosts"))  # may be links to below /run
_SYSTEM_PATH = ("/usr/local/bin", "/usr/bin", "/bin")
_FENCE_HOME = "/tmp/home"  # noqa: S108 - the fence's own


@dataclass(frozen=True, slots=True)
class View:
    writable: tuple[Path, ...]
    readable: tuple[Path, ...]
    hidden: tuple[Path, ...]


def view(command: Command, hidden: Iterable[Path], uid: int | None) -> View:
    """Which paths are bound and which are covered; raises FenceError for one that does not exist.

    ``uid`` is the user that the command becomes when we are root: a bound path must be reachable
    for it, so a directory on the way that lets only its owner in is covered, and the way opened.
    """
    writable = tuple(_existing(path).resolve() for path in command.writable)
    wanted = [*command.readable, command.cwd]
    wanted += interpreters(_named_paths(command))
    if command.network:
        wanted += [path.resolve() for path in _NAMES if path.exists()]
    readable = [_existing(path) for path in wanted]
    readable += [path.resolve() for path in readable]
    covers = {*_homes(), Path("/run"), *(Path(path).resolve() for path in hidden)}
    covers |= {Path(path).resolve() for path in command.hidden}
    if uid is not None:
        covers |= {closed for path in (*writable, *readable) for closed in _closed_to(path, uid)}
    covers = {path for path in covers if path.is_dir() and path != Path("/")}
    covered = {*covers, *_SCRATCH}
    shown = {path for path in readable if path not in writable and _below(path, covered)}
    return View(
        writable, tuple(sorted(shown)), tuple(sorted(covers - set(writable) - set(readable)))
    )


def _existing(path: Path) -> Path:
    path = Path(os.path.abspath(path))  # noqa: PTH100 - a link on the way is to stay as it is
    if not path.exists():
        raise FenceError(f"a directory for the command does not exist: {path}")
    return path


def _below(path: Path, covered: set[Path]) -> bool:
    """Whether a cover hides it. What is below another readable path is bound along with that."""
    return any(cover == path or cover in path.parents for cover in covered)


def _homes() -> set[Path]:
    homes = {Path(os.environ.get("HOME") or "/")}
    with contextlib.suppress(KeyError):  # a user without an entry has no other home to hide
        homes.add(Path(pwd.getpwuid(os.getuid()).pw_dir))
    return {home.resolve() for home in homes if home.is_absolute()}


def _closed_to(path: Path, uid: int) -> list[Path]:
    """The topmost directory above the path that this user cannot pass, if there is one."""
    for parent in reversed(path.parents):
        facts = parent.stat()
        mine = 0o100 if facts.st_uid == uid else 0o001
        if not facts.st_mode & mine:
            return [parent]
    return []


def _named_paths(command: Command) -> list[str]:
    """Every absolute path in the arguments and the environment of a command."""
    words = [*command.argv, *command.env.values()]
    parts = [part for word in words for part in word.replace("=", ":").split(":")]
    return [part for part in parts if part.startswith("/") and "\0" not in part]


def interpreters(places: Iterable[str]) -> list[Path]:
    """The virtual environments and Python installations that these paths lie in."""
    found: list[Path] = []
    for place in dict.fromkeys(Path(place) for place in places):
        for folder in (place, *place.parents):
            if _is_file(folder / "pyvenv.cfg"):
                found += [folder, *_installations(folder / "bin" / "python3")]
                break
        found += _installations(place)
    return list(dict.fromkeys(found))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a word that is too long for a path, a folder that lets nobody in
        return False


def _installations(program: Path) -> list[Path]:
    """Follow a link to an interpreter step by step: each step's path must exist inside as well."""
    found = []
    for _ in range(10):
        if not _is_file(program):
            break
        prefix = program.parent.parent
        if any(prefix.glob("lib/python3.*/os.py")):
            found += [prefix, prefix.resolve()]
        if not program.is_symlink():
            break
        program = program.parent / program.readlink()
    return [path for path in found if path not in {Path("/"), Path("/usr"), Path("/usr/local")}]


def environment(command: Command, shown: View, *, own_tmp: bool) -> dict[str, str]:
    """The clean environment: a path without hidden places, a home in memory, UTF-8."""
    home = _FENCE_HOME if own_tmp else str(command.cwd)
    return {
        "PATH": _path(shown),
        "LANG": "C.UTF-8",
        "HOME": home,
        "TMPDIR": "/tmp" if own_tmp else str(command.cwd),  # noqa: S108 - the fence's own
        "USER": "shipway",
        "LOGNAME": "shipway",
    } | dict(command.env)


def _path(shown: View) -> str:
    """Where programs are looked for. A place that we may not enter would turn "not found" into
    "not permitted", as the PATH of another user does after ``su``."""
    covered = {*shown.hidden, *_SCRATCH}
    ours = [Path(name) for name in os.environ.get("PATH", "").split(":") if name.startswith("/")]
    opened = {*shown.readable, *shown.writable}
    seen = [
        str(path)
        for path in ours
        if os.access(path, os.X_OK)
        and (not _below(path.resolve(), covered) or _below(path.resolve(), opened))
    ]
    return ":".join(dict.fromkeys([*seen, *_SYSTEM_PATH]))


def hand_over(directories: Sequence[Path], uid: int) -> None:
    """Give directories and all below to the fence's user; links themselves, never their targets."""
    for top in directories:
        for folder, folders, names, handle in os.fwalk(top):
            if os.fstat(handle).st_uid != uid:
                os.chown(folder if folder == str(top) else handle, uid, uid)
            for name in (*folders, *names):
                if os.stat(name, dir_fd=handle, follow_symlinks=False).st_uid != uid:
                    os.chown(name, uid, uid, dir_fd=handle, follow_symlinks=False)
