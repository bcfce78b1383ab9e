"""What a fenced command sees of the file system: all read-only but its own directories."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from shipway.workspace.inside import kernel

TMP = Path("/tmp")  # noqa: S108 - the fence's own, fresh for each command
HOME = TMP / "home"
SCRATCH = (TMP, Path("/var/tmp"))  # noqa: S108
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")


@dataclass(frozen=True, slots=True)
class View:
    """Absolute, resolved paths. ``uid`` and ``gid`` own the scratch space, as seen from here."""

    writable: tuple[Path, ...]
    readable: tuple[Path, ...]
    hidden: tuple[Path, ...]
    tmp_mb: int
    uid: int
    gid: int


@dataclass(slots=True)
class _Layout:
    """The plan for the mounts: detached copies taken before anything is covered."""

    binds: dict[Path, int] = field(default_factory=dict)
    covers: set[Path] = field(default_factory=set)


def raise_walls(view: View) -> None:
    """Change this mount namespace into the view; raises OSError when a wall does not stand."""
    devices = {name: kernel.copy_tree(Path("/dev", name)) for name in _DEVICES if _device(name)}
    layout = _plan(view)
    kernel.seal(Path("/"))
    scratch = f"size={view.tmp_mb}m,mode=1777"
    for path in sorted({*layout.binds, *layout.covers}, key=lambda one: one.parts):
        if path in layout.binds:
            _bind(layout.binds[path], path)
        elif path.is_dir() and not path.is_symlink():
            kernel.mount("tmpfs", path, scratch, kernel.MS_NOSUID | kernel.MS_NODEV)
            path.chmod(0o1777 if path in SCRATCH else 0o755)
    _own_devices(devices, view)
    flags = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
    kernel.mount("proc", Path("/proc"), flags=flags)
    HOME.mkdir(mode=0o700)
    os.chown(HOME, view.uid, view.gid)
    for path in layout.covers - set(SCRATCH):
        if path.is_mount():
            kernel.seal(path, below=False)


def _plan(view: View) -> _Layout:
    layout = _Layout()
    for path in view.readable:
        layout.binds[path] = kernel.copy_tree(path)
        kernel.seal(layout.binds[path])
    for path in view.writable:
        layout.binds[path] = kernel.copy_tree(path)
    layout.covers = {*view.hidden, *SCRATCH} - set(layout.binds)
    return layout


def _bind(tree: int, target: Path) -> None:
    """Attach, and make the way there when it leads through a directory that was covered."""
    if not target.exists():
        made = []
        parent = target.parent
        while not parent.exists():
            made.append(parent)
            parent = parent.parent
        for directory in reversed(made):
            directory.mkdir()
            directory.chmod(0o755)
        if stat.S_ISDIR(os.fstat(tree).st_mode):
            target.mkdir()
        else:
            target.touch()
    kernel.attach(tree, target)
    os.close(tree)


def _device(name: str) -> bool:
    return Path("/dev", name).exists()


def _own_devices(devices: dict[str, int], view: View) -> None:
    """A /dev with the harmless devices, own terminals and own shared memory."""
    dev = Path("/dev")
    kernel.mount("tmpfs", dev, "size=64k,mode=755", kernel.MS_NOSUID)
    for name, tree in devices.items():
        (dev / name).touch()
        kernel.attach(tree, dev / name)
        os.close(tree)
    for name, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        (dev / name).symlink_to(f"/proc/self/fd{target}")
    for name in ("pts", "shm"):
        (dev / name).mkdir()
    kernel.mount("devpts", dev / "pts", "newinstance,ptmxmode=0666,mode=0620", kernel.MS_NOSUID)
    (dev / "ptmx").symlink_to("pts/ptmx")
    kernel.mount(
        "tmpfs",
        dev / "shm",
        f"size={view.tmp_mb}m,mode=1777",
        kernel.MS_NOSUID | kernel.MS_NODEV,
    )
    kernel.seal(dev, below=False)
