"""What the faces ask: which runs there are, everything about one, its events, logs and diff."""

from __future__ import annotations

import re
from pathlib import Path

from shipway.agents.agent import Artifacts
from shipway.contracts.model import ArtifactRef
from shipway.contracts.views import AskView, EventView, FeedEvent, RunDetail, RunSummary
from shipway.domain.states import RunStatus
from shipway.engine.codec import state_of
from shipway.engine.detail import (
    detail,
    event_view,
    feed_event,
    quarantined,
    status_of,
    summary,
)
from shipway.engine.places import Places
from shipway.errors import CorruptRunError, NotFoundError
from shipway.store import listing, runs
from shipway.store.database import Connection, Database
from shipway.store.ledger import RunRow
from shipway.store.listing import Filter, Sort

_ATTEMPT_LOG = re.compile(r"^(?P<stage>.+)-(?P<attempt>\d+)\.log$")


class Queries:
    """Reads only; every method may be called from any thread."""

    def __init__(self, database: Database, home: Path, artifacts: Artifacts) -> None:
        self._database = database
        self._places = Places(home)
        self._artifacts = artifacts

    def resolve(self, ref: str) -> str:
        """The id of a run from its number, a unique prefix, or ``@last``; raises NotFoundError."""
        with self._database.reading() as connection:
            return runs.resolve(connection, ref)

    def runs(
        self, *, limit: int = 50, before: int | None = None, status: RunStatus | None = None
    ) -> list[RunSummary]:
        """Newest first; ``before`` is the number that the last page ended with."""
        wanted = Filter(() if status is None else (status,))
        after = None if before is None else f"{before}:{before}"
        found: list[RunSummary] = []
        while len(found) < limit:
            rows, after = self.page(wanted, limit=limit - len(found), after=after)
            found += rows
            if after is None:
                break
        return found

    def page(
        self, wanted: Filter, *, sort: Sort = "newest", limit: int = 50, after: str | None = None
    ) -> tuple[list[RunSummary], str | None]:
        """A page of the list and what the next one is asked for with; None after the last."""
        with self._database.reading() as connection:
            found = listing.page(connection, wanted, sort=sort, limit=limit, after=after)
            return [_summary(connection, row) for row in found.rows], found.next

    def summary(self, ref: str) -> RunSummary:
        with self._database.reading() as connection:
            return _summary(connection, runs.get(connection, runs.resolve(connection, ref)))

    def run(self, ref: str) -> RunDetail:
        """Raises NotFoundError; a run whose state cannot be read is shown as quarantined."""
        with self._database.reading() as connection:
            return _detail(connection, runs.resolve(connection, ref))

    def status(self, ref: str) -> RunStatus:
        with self._database.reading() as connection:
            return status_of(runs.get(connection, runs.resolve(connection, ref)))

    def inbox(self) -> list[AskView]:
        """Every open question, oldest run first."""
        waiting = self.runs(limit=1000, status=RunStatus.WAITING)
        active = self.runs(limit=1000, status=RunStatus.RUNNING)
        asks = [ask for one in (*waiting, *active) for ask in self.run(one.id).asks]
        return sorted((ask for ask in asks if ask.answered is None), key=lambda ask: ask.run)

    def events(self, ref: str, after: int = 0, limit: int | None = None) -> list[EventView]:
        with self._database.reading() as connection:
            run = runs.resolve(connection, ref)
            return [event_view(row) for row in runs.events(connection, run, after, limit)]

    def feed(self, after: int, limit: int) -> list[FeedEvent]:
        """The next events of all runs after a position, none ever skipped (see store.runs)."""
        with self._database.reading() as connection:
            return [feed_event(row) for row in runs.feed(connection, after, limit)]

    def position_now(self) -> int:
        """The position of the newest event."""
        with self._database.reading() as connection:
            return runs.position_now(connection)

    def log(self, ref: str, stage: str | None = None, attempt: int | None = None) -> bytes:
        """The log of a stage's attempt (the last one), or of all stages in the order they began."""
        folder = self._places.run(self.resolve(ref)) / "logs"
        found = sorted(_logs(folder), key=lambda log: log[2].stat().st_mtime)
        if stage is not None:
            found = [log for log in found if log[0] == stage]
            wanted = attempt or max((log[1] for log in found), default=0)
            found = [log for log in found if log[1] == wanted]
        if not found and stage is not None:
            raise NotFoundError(
                f"no log of {stage}", hint="it may not have started; see: shipway run view"
            )
        return b"".join(path.read_bytes() for _, _, path in found)

    def diff(self, ref: str) -> bytes:
        """What the run changed, as a patch; raises NotFoundError while there is none."""
        for stage in reversed(self.run(ref).stages):
            change = (stage.result or {}).get("diff")
            if change is not None:
                return self._artifacts.read(ArtifactRef.model_validate(change))
        raise NotFoundError(
            "the run has not made a change yet", hint="see how far it is: shipway run view"
        )

    def evidence(self, ref: str) -> bytes:
        """evidence.json of a run; raises NotFoundError while it is not written."""
        try:
            return self._places.evidence(self.resolve(ref)).read_bytes()
        except FileNotFoundError:
            raise NotFoundError(
                "the run has no evidence yet", hint="it is written when the run ends or rests"
            ) from None

    def interrupted(self) -> int:
        with self._database.reading() as connection:
            return runs.interrupted(connection)

    def change_mark(self) -> object:
        """Differs from the last one of this thread whenever somebody has committed."""
        with self._database.reading() as connection:
            return runs.change_mark(connection)


def _detail(connection: Connection, run: str) -> RunDetail:
    row = runs.get(connection, run)
    history = runs.events(connection, run)
    try:
        state = state_of(row, history)
        return detail(row, state, history, runs.progress(connection, run))
    except CorruptRunError as error:
        return quarantined(row, error, history)
    except (ValueError, KeyError, TypeError) as error:
        unreadable = CorruptRunError(f"the history of run {row.number} cannot be read")
        unreadable.__cause__ = error
        return quarantined(row, unreadable, history)


def _summary(connection: Connection, row: RunRow) -> RunSummary:
    try:
        return summary(row, state_of(row, runs.events(connection, row.id)))
    except CorruptRunError as error:
        return quarantined(row, error, ()).summary


def _logs(folder: Path) -> list[tuple[str, int, Path]]:
    matches = ((_ATTEMPT_LOG.match(path.name), path) for path in folder.glob("*.log"))
    return [(match["stage"], int(match["attempt"]), path) for match, path in matches if match]
