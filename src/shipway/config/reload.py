"""Takes over, on SIGHUP, what may change under a running process; says what needs a restart."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import FrameType
from typing import Any

import structlog

from shipway.config.load import load
from shipway.config.setting import as_text, declared
from shipway.config.tree import Settings
from shipway.errors import ConfigurationError

_log = structlog.get_logger("settings")

Act = Callable[[Settings], object]


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What came of one look: names of settings, or the faults that kept everything as it was."""

    changed: tuple[str, ...] = ()
    needs_restart: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()


class Live:
    """The settings of a process while it lives. ``options`` are those that it was started with."""

    def __init__(self, settings: Settings, options: Mapping[str, Any] | None = None) -> None:
        self.settings = settings
        self._options = dict(options or {})
        self._acts: dict[str, list[Act]] = {}
        self._looking = threading.Lock()

    def when_changed(self, name: str, act: Act) -> None:
        """Call ``act`` with the new settings when this one changes; only reloadable ones do."""
        self._acts.setdefault(name, []).append(act)

    def tell(self) -> None:
        """Write into the log what is in force, secrets masked: the first thing to look at later."""
        chosen = {one.name: as_text(getattr(self.settings, one.name)) for one in declared(Settings)}
        _log.info("settings in force", **chosen)

    def listen(self) -> None:
        """Look again on SIGHUP; only a process's main thread can listen."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGHUP, self._heard)

    def _heard(self, _number: int, _frame: FrameType | None) -> None:
        # Not in the handler: whatever holds a lock meanwhile may be waiting below it.
        threading.Thread(target=self.reload, name="reload", daemon=True).start()

    def reload(self) -> Reloaded:
        """Read everything again. One fault, and everything stays as it was."""
        with self._looking:
            try:
                after = load(self._options).settings
            except ConfigurationError as error:
                faults = tuple(error.details.get("faults", ()))
                _log.error("settings stay as they were: they cannot be used", faults=list(faults))
                return Reloaded(faults=faults)
            return self._take_over(after)

    def _take_over(self, after: Settings) -> Reloaded:
        before = self.settings
        differ = [one for one in declared(Settings) if _differs(one.name, before, after)]
        changed = tuple(one.name for one in differ if one.facts.reloadable)
        restart = tuple(one.name for one in differ if not one.facts.reloadable)
        self.settings = before.model_copy(update={name: getattr(after, name) for name in changed})
        for name in changed:
            for act in self._acts.get(name, ()):
                act(self.settings)
        _log.info("settings were read again", changed=changed, needs_restart=restart)
        return Reloaded(changed, restart)


def _differs(name: str, before: Settings, after: Settings) -> bool:
    return bool(getattr(before, name) != getattr(after, name))
