"""Keeps a system from growing without end: records, run folders and artifacts go by policy.

Everything is done in small steps, so that whoever takes them may do something else in between.
Every place of the state directory has a rule: ``PLACES`` here, ``retention.RULES`` for tables.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from shipway.config import Settings
from shipway.engine.places import Places
from shipway.store import retention
from shipway.store.artifacts import ArtifactStore
from shipway.store.database import Connection, Database
from shipway.store.retention import Policy

DAY = 86400.0
#: Files are made a little before the row that names them is written.
_MARGIN = DAY
_FOLDERS_AT_ONCE = 50

#: Every place of the state directory and what becomes of it.
PLACES: dict[str, str] = {
    "shipway.db": "rows go by the rules of their tables",
    "shipway.db-wal": "SQLite keeps it small",
    "shipway.db-shm": "SQLite's own",
    "shipway.migrating": "one empty file",
    "runs": "a folder goes when its run ended long enough ago, or when there is no such run",
    "artifacts": "a file goes when it is older than every run that is kept",
    "logs": "rotated and bounded by whoever writes them",
    "engine.lock": "one small file",
    "engine.starting": "one small file",
    "bells": "one socket for each process that listens; who rings removes those of the dead",
    "tidied": "one empty file",
    "backup.lock": "one empty file",
    "restoring": "one empty file, gone when the restore is done",
    "fleet-mark": "one line",
    "releases": "the room of releases keeps the live one and the last good ones",
    "services": "one folder for each service that is deployed",
    "repositories": "yours: what Shipway was asked to make",
    "backups": "yours: remove them as you like",
}

Write = Callable[[Callable[[Connection], Any]], Any]


@dataclass(frozen=True, slots=True)
class Swept:
    """What went, or would go."""

    runs: int = 0
    commands: int = 0
    pipelines: int = 0
    folders: int = 0
    artifacts: int = 0
    bytes: int = 0

    def __add__(self, other: Swept) -> Swept:
        mine, theirs = self._figures(), other._figures()
        return Swept(*(a + b for a, b in zip(mine, theirs, strict=True)))

    def _figures(self) -> tuple[int, ...]:
        return (
            self.runs,
            self.commands,
            self.pipelines,
            self.folders,
            self.artifacts,
            self.bytes,
        )


class Housekeeping:
    """One policy over records and files; every step is safe to repeat and to leave out."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        artifacts: ArtifactStore,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._places = Places(settings.home)
        self._database = database
        self._artifacts = artifacts
        self._now = now

    @property
    def policy(self) -> Policy:
        now, days = self._now(), self._settings.keep_runs_days
        return Policy(
            ended_before=now - days * DAY if days else None,
            newest=self._settings.keep_newest_runs,
            answered_before=now - self._settings.keep_commands_days * DAY,
        )

    def is_due(self) -> bool:
        """Whether nobody has tidied this state directory within a day."""
        try:
            return self._places.tidied.stat().st_mtime < self._now() - DAY
        except FileNotFoundError:
            return True

    def note_done(self) -> None:
        self._places.tidied.touch()

    def plan(self) -> Swept:
        """What would go now."""
        with self._database.reading() as connection:
            records = Swept(
                runs=retention.count_old_runs(connection, self.policy),
                commands=retention.count_answered(connection, self.policy),
            )
        found = records
        for folder in self._old_folders():
            found += Swept(folders=1, bytes=_size(folder))
        for path in self._old_artifacts():
            found += Swept(artifacts=1, bytes=path.stat().st_size)
        return found

    def records(self, write: Write) -> Iterator[Swept]:
        """Delete old rows, a batch in each step; ``write`` gives each a transaction of its own."""
        while gone := write(lambda connection: retention.forget_runs(connection, self.policy)):
            yield Swept(runs=len(gone))
        while count := write(lambda connection: retention.forget_answered(connection, self.policy)):
            yield Swept(commands=count)
        if count := write(retention.forget_pipelines):
            yield Swept(pipelines=count)
        write(lambda connection: retention.forget_flag_changes(connection, self.policy))

    def files(self) -> Iterator[Swept]:
        """Delete folders and artifacts that nothing kept can need, one in each step."""
        for folder in self._old_folders():
            size = _size(folder)
            if not self._remove(folder):
                return
            yield Swept(folders=1, bytes=size)
        for path in self._old_artifacts():
            size = path.stat().st_size
            if not self._remove(path):
                return
            yield Swept(artifacts=1, bytes=size)

    def _remove(self, path: Path) -> bool:
        """Not while a backup is made, which may count on the file; what is left goes another day."""
        with _locked(self._places.still, fcntl.LOCK_EX | fcntl.LOCK_NB) as free:
            if free and path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif free:
                path.unlink(missing_ok=True)
            return free

    def _old_folders(self) -> Iterator[Path]:
        """Of runs that ended long enough ago, and of runs that never came to be."""
        days, now = self._settings.keep_run_files_days, self._now()
        before = now - days * DAY if days else 0.0
        root = self._places.run("")
        names = sorted(path.name for path in root.iterdir()) if root.is_dir() else []
        for some in _chunks(names, _FOLDERS_AT_ONCE):
            with self._database.reading() as connection:
                there = retention.known(connection, some)
                ended = retention.ended_before(connection, some, before)
            for name in some:
                folder = root / name
                if name in ended or (name not in there and _age(folder, now) > _MARGIN):
                    yield folder

    def _old_artifacts(self) -> Iterator[Path]:
        """Who writes an artifact again makes it young: what is older than every run is needed by none."""
        if not self._settings.keep_runs_days:
            return
        with self._database.reading() as connection:
            oldest = retention.oldest_kept(connection)
        limit = self._now() if oldest is None else oldest
        yield from self._artifacts.older_than(limit - _MARGIN)


@contextmanager
def standing_still(places: Places) -> Iterator[None]:
    """Within it no file of the state directory is removed by policy."""
    with _locked(places.still, fcntl.LOCK_SH):
        yield


def is_still(places: Places) -> bool:
    """Whether a backup is being made."""
    with _locked(places.still, fcntl.LOCK_EX | fcntl.LOCK_NB) as free:
        return not free


@contextmanager
def _locked(path: Path, how: int) -> Iterator[bool]:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, how)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(handle)


def _chunks(names: list[str], size: int) -> Iterator[list[str]]:
    rest = iter(names)
    while some := list(islice(rest, size)):
        yield some


def _age(path: Path, now: float) -> float:
    try:
        return now - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.lstat().st_size
        except FileNotFoundError:
            continue  # somebody else removes it, too
    return total
