"""The flags of a process: evaluated from memory, kept fresh beside it, never in anybody's way."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from shipway.errors import ShipwayError
from shipway.flags.evaluate import (
    NOBODY,
    Context,
    Evaluation,
    Evaluator,
    Reason,
    evaluator,
    unit_of,
)
from shipway.flags.flag import Flag, Value
from shipway.flags.keeping import Keeping, Kept, documents_of, read_all, write_all
from shipway.flags.known import KNOWN

LOOK_EVERY = 0.4
"""Seconds between two looks for changes: everybody sees one within a second."""
_EXPOSURES_REMEMBERED = 65_536


def _log() -> Any:
    """The logger, imported when there is something to say: most commands have nothing."""
    import structlog

    return structlog.get_logger("flags")


@dataclass(frozen=True, slots=True)
class Exposure:
    """Somebody was shown a variant of a split, for the first time in this process."""

    flag: str
    version: int
    variant: str
    unit: str


class Flags:
    """``flags.on("gates.mutants", Context(repository=...))``; ``start`` keeps them fresh.

    Without a ``keeping`` the declared ones hold. When the keeping is out of reach the last ones that
    were seen go on to hold; ``last`` is a file that keeps them over a restart.
    """

    def __init__(
        self,
        keeping: Keeping | None = None,
        *,
        known: Mapping[str, Flag] = KNOWN,
        last: Path | None = None,
        exposed: Callable[[Exposure], None] | None = None,
    ) -> None:
        self._keeping = keeping
        self._known = dict(known)
        self._last = last
        self._exposed = exposed
        self._mark: object = self  # no mark is ever equal to this
        self._seen: OrderedDict[tuple[str, int, str, str], None] = OrderedDict()
        self._end = threading.Event()
        self._thread: threading.Thread | None = None
        self._looking = threading.Lock()
        self.stale = False
        self.unreadable: tuple[str, ...] = ()
        self.changed: list[Callable[[], None]] = []
        """Called after something changed, from the thread that saw it."""
        self._flags: dict[str, Flag] = {}
        self._evaluators: dict[str, Evaluator] = {}
        self._take({})

    # Asking

    def evaluate(self, key: str, context: Context = NOBODY) -> Evaluation:
        """What this context gets, and why; never raises."""
        ready = self._evaluators.get(key)
        if ready is None:
            return Evaluation(False, None, Reason.ERROR, "FLAG_NOT_FOUND")
        found = ready(context)
        if found.reason is Reason.SPLIT and self._exposed is not None:
            self._expose(key, found, context)
        return found

    def on(self, key: str, context: Context = NOBODY) -> bool:
        """Whether a boolean flag is on."""
        return self.evaluate(key, context).value is True

    def value(self, key: str, context: Context = NOBODY) -> Value:
        return self.evaluate(key, context).value

    def all(self) -> dict[str, Flag]:
        return dict(self._flags)

    def expired(self, today: date | None = None) -> list[Flag]:
        """Flags whose time is up: their owners should decide for good and remove them."""
        now = today or datetime.now(UTC).date()
        return [flag for flag in self._flags.values() if flag.is_expired(now)]

    def _expose(self, key: str, found: Evaluation, context: Context) -> None:
        flag = self._flags[key]
        unit = unit_of(flag, context)
        if unit is None or found.variant is None or self._exposed is None:
            return
        seen = (key, flag.version, found.variant, unit)
        if seen in self._seen:
            return
        self._seen[seen] = None
        while len(self._seen) > _EXPOSURES_REMEMBERED:
            self._seen.popitem(last=False)
        self._exposed(Exposure(key, flag.version, found.variant, unit))

    # Keeping fresh

    def start(self) -> None:
        """Look for changes from now on; what can be read now holds when this returns."""
        self._end.clear()
        self.look()
        for flag in self.expired():
            _log().warning(
                "flag expired", flag=flag.key, owner=flag.owner, expires=str(flag.expires)
            )
        if self._keeping is not None:
            self._thread = threading.Thread(target=self._work, name="flags", daemon=True)
            self._thread.start()

    def stop(self, seconds: float = 1.0) -> None:
        self._end.set()
        if self._thread is not None:
            self._thread.join(seconds)

    def look(self) -> bool:
        """Take over what changed; False when nothing did, or nobody could tell."""
        if self._keeping is None:
            return False
        with self._looking:
            try:
                mark = self._keeping.mark()
                if mark == self._mark:
                    self._fresh(stale=False)
                    return False
                kept = self._keeping.load()
            except (ShipwayError, OSError) as error:
                self._lost(error)
                return False
            self._mark = mark
            self._fresh(stale=False)
            self._take_over(kept)
        for tell in self.changed:
            tell()
        return True

    def _work(self) -> None:
        while not self._end.wait(LOOK_EVERY):
            try:
                self.look()
            except Exception:  # noqa: BLE001 - told; the next look may go better
                _log().exception("flags cannot be read")

    def _lost(self, error: Exception) -> None:
        """The last that was seen goes on to hold; right after a start that is the file of before."""
        first = self._mark is self
        if first and self._last is not None:
            try:
                self._take(read_all(documents_of(self._last)).flags)
            except (ShipwayError, OSError):
                _log().warning("the flags that held last cannot be read", file=str(self._last))
        if not self.stale:
            _log().warning("flags are out of reach; the last ones hold", error=type(error).__name__)
        self._fresh(stale=True)

    def _fresh(self, *, stale: bool) -> None:
        if self.stale and not stale:
            _log().info("flags are in reach again")
        self.stale = stale

    def _take_over(self, kept: Kept) -> None:
        """A flag that cannot be read stays what it was before."""
        before = {key: self._flags[key] for key in kept.unreadable if key in self._flags}
        if kept.unreadable:
            _log().warning(
                "flags that this version cannot read stay as they were", flags=kept.unreadable
            )
        self.unreadable = kept.unreadable
        self._take(before | dict(kept.flags))
        if self._last is not None:
            flags = {key: json.loads(flag.model_dump_json()) for key, flag in kept.flags.items()}
            try:
                write_all(self._last, flags)
            except OSError as error:
                _log().warning("the flags cannot be kept for the next start", error=error.strerror)

    def _take(self, kept: Mapping[str, Flag]) -> None:
        flags = self._known | dict(kept)
        self._evaluators = {key: evaluator(flag) for key, flag in flags.items()}
        self._flags = flags
