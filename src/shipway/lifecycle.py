"""Starts parts in order and stops them in reverse, in time, whatever signals arrive meanwhile."""

from __future__ import annotations

import faulthandler
import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

import structlog

from shipway.errors import ExitCode

_log = structlog.get_logger()


def _nothing(_seconds: float) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Part:
    """Something that lives as long as the process.

    ``drain`` takes no new work and lets what is in hand end; ``stop`` lets go of everything. Both
    get the seconds that are left and must come back in that time.
    """

    name: str
    start: Callable[[], None]
    stop: Callable[[float], None] = _nothing
    drain: Callable[[float], None] = _nothing


class Lifecycle:
    """``with lifecycle.signals(): lifecycle.start(); lifecycle.wait(); lifecycle.stop()``.

    The first SIGTERM or SIGINT asks for the end, the second one ends the draining at once. Should
    stopping take longer than it may, the watchdog prints where every thread hangs and ends the
    process: whatever was not written is what a restart recovers anyway.
    """

    def __init__(
        self,
        *parts: Part,
        drain_seconds: float = 24.0,
        stop_seconds: float = 5.0,
        ending: threading.Event | None = None,
        leave: Callable[[int], object] = os._exit,
    ) -> None:
        self._parts = parts
        self._running: list[Part] = []
        self._drain_seconds, self._stop_seconds = drain_seconds, stop_seconds
        self._leave = leave
        self._asked: list[int] = []
        self.ending = ending or threading.Event()
        self.hurried = threading.Event()

    @property
    def exit_code(self) -> int:
        """What the process should end with: 0, or the code of the signal that ended it."""
        if not self._asked:
            return ExitCode.DONE
        interrupted = self._asked[0] == signal.SIGINT
        return ExitCode.INTERRUPTED if interrupted else ExitCode.TERMINATED

    @contextmanager
    def signals(self) -> Iterator[None]:
        """Listen to SIGTERM and SIGINT; only a process's main thread can, elsewhere this does nothing."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._hear) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        self._asked.append(number)
        (self.hurried if self.ending.is_set() else self.ending).set()

    def start(self) -> None:
        """Start the parts in order; if one fails, those before it are stopped and its error rises."""
        for part in self._parts:
            try:
                part.start()
            except BaseException:
                self.hurried.set()
                self.stop()
                raise
            self._running.append(part)

    def wait(self, seconds: float | None = None) -> bool:
        """Rest until a signal or somebody's ``ending.set()``; False if the time was up before."""
        return self.ending.wait(seconds)

    def stop(self) -> None:
        """Drain in order, stop in reverse; a part that fails is logged and keeps nobody waiting."""
        self.ending.set()
        parts, self._running = self._running, []
        with self._watchdog():
            drained_by = time.monotonic() + self._drain_seconds
            for part in parts:
                self._drain(part, drained_by)
            stopped_by = time.monotonic() + self._stop_seconds
            for part in reversed(parts):
                _attempt(part.name, "stop", part.stop, stopped_by)

    def _drain(self, part: Part, deadline: float) -> None:
        """Let a part drain in a thread of its own, which is not waited for once we are hurried."""
        if self.hurried.is_set():
            return
        thread = threading.Thread(
            target=_attempt, args=(part.name, "drain", part.drain, deadline), daemon=True
        )
        thread.start()
        while thread.is_alive() and not self.hurried.is_set() and time.monotonic() < deadline:
            thread.join(0.02)

    @contextmanager
    def _watchdog(self) -> Iterator[None]:
        over = threading.Event()
        deadline = self._drain_seconds + self._stop_seconds + 1.0

        def watch() -> None:
            if not over.wait(deadline):
                faulthandler.dump_traceback(sys.__stderr__ or 2)
                self._leave(self.exit_code or ExitCode.BUG)

        dog = threading.Thread(target=watch, name="watchdog", daemon=True)
        dog.start()
        try:
            yield
        finally:
            over.set()
            dog.join()


def ends(code: int, within: float = 5.0, leave: Callable[[int], object] = os._exit) -> int:
    """The exit code of a process that is done: it leaves in time, whatever its threads still do.

    Python waits for every thread before it goes, and an agent that listens to nobody never ends.
    """

    def insist() -> None:
        time.sleep(within)
        faulthandler.dump_traceback(sys.__stderr__ or 2)
        leave(code)

    threading.Thread(target=insist, name="insist", daemon=True).start()
    return code


_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def _attempt(name: str, what: str, act: Callable[[float], None], deadline: float) -> None:
    try:
        act(max(0.0, deadline - time.monotonic()))
    except Exception as error:  # noqa: BLE001 - the other parts still have to end
        _log.error("a part did not end cleanly", part=name, step=what, error=repr(error))


def settle_memory() -> None:
    """Called once a process has loaded what it needs: none of that is ever collected.

    Walking it again and again for cycles costs the engine a fifth of its time; what comes and goes
    afterwards is looked through less often, and old things rarely.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)
