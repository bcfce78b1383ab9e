"""Processes of ours without the second that their imports take: forked from one that has them behind it.

``Nursery.start`` is for tests what ``subprocess.Popen`` is. Real are: a process of its own below the
test, in its group and session; its words, environment, directory and streams; signals as Python finds
them at its start; how it ends, by exit code or signal, and what ``atexit`` does then. Nothing comes from
the test's process: the one it is forked from has imported modules and has done nothing else.
Not its own are: the interpreter's start and the imports, so what the environment tells Python itself
(``PYTHONWARNINGS``, the hash seed) and a signal that arrives then; what ``ps`` and ``/proc`` show of its
command line and environment; umask and limits of the test that was first. Each promise about start-up,
signals or a crash has a test with ``started_process`` or a command in tests/whole or cli/test_start.py;
engines that a command starts are always started that way.

As a program it is the mother: ``nursery.py SOCKET MODULE...`` imports the modules, then forks a child for
each order that comes over the socket, and tells of each child's end.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

_LONGEST = 1 << 20
_DEADLY = (signal.SIGINT, signal.SIGTERM)
_NOTHING = subprocess.DEVNULL
_HERE = Path(__file__).parent
_FLEET = (
    "shipway.engine.dispatch.fleet.watched",
    "shipway.engine.fleet",
    "shipway.engine.roll",
    "shipway.store.postgres",
)


class Born:
    """A child, by the names of ``subprocess.Popen``."""

    def __init__(self, pid: int, ended: int, streams: Sequence[IO[Any] | None]) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.stdin, self.stdout, self.stderr = streams
        self._ended = ended

    def poll(self) -> int | None:
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        code = self._look(timeout)
        if code is None:
            raise subprocess.TimeoutExpired("a child of the nursery", timeout or 0.0)
        return code

    def _look(self, seconds: float | None) -> int | None:
        if self.returncode is None and select.select([self._ended], [], [], seconds)[0]:
            told = os.read(self._ended, 32)
            os.close(self._ended)
            assert told, "the nursery has gone"
            self.returncode = os.waitstatus_to_exitcode(int(told))
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self) -> tuple[Any, Any]:
        """The rest of what it says, once it has ended."""
        said = tuple(None if stream is None else stream.read() for stream in self._outputs())
        self.close()
        self.wait()
        return said[0], said[1]

    def close(self) -> None:
        for stream in (self.stdin, *self._outputs()):
            if stream is not None:
                stream.close()

    def _outputs(self) -> tuple[IO[Any] | None, IO[Any] | None]:
        return self.stdout, self.stderr


class Nursery:
    """One mother and her children; she is started for the first of them, and ends with us."""

    def __init__(self, modules: Sequence[str], path: Sequence[Path] = ()) -> None:
        self._modules = modules
        self._path = path
        self._mother: subprocess.Popen[bytes] | None = None
        self._line: socket.socket
        self._one_at_a_time = threading.Lock()

    def start(
        self,
        words: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path | None = None,
        stdin: Any = _NOTHING,
        stdout: Any = None,
        stderr: Any = None,
        text: bool = False,
    ) -> Born:
        """``words`` are ``-m MODULE ...`` or ``SCRIPT ...``; streams are given as for Popen.

        A script that the mother has imported is entered by its ``main()``.
        """
        order = {"words": list(words), "env": dict(env), "cwd": str(cwd or Path.cwd())}
        mode = "" if text else "b"
        with contextlib.ExitStack() as theirs:
            asked = ((stdin, 0, "w"), (stdout, 1, "r"), (stderr, 2, "r"))
            sides = [_side(what, number, way + mode, theirs) for what, number, way in asked]
            ended, tell = os.pipe()
            theirs.callback(os.close, tell)
            with self._one_at_a_time:
                self._begin()
                fds = [*(side for side, _ in sides), tell]
                socket.send_fds(self._line, [json.dumps(order).encode()], fds)
                answer = self._line.recv(32)
        assert answer, "the nursery has gone"
        return Born(int(answer), ended, [ours for _, ours in sides])

    def run(
        self,
        words: Sequence[str],
        *,
        env: Mapping[str, str],
        timeout: float,
        cwd: Path | None = None,
        input: str = "",  # noqa: A002 - as it is called there
    ) -> subprocess.CompletedProcess[str]:
        """As ``subprocess.run`` with captured text."""
        with contextlib.ExitStack() as files:
            inp, out, err = (files.enter_context(tempfile.TemporaryFile("w+")) for _ in range(3))
            inp.write(input)
            inp.seek(0)
            child = self.start(words, env=env, cwd=cwd, stdin=inp, stdout=out, stderr=err)
            try:
                code = child.wait(timeout)
            finally:
                child.kill()
            for file in (out, err):
                file.seek(0)
            return subprocess.CompletedProcess(list(words), code, out.read(), err.read())

    def _begin(self) -> None:
        if self._mother is not None:
            return
        self._line, hers = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with hers:
            self._line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _LONGEST)
            paths = [str(path) for path in (*self._path, Path(__file__).parents[1] / "src")]
            self._mother = subprocess.Popen(
                [sys.executable, "-P", __file__, str(hers.fileno()), *self._modules],
                env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
                stdin=subprocess.DEVNULL,
                pass_fds=[hers.fileno()],
            )
        mothers.add(self._mother.pid)
        atexit.register(self._end)

    def _end(self) -> None:
        assert self._mother is not None
        self._line.close()
        self._mother.wait()


Process = subprocess.Popen[Any] | Born


def started_process(words: Sequence[str], **given: Any) -> Process:
    """The same with an interpreter of its own, for tests about how it begins, hears signals or dies."""
    return subprocess.Popen([sys.executable, "-P", *words], **given)


#: Their processes are nobody's leftovers.
mothers: set[int] = set()
#: Of commands, as users give them: ``COMMANDS.run(["-m", "shipway", "run", "list"], ...)``.
COMMANDS = Nursery(
    [
        "shipway.cli.commands",
        "shipway.bootstrap.engines",
        "shipway.bootstrap.workers",
        "shipway.server.serving",
        *_FLEET,
    ]
)
#: Of the programs that tests start to kill them.
PROGRAMS = Nursery(["carrying", "worker", *_FLEET], [_HERE, _HERE / "fleet", _HERE / "engine"])


def _side(
    what: Any, number: int, mode: str, theirs: contextlib.ExitStack
) -> tuple[int, IO[Any] | None]:
    """The child's end of a stream, and ours if there is one."""
    match what:
        case None:
            return number, None
        case subprocess.DEVNULL:
            nothing = os.open(os.devnull, os.O_RDWR)
            theirs.callback(os.close, nothing)
            return nothing, None
        case subprocess.PIPE:
            read, write = os.pipe()
            side, ours = (read, write) if "w" in mode else (write, read)
            theirs.callback(os.close, side)
            return side, os.fdopen(ours, mode)
        case subprocess.STDOUT:
            raise AssertionError("give both the same file")
        case int():
            return what, None
    return what.fileno(), None


# -- the mother -------------------------------------------------------------------------------


def _mother(line: socket.socket) -> dict[str, Any]:
    """Bear children until nobody asks any more; comes back in each child, with its order."""
    children: dict[int, int] = {}
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    for number in _DEADLY:
        signal.signal(number, signal.SIG_IGN)  # whoever is started in a terminal hears Ctrl-C, too
    while True:
        ready, _, _ = select.select([line, woken], [], [])
        if woken in ready:
            os.read(woken, 4096)
            _bury(children)
        if line not in ready:
            continue
        data, fds, _, _ = socket.recv_fds(line, _LONGEST, 4)
        if not data:
            os._exit(0)
        signal.pthread_sigmask(signal.SIG_BLOCK, _DEADLY)  # a child hears what comes at once, too
        child = os.fork()
        if child == 0:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _DEADLY)
            for number, fd in enumerate(fds[:3]):
                os.dup2(fd, number)
            for fd in {*fds, woken, wake, line.detach(), *children.values()}:
                os.close(fd)
            order: dict[str, Any] = json.loads(data)
            return order
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _DEADLY)
        children[child] = fds[3]
        for fd in fds[:3]:
            os.close(fd)
        line.send(str(child).encode())


def _bury(children: dict[int, int]) -> None:
    """Tell those who wait of every child that has ended."""
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        tell = children.pop(pid)
        with contextlib.suppress(BrokenPipeError):  # nobody waits any more
            os.write(tell, str(status).encode())
        os.close(tell)


def _live(order: Mapping[str, Any]) -> None:
    """Be the program that was ordered, as if this process had begun with it."""
    os.environ.clear()
    os.environ.update(order["env"])
    os.chdir(order["cwd"])
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)
    time.tzset()
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:0] = [path for path in paths if path and path not in sys.path]
    first, *rest = order["words"]
    if first == "-m":
        sys.argv = rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
        return
    sys.argv = [first, *rest]
    if program := sys.modules.get(Path(first).stem):
        program.main()
        return
    sys.path.insert(0, str(Path(first).parent))
    runpy.run_path(first, run_name="__main__")


def _main() -> None:
    fd, *modules = sys.argv[1:]
    for name in modules:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    _live(_mother(socket.socket(fileno=int(fd))))


if __name__ == "__main__":
    _main()
