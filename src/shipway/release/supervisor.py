"""The process that outlives every command: holds a service's port and keeps its release alive.

``python -m shipway.release.supervisor HOME SERVICE PORT`` takes the lock, the port and the control
socket, prints one JSON line that says which port it has or why it cannot start, and goes on in the
background in a session of its own. It uses the standard library only, so that it stays small.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import fcntl
import io
import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from shipway.errors import (
    ConfigurationError,
    ConflictError,
    NotFoundError,
    ShipwayError,
    StoppedError,
    UsageError,
)
from shipway.release import control, processes
from shipway.release.ledger import ServiceLedger, now, write_whole
from shipway.release.logfile import LogFile
from shipway.release.port import Port, PortTakenError
from shipway.release.record import Release
from shipway.release.switch import Service
from shipway.telemetry.failures import told

_PR_SET_CHILD_SUBREAPER = 36
_PATIENCE_SECONDS = 30.0  # for the first command, before a supervisor with nothing to do leaves
_BODY = b"no release of this service is live\n"
_UNAVAILABLE = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\n"
    b"Content-Type: text/plain\r\nContent-Length: %d\r\n\r\n%b" % (len(_BODY), _BODY)
)


class AlreadyHeldError(Exception):
    """Another supervisor of this service lives."""


def take_lock(ledger: ServiceLedger) -> None:
    """The lock that says that a supervisor lives; the kernel lets it go when the process dies."""
    descriptor = os.open(ledger.supervisor_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise AlreadyHeldError from None


class Supervisor:
    """Takes commands for one service until there is nothing left to hold."""

    def __init__(self, ledger: ServiceLedger, port: Port, log: LogFile) -> None:
        self._ledger = ledger
        self._log = log
        self._port = port
        self._service = Service(ledger, port, self.note)
        self._running: dict[str, asyncio.Task[Release]] = {}
        self._listeners: dict[str, list[Callable[[str], None]]] = {}

    def note(self, text: str) -> None:
        """One line for the supervisor's own log; a full disk must not stop it."""
        with contextlib.suppress(OSError):
            self._log.write(f"{now()} {text}\n".encode())

    async def run(self, listener: socket.socket) -> None:
        """Until stopped: by a command, by SIGTERM, or by having nothing to do."""
        loop = asyncio.get_running_loop()
        leave = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, leave.set)
        loop.add_signal_handler(signal.SIGCHLD, self._bury)
        lobby = await asyncio.start_server(self._decline, sock=self._port.lobby)
        desk = control.Desk(self._handle)
        await desk.open(listener)
        self.note(f"supervisor {os.getpid()} holds port {self._port.number}")
        if self._ledger.state().live is not None:
            self._start("restore", self._service.restore)
        await self._until_idle(leave)
        self.note("supervisor leaves")
        await self._service.leave()
        lobby.close()
        await desk.close()

    async def _until_idle(self, leave: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        first = loop.call_later(_PATIENCE_SECONDS, self._service.idle.set)
        told = loop.create_task(leave.wait())
        while True:
            idle = loop.create_task(self._service.idle.wait())
            await asyncio.wait([told, idle], return_when=asyncio.FIRST_COMPLETED)
            idle.cancel()
            if told.done() or self._service.is_broken or self._service.is_idle:
                break
            self._service.idle.clear()
        first.cancel()
        told.cancel()

    @staticmethod
    async def _decline(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """In the lobby: nothing is live, and a clear answer is better than silence."""
        try:
            async with asyncio.timeout(5):
                await reader.readuntil(b"\r\n\r\n")
                writer.write(_UNAVAILABLE)
                await writer.drain()
        except (TimeoutError, OSError, EOFError, asyncio.LimitOverrunError):
            writer.transport.abort()
        else:
            writer.close()

    def _bury(self) -> None:
        """Reap the orphans of releases, which come to us; our own children have their handles."""
        own = self._service.children()
        while True:
            try:
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if found is None:
                return
            if found.si_pid in own:
                asyncio.get_running_loop().call_later(0.1, self._bury)  # look behind it soon
                return
            with contextlib.suppress(ChildProcessError):
                os.waitpid(found.si_pid, os.WNOHANG)

    # -- commands ---------------------------------------------------------------------------------

    async def _handle(self, request: dict[str, Any], say: Callable[[str], None]) -> dict[str, Any]:
        operation, release = request.get("op"), str(request.get("release", ""))
        if operation == "status":
            return self._service.status()
        if operation == "deploy":
            return await self._shared(
                release, lambda tell: self._service.deploy(release, tell), say
            )
        if operation == "restore":
            return await self._shared("restore", self._service.restore, say)
        if operation == "rollback":
            return await self._shared("rollback", self._service.rollback, say)
        if operation == "abort":
            return self._abort(release)
        if operation == "stop":
            for task in self._running.values():
                task.cancel()
            await self._service.stop()
            return {}
        raise UsageError("the supervisor does not know this command", hint="is Shipway older here?")

    async def _shared(self, key: str, work: Any, say: Callable[[str], None]) -> dict[str, Any]:
        """The same operation asked for twice is done once; who asked may leave, it goes on."""
        task = self._start(key, work)
        listeners = self._listeners[key]
        listeners.append(say)
        try:
            await asyncio.wait({task})
        finally:
            listeners.remove(say)
        if task.cancelled():
            raise StoppedError("the operation was called off", hint="nothing was switched")
        return task.result().to_dict()

    def _start(self, key: str, work: Any) -> asyncio.Task[Release]:
        if key in self._running:
            return self._running[key]
        listeners = self._listeners.setdefault(key, [])

        def tell(text: str) -> None:
            for one in list(listeners):
                one(text)

        task = asyncio.get_running_loop().create_task(work(tell))
        self._running[key] = task
        task.add_done_callback(lambda done: self._finished(key, done))
        return task

    def _finished(self, key: str, task: asyncio.Task[Release]) -> None:
        del self._running[key]
        if not task.cancelled() and (error := task.exception()) is not None:
            self.note(f"{key}: {error if isinstance(error, ShipwayError) else repr(error)}")

    def _abort(self, release: str) -> dict[str, Any]:
        task = self._running.get(release)
        if task is None:
            raise NotFoundError("this release is not being deployed now")
        task.cancel()
        return {}


# -- becoming a supervisor ------------------------------------------------------------------------


def main() -> int:
    """Take what must be held, report, and go on in the background; the caller gets 0 or 1."""
    home, service, port_asked = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    ledger = ServiceLedger(home, service)
    try:
        take_lock(ledger)
        port = Port(port_asked)
        listener = control.listen(ledger.directory)
    except AlreadyHeldError:
        return _report({"held": True})
    except PortTakenError as error:
        hint = "choose another port, or end the program that listens there"
        return _report({"error": told(ConflictError(str(error), hint=hint))})
    except OSError as error:
        return _report({"error": told(_unusable(error))})
    if os.fork() > 0:
        os._exit(0)  # the child goes on, and answers on the inherited pipe when it is ready
    os.setsid()
    _work(ledger, port, listener)
    return 0  # the kernel lets go of the lock when we are gone


def _unusable(error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"this machine cannot hold a service's port: {error.strerror}",
        hint="Linux 4.5 or newer with /proc is needed, and a home that can be written",
    )


def _report(message: dict[str, Any]) -> int:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()
    return 1 if "error" in message else 0


def _work(ledger: ServiceLedger, port: Port, listener: socket.socket) -> None:
    log = LogFile(ledger.supervisor_log, limit=1 << 20)
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    ledger.change_state(port=port.number)
    identity = {"pid": os.getpid(), "began": processes.start_time(os.getpid())}
    content = {**identity, "boot": processes.boot(), "port": port.number}
    write_whole(ledger.supervisor_file, json.dumps(content).encode() + b"\n")
    _report({"port": port.number, "pid": os.getpid()})
    _let_go_of_terminal(log)
    os.chdir("/")
    try:
        asyncio.run(Supervisor(ledger, port, log).run(listener))
    finally:
        ledger.supervisor_file.unlink(missing_ok=True)
        (ledger.directory / control.SOCKET).unlink(missing_ok=True)
        port.close()


class _Lines(io.TextIOBase):
    """Standard output and error of a process without a terminal: what is written goes to its log."""

    def __init__(self, log: LogFile) -> None:
        self._log = log

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):  # a full disk
            self._log.write(text.encode(errors="replace"))
        return len(text)


def _let_go_of_terminal(log: LogFile) -> None:
    """Hold no file of whoever started us open: they may wait for its end."""
    sys.stdout = sys.stderr = _Lines(log)
    empty = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(empty, number)
    os.close(empty)


if __name__ == "__main__":
    sys.exit(main())
