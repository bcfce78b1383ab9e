"""What the faces ask: which runs there are, everything about one, its events, logs and diff."""

from __future__ import annotations

import re
from pathlib import Path

from shipway.agents.agent import Artifacts
from shipway.contracts.model import ArtifactRef
from shipway.contracts.views import AskView, EventView, RunDetail, RunSummary
from shipway.domain.states import RunStatus
from shipway.engine.codec import state_of
from shipway.engine.detail import detail, event_view, quarantined, summary
from shipway.engine.places import Places
from shipway.errors import CorruptRunError, NotFoundError
from shipway.store import runs
from shipway.store.database import Database
from shipway.store.ledger import RunRow, results

_ATTEMPT_LOG = re.compile(r"^(?P<stage>.+)-(?P<attempt>\d+)\.log$")


class Queries:
    """Reads only; every method may be called from any thread."""

    def __init__(self, database: Database, home: Path, artifacts: Artifacts) -> None:
        self._database = database
        self._places = Places(home)
        self._artifacts = artifacts

    def resolve(self, ref: str) -> str:
        """The id of a run from its number, a unique prefix, or ``@last``; raises NotFoundError."""
        return runs.resolve(self._database.reader(), ref)

    def runs(
        self, *, limit: int = 50, before: int | None = None, status: RunStatus | None = None
    ) -> list[RunSummary]:
        """Newest first."""
        rows = runs.newest(self._database.reader(), limit=limit, before=before, status=status)
        return [self._summary(row) for row in rows]

    def run(self, ref: str) -> RunDetail:
        """Raises NotFoundError; a run whose state cannot be read is shown as quarantined."""
        connection = self._database.reader()
        row = runs.get(connection, self.resolve(ref))
        history = runs.events(connection, row.id)
        try:
            state = state_of(row, results(connection, row.id))
            return detail(row, state, history, runs.progress(connection, row.id))
        except CorruptRunError as error:
            return quarantined(row, error)

    def status(self, ref: str) -> RunStatus:
        return RunStatus(runs.get(self._database.reader(), self.resolve(ref)).status)

    def inbox(self) -> list[AskView]:
        """Every open question, oldest run first."""
        waiting = self.runs(limit=1000, status=RunStatus.WAITING)
        active = self.runs(limit=1000, status=RunStatus.RUNNING)
        asks = [ask for one in (*waiting, *active) for ask in self.run(one.id).asks]
        return sorted((ask for ask in asks if ask.answered is None), key=lambda ask: ask.run)

    def events(self, ref: str, after: int = 0) -> list[EventView]:
        connection = self._database.reader()
        return [event_view(row) for row in runs.events(connection, self.resolve(ref), after)]

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

    def interrupted(self) -> int:
        return runs.interrupted(self._database.reader())

    def data_version(self) -> int:
        return runs.data_version(self._database.reader())

    def _summary(self, row: RunRow) -> RunSummary:
        try:
            return summary(row, state_of(row, results(self._database.reader(), row.id)))
        except CorruptRunError as error:
            return quarantined(row, error).summary


def _logs(folder: Path) -> list[tuple[str, int, Path]]:
    matches = ((_ATTEMPT_LOG.match(path.name), path) for path in folder.glob("*.log"))
    return [(match["stage"], int(match["attempt"]), path) for match, path in matches if match]
