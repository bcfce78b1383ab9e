"""A service's own copy of a built environment: the cache that it came from may be deleted."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from shipway.errors import ResourceError

_SCRIPT_LIMIT = 1 << 20


def keep(built: Path, directory: Path) -> Path:
    """Copy the environment ``built`` below ``directory``, once; returns its Python there.

    Releases with the same requirements share the copy. It is a copy and no link, so that a running
    service cannot write into what later candidates are judged with.
    """
    own = directory / built.name
    if not own.is_dir():
        fresh = directory / f".{built.name}.{os.getpid()}"
        shutil.rmtree(fresh, ignore_errors=True)
        try:
            shutil.copytree(built, fresh, symlinks=True)
            readdress(fresh / "bin", built, own)
            _publish(fresh, own)
        except OSError as error:
            shutil.rmtree(fresh, ignore_errors=True)
            raise ResourceError(
                f"the environment of the release cannot be kept: {error.strerror}",
                hint=f"make room on the disk that holds {directory}",
            ) from error
    return own / "bin" / "python"


def readdress(programs: Path, old: Path, new: Path) -> None:
    """Scripts name their Python by its absolute path in the first line."""
    for path in programs.iterdir():
        if path.is_symlink() or not path.is_file() or path.stat().st_size > _SCRIPT_LIMIT:
            continue
        data = path.read_bytes()
        if data.startswith(b"#!"):
            path.write_bytes(data.replace(os.fsencode(old), os.fsencode(new)))


def _publish(fresh: Path, own: Path) -> None:
    try:
        fresh.rename(own)
    except OSError:
        if not own.is_dir():  # else another deploy was quicker
            raise
        shutil.rmtree(fresh)


def drop_unused(directory: Path, used: set[Path]) -> None:
    """Remove the copies that no release needs any more; ``used`` are the paths of Pythons."""
    if not directory.is_dir():
        return
    needed = {path.parent.parent for path in used}
    for own in directory.iterdir():
        if own not in needed and not own.name.startswith("."):
            shutil.rmtree(own, ignore_errors=True)
