"""Landlock: a second wall around the file system, which the command itself cannot take down."""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from collections.abc import Iterable
from pathlib import Path

from shipway.workspace.inside import kernel

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG, _RULE_PATH_BENEATH = 1, 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_FIRST_ABI = (1 << 13) - 1  # all rights of the first version, up to making symbolic links
_REFER, _TRUNCATE = 1 << 13, 1 << 14
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_ON_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE
_SCOPE_SOCKETS_AND_SIGNALS = 3


def version() -> int:
    """The kernel's Landlock version, 0 when it has none."""
    try:
        return kernel.syscall(
            _CREATE_RULESET,
            None,
            ctypes.c_size_t(0),
            ctypes.c_uint(_VERSION_FLAG),
            doing="ask for Landlock",
        )
    except OSError:
        return 0


def _handled(abi: int) -> int:
    rights = _FIRST_ABI
    if abi >= 2:
        rights |= _REFER
    if abi >= 3:
        rights |= _TRUNCATE
    return rights


def restrict(writable: Iterable[Path]) -> bool:
    """Allow reading everywhere and writing below these paths only; False without Landlock.

    The process must have given up new privileges before. Raises OSError when the kernel has
    Landlock but refuses the rules: a wall that was announced must stand.
    """
    abi = version()
    if not abi:
        return False
    rights = _handled(abi)
    scoped = _SCOPE_SOCKETS_AND_SIGNALS if abi >= 6 else 0
    attributes = struct.pack("QQQ", rights, 0, scoped)
    size = 24 if scoped else 8
    ruleset = kernel.syscall(
        _CREATE_RULESET, attributes, ctypes.c_size_t(size), ctypes.c_uint(0), doing="use Landlock"
    )
    try:
        _allow(ruleset, Path("/"), _READ & rights)
        for path in writable:
            _allow(ruleset, path, rights)
        kernel.syscall(_RESTRICT_SELF, ruleset, ctypes.c_uint(0), doing="enter Landlock")
    finally:
        os.close(ruleset)
    return True


def _allow(ruleset: int, path: Path, rights: int) -> None:
    handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.fstat(handle).st_mode):
            rights &= _ON_FILES
        rule = struct.pack("=Qi", rights, handle)
        kernel.syscall(
            _ADD_RULE,
            ruleset,
            _RULE_PATH_BENEATH,
            rule,
            ctypes.c_uint(0),
            doing=f"allow {path} in Landlock",
        )
    finally:
        os.close(handle)
