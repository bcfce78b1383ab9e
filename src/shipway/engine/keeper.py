"""What an operator does with the database: migrate, check, back up, restore, tidy."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shipway.config import Settings
from shipway.engine.housekeeping import Housekeeping, Swept, is_still
from shipway.engine.owner import is_owned
from shipway.engine.places import Places
from shipway.errors import ConflictError
from shipway.store.artifacts import ArtifactStore
from shipway.store.database import Connection
from shipway.store.opening import database, prepare

if TYPE_CHECKING:
    from shipway.engine.saved import Saved


class Keeper:
    """Opens nothing before it is asked; what is imported for it costs half a second."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._places = Places(settings.home)
        self._database = database(self._places.database, settings)

    @property
    def name(self) -> str:
        return self._database.name

    def revision(self) -> str | None:
        return self._database.revision()

    def pending(self) -> list[str]:
        from shipway.store.migrate import pending

        return pending(self._database)

    def migrate(self) -> list[str]:
        from shipway.store.migrate import migrate

        return migrate(self._database)

    def check(self) -> list[str]:
        from shipway.store.check import examine

        return examine(self._database)

    def rows(self) -> dict[str, int]:
        from shipway.store.copies import count_rows

        with self._database.reading() as connection:
            return count_rows(connection)

    def backup(
        self, target: Path | None, *, portable: bool, database_only: bool = False
    ) -> tuple[Path, Saved]:
        """Without ``target``: a new file in the state directory, named after the time."""
        from shipway.engine.saved import Saved, save
        from shipway.store.backup import backup

        stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
        place = target or self._places.home / "backups" / f"shipway-{stamp}.backup"
        if database_only:
            return place, Saved(backup(self._database, place, portable=portable))
        return place, save(self._database, self._places, place, portable=portable)

    def restore(self, source: Path) -> Saved:
        """Raises ConflictError while an engine owns the state directory."""
        from shipway.engine.saved import put_back

        if is_owned(self._places.lock):
            raise ConflictError(
                "an engine works on this state directory",
                hint="wait until it has nothing to do, or stop it; then restore",
            )
        return put_back(self._database, self._places, source)

    def plan(self) -> Swept:
        return self._housekeeping.plan()

    def prune(self) -> Swept:
        """Raises ConflictError while a backup is made, which counts on what is there."""
        if is_still(self._places):
            raise ConflictError("a backup is being made", hint="try again when it is done")
        total = Swept()
        for swept in self._housekeeping.records(self._write):
            total += swept
        for swept in self._housekeeping.files():
            total += swept
        self._housekeeping.note_done()
        return total

    def close(self) -> None:
        self._database.close()

    @cached_property
    def _housekeeping(self) -> Housekeeping:
        ready = prepare(self._places.database, self._settings)
        ready.close()
        return Housekeeping(self._settings, self._database, ArtifactStore(self._places.artifacts))

    def _write(self, work: Callable[[Connection], Any]) -> Any:
        with self._database.writing() as connection:
            return work(connection)
