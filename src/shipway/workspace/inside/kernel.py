"""The few calls into the kernel that the standard library has no name for."""

from __future__ import annotations

import ctypes
import os
import struct
from pathlib import Path
from typing import Any

MS_NOSUID, MS_NODEV, MS_NOEXEC = 2, 4, 8
CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP = 1, 4, 24
PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 36, 38
PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
CAP_DAC_READ_SEARCH, CAP_KILL, CAP_SETGID, CAP_SETUID, CAP_SYS_PTRACE = 2, 5, 6, 7, 19
LAST_CAPABILITY = 63

_AT_FDCWD, _AT_RECURSIVE, _AT_EMPTY_PATH = -100, 0x8000, 0x1000
_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442  # the same number on every architecture
_OPEN_TREE_CLONE, _OPEN_TREE_CLOEXEC, _MOVE_MOUNT_F_EMPTY_PATH = 1, os.O_CLOEXEC, 4
_ATTR_RDONLY, _ATTR_NOSUID = 1, 2
_CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def _checked(result: int, doing: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{doing}: {os.strerror(number)}")
    return result


def syscall(number: int, *arguments: Any, doing: str) -> int:
    """Raises OSError that says what was being done."""
    return _checked(_libc.syscall(ctypes.c_long(number), *arguments), doing)


def mount(kind: str, target: Path, options: str = "", flags: int = 0) -> None:
    """Mount a new file system of this kind (``tmpfs``, ``proc``, ``devpts``)."""
    name, where = kind.encode(), os.fsencode(target)
    _checked(
        _libc.mount(name, where, name, ctypes.c_ulong(flags), options.encode() or None),
        f"mount {kind} on {target}",
    )


def copy_tree(source: Path) -> int:
    """A detached copy of the mounts at a path, which stays reachable when the path is covered."""
    flags = _OPEN_TREE_CLONE | _OPEN_TREE_CLOEXEC | _AT_RECURSIVE
    return syscall(
        _OPEN_TREE, _AT_FDCWD, os.fsencode(source), ctypes.c_uint(flags), doing=f"bind {source}"
    )


def attach(tree: int, target: Path) -> None:
    syscall(
        _MOVE_MOUNT,
        tree,
        b"",
        _AT_FDCWD,
        os.fsencode(target),
        ctypes.c_uint(_MOVE_MOUNT_F_EMPTY_PATH),
        doing=f"bind on {target}",
    )


def seal(tree: int | Path, *, below: bool = True) -> None:
    """Make a mount read-only and without set-user-id programs, with all mounts below it or alone."""
    attributes = struct.pack("QQQQ", _ATTR_RDONLY | _ATTR_NOSUID, 0, 0, 0)
    handle, path = (tree, b"") if isinstance(tree, int) else (_AT_FDCWD, os.fsencode(tree))
    flags = (_AT_RECURSIVE if below else 0) | (_AT_EMPTY_PATH if isinstance(tree, int) else 0)
    syscall(
        _MOUNT_SETATTR,
        handle,
        path,
        ctypes.c_uint(flags),
        attributes,
        ctypes.c_size_t(len(attributes)),
        doing="make the file system read-only",
    )


def unshare_user() -> None:
    _checked(_libc.unshare(CLONE_NEWUSER), "create a user namespace")


def prctl(option: int, value: int = 0, doing: str = "prctl") -> None:
    unused = ctypes.c_ulong(0)
    _checked(_libc.prctl(option, ctypes.c_ulong(value), unused, unused, unused), doing)


def keep_capabilities(kept: tuple[int, ...]) -> None:
    """Give up every capability but these, for this process and all it will ever start."""
    for capability in range(LAST_CAPABILITY + 1):
        if capability not in kept:
            _libc.prctl(PR_CAPBSET_DROP, ctypes.c_ulong(capability), *[ctypes.c_ulong(0)] * 3)
    _libc.prctl(PR_CAP_AMBIENT, ctypes.c_ulong(PR_CAP_AMBIENT_CLEAR_ALL), *[ctypes.c_ulong(0)] * 3)
    mask = sum(1 << capability for capability in kept)
    low, high = mask & 0xFFFFFFFF, mask >> 32
    header = struct.pack("Ii", _CAPABILITY_VERSION_3, 0)
    data = struct.pack("6I", low, low, 0, high, high, 0)
    _checked(_libc.capset(header, data), "drop capabilities")
