"""Which runs may begin: so many at work in all and for each repository, so many more in the queue."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

from shipway.config import Settings
from shipway.domain.limits import Limits, numbers, rates
from shipway.domain.states import RunStatus
from shipway.engine.codec import decode
from shipway.errors import OverloadError
from shipway.store import waiting
from shipway.store.database import Connection


def limits_of(settings: Settings) -> Limits:
    """The limits that the settings set."""
    return Limits(
        capabilities=numbers(settings.capability_limits),
        rates=rates(settings.capability_rates),
        runs=settings.max_runs,
        runs_per_repository=settings.max_runs_per_repository,
        queue=settings.max_queued_runs,
    )


_SOONEST, _LATEST = 1, 600


class Admission:
    """Asks the database in each transaction, so that any number of processes agree.

    A run that waits for a person is not at work: it takes no room, and goes on at once when it
    is answered.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def door(self, connection: Connection) -> Door:
        """For the runs that begin in one transaction."""
        return Door(connection, self._limits)

    def may(self, connection: Connection, run: str) -> bool:
        """Whether a run that was found to have room still has it, and nobody takes it until the commit.

        Runs that begin in one commit are counted together: each is among those that ``next`` names.
        """
        waiting.alone(connection)
        return run in self.next(connection)[0]

    def next(self, connection: Connection) -> tuple[list[str], bool]:
        """The runs that may begin now, and whether others still have to wait.

        The higher priority goes first, then the older run.
        """
        working, queued = waiting.counts(connection)
        room = self._limits.runs - working
        if not queued or room <= 0:
            return [], queued > 0
        busy: Counter[Any] = Counter()
        if self._limits.runs_per_repository:
            busy = _repositories(waiting.submissions(connection, RunStatus.RUNNING))
        found: list[str] = []
        for run, repository in _in_line(waiting.submissions(connection, RunStatus.QUEUED)):
            if len(found) == room:
                break
            if busy[repository] < (self._limits.runs_per_repository or math.inf):
                busy[repository] += 1
                found.append(run)
        return found, queued > len(found)


class Door:
    """What was at work when the transaction began, and whatever was let in or held back since."""

    def __init__(self, connection: Connection, limits: Limits) -> None:
        self._connection = connection
        self._limits = limits
        waiting.alone(connection)
        self._working, self._queued = waiting.counts(connection)
        self._busy: Counter[Any] | None = None

    def hold(self, submission: Mapping[str, Any], now: float) -> str | None:
        """Why a new run cannot begin yet; None if it can. Raises OverloadError if the queue is full."""
        repository = submission.get("repository")
        reason = self._reason(repository)
        if reason is None:
            self._working += 1
            if self._busy is not None:
                self._busy[repository] += 1
            return None
        if self._queued >= self._limits.queue:
            raise self._full(now)
        self._queued += 1
        return reason

    def _reason(self, repository: Any) -> str | None:
        if self._queued:
            return f"waits to begin behind {self._queued} other{'s' if self._queued > 1 else ''}"
        if self._working >= self._limits.runs:
            return f"waits to begin: {self._working} of {self._limits.runs} runs are at work"
        if self._limits.runs_per_repository:
            if self._busy is None:
                at_work = waiting.submissions(self._connection, RunStatus.RUNNING)
                self._busy = _repositories(at_work)
            busy = self._busy[repository]
            if busy >= self._limits.runs_per_repository:
                return f"waits to begin: {busy} at work on its repository already"
        return None

    def _full(self, now: float) -> OverloadError:
        pace = waiting.pace(self._connection, now)
        after = _LATEST if pace is None else round(min(max(pace, _SOONEST), _LATEST))
        return OverloadError(
            f"{self._queued} runs wait to begin already, and no more may",
            hint=f"try again in about {after} s, or raise SHIPWAY_MAX_QUEUED_RUNS",
            retry_after=after,
        )


def _repositories(found: list[tuple[str, bytes]]) -> Counter[Any]:
    return Counter(decode(submission).get("repository") for _, submission in found)


def _in_line(found: list[tuple[str, bytes]]) -> list[tuple[str, Any]]:
    """Runs with their repositories; the list comes with the oldest first."""
    read = [(run, decode(submission)) for run, submission in found]
    read.sort(key=lambda one: -one[1].get("priority", 0))
    return [(run, submission.get("repository")) for run, submission in read]
