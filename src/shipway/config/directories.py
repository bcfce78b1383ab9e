"""The state and cache directories: made for their owner only, refused where they cannot be trusted."""

from __future__ import annotations

import os
from pathlib import Path

from shipway.config.tree import Settings
from shipway.errors import ConfigurationError
from shipway.health.ground import NETWORK, filesystem_of


def prepare(settings: Settings) -> None:
    """Make the state and cache directories, for their owner only.

    Raises ConfigurationError if they cannot be made or written, or if the state directory is on a
    network file system, where two machines could take themselves for its only engine.
    """
    kind = filesystem_of(settings.home)
    if kind in NETWORK:
        raise ConfigurationError(
            f"the state directory is on a network file system ({kind}): {settings.home}",
            hint="point SHIPWAY_HOME to a directory on a local disk",
        )
    for name, path in (("SHIPWAY_HOME", settings.home), ("SHIPWAY_CACHE", settings.cache)):
        try:
            _make_private(path)
        except OSError as error:
            raise ConfigurationError(
                f"{name} cannot be used: {error.strerror}: {path}",
                hint=f"point {name} to a directory that you may write",
            ) from None


def _make_private(path: Path) -> None:
    """Like mkdir --parents, but every directory that is made is for its owner only."""
    for place in reversed([path, *path.parents]):
        if not place.exists():
            place.mkdir(mode=0o700, exist_ok=True)
    if not path.is_dir():
        raise NotADirectoryError(20, "not a directory", str(path))
    if not os.access(path, os.W_OK | os.X_OK):
        raise PermissionError(13, "no permission to write there", str(path))
