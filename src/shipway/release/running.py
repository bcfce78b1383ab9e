"""One release as a running process: started on its slot, logged, drained, ended with all it started."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path

from shipway.release import processes, secrets_file
from shipway.release.ledger import ServiceLedger
from shipway.release.logfile import LogFile
from shipway.release.port import Port
from shipway.release.record import Release

_LAUNCHER = Path(__file__).with_name("launch.py")
_CHUNK = 1 << 16
_KILL_SECONDS = 5.0
_LAST_READS = 64
_LOOK_SECONDS = 0.01  # how soon a shared socket that was shut down is repaired
_PYTHONS = frozenset({"python", "python3"})


class Running:
    """A release on a slot. ``start`` may be called again once the process has ended."""

    def __init__(self, ledger: ServiceLedger, release: Release, port: Port, slot: int) -> None:
        self.id = release.id
        self.slot = slot
        self._release = release
        self._ledger = ledger
        self._port = port
        self._directory = ledger.release_directory(release.id)
        # A release may run twice for a moment, when a rollback returns to one that still drains.
        self._mark = self._directory / secrets.token_hex(8)
        self._process: subprocess.Popen[bytes] | None = None
        self._handle = -1
        self._log: LogFile | None = None
        self.ended = asyncio.Event()
        self.exit: int | None = None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError("the release was not started")
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self.exit is None

    @property
    def health_path(self) -> str:
        return self._release.health_path

    def start(self) -> None:
        """Start the process with the slot's socket; raises OSError when that is impossible."""
        listener = self._port.slot(self.slot)
        self._port.repair()
        listener.setblocking(True)  # who had it before may have changed the shared description
        self._log = LogFile(self._directory / "service.log")
        self._log.write(f"-- {self.id} starts on slot {self.slot}\n".encode())
        self.ended.clear()
        self.exit = None
        self._process = subprocess.Popen(
            self._command(listener.fileno()),
            cwd=self._directory / "tree",
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(listener.fileno(),),
            start_new_session=True,
        )
        self._watch()

    def _command(self, listener: int) -> list[str]:
        launch = [sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid()), str(listener)]
        first, *rest = self._release.start
        return [*launch, self._release.python if first in _PYTHONS else first, *rest]

    def _environment(self) -> dict[str, str]:
        known = secrets_file.read(self._ledger.secrets)
        own = Path(self._release.python).parent
        return {
            **{name: known[name] for name in self._release.environment if name in known},
            "PATH": f"{own}:/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "HOME": str(self._ledger.data),
            "TMPDIR": os.environ.get("TMPDIR", "/tmp"),  # noqa: S108 - the system's own default
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",  # the tree stays what was committed
            "LISTEN_FDS": "1",
            "STATE_DIRECTORY": str(self._ledger.data),
            processes.MARK: f"{self._mark}/",
        }

    def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        self._handle = os.pidfd_open(self.pid)
        loop.add_reader(self._handle, self._exited)
        output = self._output()
        os.set_blocking(output, False)
        loop.add_reader(output, self._read)

    def _output(self) -> int:
        if self._process is None or self._process.stdout is None:
            raise RuntimeError("the release was not started")
        return self._process.stdout.fileno()

    def _read(self) -> bool:
        """Move what the process wrote into its log; false when there is nothing (more)."""
        try:
            data = os.read(self._output(), _CHUNK)
        except BlockingIOError:
            return False
        if not data:
            asyncio.get_running_loop().remove_reader(self._output())
            return False
        self._write(data)
        return True

    def _write(self, data: bytes) -> None:
        if self._log is None:
            return
        try:
            self._log.write(data)
        except OSError as error:  # a full disk must not stop the service that fills it
            sys.stderr.write(f"{self.id}: its log cannot be written: {error.strerror}\n")

    def _exited(self) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._handle)
        os.close(self._handle)
        if self._process is None:
            return
        self.exit = self._process.wait()
        for _ in range(_LAST_READS):  # what it started may still write, and for ever
            if not self._read():
                break
        self._write(f"-- {self.id} {self.describe_exit()}\n".encode())
        loop.remove_reader(self._output())
        if self._process.stdout is not None:
            self._process.stdout.close()
        if self._log is not None:
            self._log.close()
            self._log = None
        self.ended.set()

    def describe_exit(self) -> str:
        """How the process ended, in words."""
        if self.exit is None:
            return "still runs"
        if self.exit < 0:
            return f"was killed by {signal.Signals(-self.exit).name}"
        return f"exited with code {self.exit}"

    async def drain(self, patience: float) -> bool:
        """Let it serve what it has accepted, then end it; true when it left by itself in time."""
        deadline = time.monotonic() + min(patience, 1.0)
        while self._port.waiting(self.slot) and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.01)  # the kernel does not tell when a queue has become empty
        return await self.stop(patience)

    async def stop(self, patience: float) -> bool:
        """SIGTERM, after ``patience`` s SIGKILL for it and everything that it started."""
        left = False
        if self.is_running:
            self._send(signal.SIGTERM)
            left = await self._gone(patience)
        await self.kill()
        return left

    async def kill(self) -> None:
        """End the process and all its descendants now."""
        deadline = time.monotonic() + _KILL_SECONDS
        while (left := self._left()) and time.monotonic() < deadline:
            for pid, began in left.items():
                processes.signal_exactly(pid, began, signal.SIGKILL)
            await asyncio.sleep(0.01)
        await self._gone(_KILL_SECONDS)

    def _left(self) -> dict[int, int]:
        """Who is left. The family is asked for while the pid is ours: buried, it may be anybody's."""
        found = processes.marked(self._mark)
        if self.is_running:
            found |= processes.family(self.pid)
        return found

    def _send(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    async def _gone(self, seconds: float) -> bool:
        if self._process is None:
            return True
        deadline = time.monotonic() + seconds
        while not self.ended.is_set() and time.monotonic() < deadline:
            self._port.repair()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.ended.wait(), _LOOK_SECONDS)
        self._port.repair()
        return self.ended.is_set()
