"""A command while it runs in its fence: its output, its end, and the line that holds it alive."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import subprocess
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from shipway.contracts.evidence import FenceReport
from shipway.errors import FenceError
from shipway.resilience import deadline
from shipway.workspace.command import Command, Finished
from shipway.workspace.output import Kept, Lines

_CHUNK = 1 << 16
_TICK_S = 0.1
_WALLS_WITHIN_S = 60.0
_DEATH_WITHIN_S = 5.0


class Running:
    """A started command. Leaving it as a context manager ends it with everything it started.

    ``control`` is the pipe whose closing ends the fence: by ``stop``, or by the kernel when this
    process dies in whatever way.
    """

    def __init__(
        self,
        command: Command,
        process: subprocess.Popen[bytes],
        control: int,
        status: int,
        report: FenceReport,
        on_line: Callable[[str], None] | None = None,
    ) -> None:
        self.command = command
        self._process = process
        self._control: int | None = control
        self._report = report
        self._started = (datetime.now(UTC), time.monotonic())
        self._ended = self._started
        #: Its own limit, or what is left to whoever it works for.
        self._until = self._started[1] + deadline.most(command.limits.seconds)
        limit = command.limits.output_mb << 20
        self._output, self._stdout = Kept(limit), Kept(limit)
        self._lines = Lines(on_line) if on_line else None
        self._facts: dict[str, Any] = {}
        self._told, self._done = threading.Event(), threading.Event()
        self._lock = threading.Lock()
        self._killed_for: str | None = None
        self._trouble: BaseException | None = None
        threading.Thread(target=self._pump, args=(status,), daemon=True).start()

    @property
    def pid(self) -> int:
        """The process whose network namespace the command lives in."""
        return self._process.pid

    def output(self) -> bytes:
        """What it has printed so far."""
        with self._lock:
            return self._output.all()

    def poll(self) -> int | None:
        """The exit code, negative for a signal, or None while it runs."""
        if not self._done.is_set():
            return None
        code = self._facts.get("code")
        return -9 if code is None else int(code)

    def ask_to_end(self) -> None:
        """Send SIGTERM to the command; what it does then is its own affair."""
        with self._lock, contextlib.suppress(BrokenPipeError):
            if self._control is not None:
                os.write(self._control, b"T")

    def stop(self, grace: float = 5.0) -> Finished:
        """SIGTERM, ``grace`` seconds, then the end of it and of everything it started."""
        self.ask_to_end()
        self._done.wait(grace)
        return self._end()

    def wait(self, cancel: threading.Event | None = None) -> Finished:
        """Wait until it ends, its time is up, or ``cancel`` is set."""
        while not self._done.wait(max(0.0, min(_TICK_S, self._until - time.monotonic()))):
            if cancel is not None and cancel.is_set():
                self._killed_for = "cancelled"
            elif time.monotonic() >= self._until:
                self._killed_for = "timed_out"
            else:
                continue
            break
        return self._end()

    def wait_for_walls(self) -> None:
        """Raises FenceError when the walls could not be put up: the command did not run then."""
        if not self._told.wait(_WALLS_WITHIN_S):
            self._end()
            raise FenceError("the fence did not come up in time", hint="see `shipway doctor`")
        if "walls" not in self._facts or "failed" in self._facts:
            self._end()
            reason = self._facts.get("failed") or self.output().decode(errors="replace").strip()
            raise FenceError(
                f"the fence cannot be put up: {reason or 'it ended at once'}",
                hint="see `shipway doctor` for which wall is missing and how to allow it",
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.stop()
        else:
            self._end()

    # -- inside -------------------------------------------------------------------------------

    def _end(self) -> Finished:
        self._let_go()
        if not self._done.wait(_DEATH_WITHIN_S):
            self._process.kill()
            self._done.wait()
        if self._trouble is not None:
            raise self._trouble
        return self._finished()

    def _let_go(self) -> None:
        with self._lock:
            control, self._control = self._control, None
        if control is not None:
            os.close(control)

    def _pump(self, status: int) -> None:
        """Read everything until all ends are closed; runs in a thread of its own."""
        out, err = self._process.stdout, self._process.stderr
        assert out is not None  # noqa: S101 - started with pipes
        assert err is not None  # noqa: S101
        told = b""
        with selectors.DefaultSelector() as selector:
            for handle in (out.fileno(), err.fileno(), status):
                selector.register(handle, selectors.EVENT_READ)
            while selector.get_map():
                for key, _ in selector.select():
                    data = os.read(key.fd, _CHUNK)
                    if not data:
                        selector.unregister(key.fd)
                    elif key.fd == status:
                        told = self._learn(told + data)
                    else:
                        self._collect(data, stdout=key.fd == out.fileno())
        os.close(status)
        out.close()
        err.close()
        self._process.wait()
        self._ended = (datetime.now(UTC), time.monotonic())
        self._pass_on(None)
        self._told.set()
        self._done.set()

    def _learn(self, told: bytes) -> bytes:
        *whole, rest = told.split(b"\n")
        for line in whole:
            self._facts |= json.loads(line)
        if whole:
            self._told.set()
        return rest

    def _collect(self, data: bytes, *, stdout: bool) -> None:
        with self._lock:
            self._output.add(data)
            if stdout:
                self._stdout.add(data)
        self._pass_on(data)

    def _pass_on(self, data: bytes | None) -> None:
        """Lines to whoever listens; a listener that fails stops listening, not the command."""
        if self._lines is None:
            return
        try:
            if data is None:
                self._lines.end()
            else:
                self._lines.add(data)
        except BaseException as error:  # noqa: BLE001 - raised in the waiting thread by _end
            self._trouble, self._lines = error, None

    def _finished(self) -> Finished:
        code = self._facts.get("code")
        killed = self._killed_for if code is None else None
        trouble = self._facts.get("trouble")
        output = self._output.all()
        if trouble:
            output += f"shipway: {self.command.argv[0]}: {trouble}\n".encode()
        return Finished(
            argv=self.command.argv,
            exit_code=code if code is not None and code >= 0 else None,
            signal=9 if code is None else -code if code < 0 else None,
            timed_out=killed == "timed_out",
            cancelled=killed == "cancelled",
            truncated=self._output.truncated,
            output=output,
            stdout=self._stdout.all(),
            started_at=_stamp(self._started[0]),
            ended_at=_stamp(self._ended[0]),
            seconds=self._ended[1] - self._started[1],
            fence=self._report.model_copy(update=self._facts.get("walls", {})),
            missing=bool(trouble) and code == 127,
            exceeded=self._facts.get("exceeded"),
        )


def _stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
