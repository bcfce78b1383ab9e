"""The flags of this installation: in the file that the settings name, else in the database."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shipway.config import Settings
from shipway.flags.editing import Switchboard
from shipway.flags.flags import Exposure, Flags
from shipway.flags.keeping import FileKeeping, Keeping
from shipway.flags.shared import DatabaseKeeping
from shipway.store.database import Database
from shipway.store.opening import database as unopened
from shipway.store.opening import prepare

_LAST = "flags.last.json"


def keeping(settings: Settings, database: Database) -> Keeping:
    if settings.flags_path is not None:
        return FileKeeping(settings.flags_path, time.time)
    return DatabaseKeeping(database, time.time)


def flags_of(settings: Settings, database: Database) -> Flags:
    """The flags of a process that lives for a while; ``start`` keeps them fresh."""
    return Flags(keeping(settings, database), last=settings.home / _LAST, exposed=_note)


def flags_now(settings: Settings, path: Path) -> Flags:
    """The flags as they stand, for a command that makes no database and goes on without one.

    ``path`` is where the embedded database is, or would be.
    """
    if settings.flags_path is None and settings.database_url is None and not path.exists():
        return Flags()
    database = unopened(path, settings)
    found = Flags(keeping(settings, database), last=settings.home / _LAST)
    found.look()
    database.close()
    return found


@contextmanager
def open_flags(settings: Settings, path: Path) -> Iterator[Switchboard]:
    """Every flag, to look at and to change."""
    if settings.flags_path is not None:
        yield Switchboard(FileKeeping(settings.flags_path, time.time))
        return
    database = prepare(path, settings)
    try:
        yield Switchboard(DatabaseKeeping(database, time.time))
    finally:
        database.close()


def _note(seen: Exposure) -> None:
    import structlog

    structlog.get_logger("flags").info(
        "flag exposure", flag=seen.flag, variant=seen.variant, unit=seen.unit, version=seen.version
    )
