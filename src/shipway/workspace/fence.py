"""The fence: runs a command that is not trusted, with walls that are tried before it is believed.

The outer walls are namespaces made by ``unshare`` of util-linux. Its first process
(``workspace.inside.main``) puts up the rest, gives up all power and starts the command. As root the
command becomes an unprivileged user of its own first: the kernel does not count root's processes.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from shipway.contracts.evidence import FenceReport
from shipway.errors import FenceError
from shipway.workspace import surroundings
from shipway.workspace.command import Command, Finished, Limits
from shipway.workspace.running import Running

__all__ = ["Command", "Fence", "Finished", "Limits", "Running"]

FENCE_UID = 60718  # in no range that Debian, systemd or container tools give out
_BOOT = (
    "import sys; sys.path.insert(0, sys.argv[3]); "
    "from shipway.workspace.inside.main import main; main(int(sys.argv[1]), int(sys.argv[2]))"
)
_SOURCE = Path(__file__).resolve().parent.parent.parent
_NAMESPACES = ("--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child")
_HINT = (
    "allow user namespaces (sysctl kernel.unprivileged_userns_clone=1, "
    "kernel.apparmor_restrict_unprivileged_userns=0, user.max_user_namespaces above 0; in a "
    "container: allow unshare and mount), or accept less with SHIPWAY_FENCE=degraded"
)
# What the probe tries from inside; each line is a wall that stands when it prints so.
_TRIALS = r"""
import os, socket
def refused(trial):
    try:
        trial()
    except OSError:
        return True
    return False
walls = {
    "user": os.getuid() != 0 and open("/proc/self/uid_map").read().split()[2] == "1",
    "pids": len([p for p in os.listdir("/proc") if p.isdigit()]) <= 2,
    "mounts": all(os.statvfs(path).f_flag & os.ST_RDONLY for path in ("/", "/etc", "/usr"))
        and refused(lambda: os.mkdir("/etc/shipway-probe")),
    "network": [name for _, name in socket.if_nameindex()] == ["lo"],
}
listener = socket.create_server(("127.0.0.1", 0))
socket.create_connection(listener.getsockname(), 5).close()
print(" ".join(name for name, stands in walls.items() if stands))
"""


class Fence:
    """Runs commands inside walls; thread-safe.

    ``policy`` strict: a command does not run when a wall is missing (FenceError). Degraded: it
    runs inside what this machine can put up, and the report says what that was. ``hidden`` are
    directories, such as the state directory, that no command may see.
    """

    def __init__(
        self, policy: Literal["strict", "degraded"], *, hidden: Sequence[Path] = ()
    ) -> None:
        self.policy = policy
        self._hidden = tuple(hidden)
        self._lock = threading.Lock()
        self._probed: FenceReport | None = None
        self._why_weak = ""

    def hiding(self, *more: Path) -> Fence:
        """The same fence, with more directories that no command may see."""
        if not more:
            return self
        other = Fence(self.policy, hidden=(*self._hidden, *more))
        other._probed, other._why_weak = self.probe(), self._why_weak
        return other

    def probe(self) -> FenceReport:
        """Which walls really stand here; tried once by each fence, with a real command."""
        with self._lock:
            if self._probed is None:
                self._probed = self._try_walls()
            return self._probed

    def run(
        self,
        command: Command,
        *,
        cancel: threading.Event | None = None,
        on_line: Callable[[str], None] | None = None,
        join: Running | None = None,
    ) -> Finished:
        """Run to the end, the time limit or ``cancel``; ``on_line`` hears each line of output."""
        return self.start(command, join=join, on_line=on_line).wait(cancel)

    def start(
        self,
        command: Command,
        *,
        join: Running | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> Running:
        """Start without waiting, for a service; ``join`` shares the network of another command."""
        report = self.probe()
        if self.policy == "strict" and not _is_whole(report):
            missing = [wall for wall in _WALLS if not getattr(report, wall)]
            raise FenceError(
                f"the fence lacks: {', '.join(missing)} ({self._why_weak or 'not available here'})",
                hint=_HINT,
                details={"missing": missing},
            )
        return self._launch(command, report, join=join, on_line=on_line)

    # -- trying -------------------------------------------------------------------------------

    def _try_walls(self) -> FenceReport:
        whole = _report("unshare", stands=True)
        if not shutil.which("unshare"):
            self._why_weak = "unshare of util-linux is not installed"
            return _report("limits", stands=False)
        with tempfile.TemporaryDirectory(prefix="shipway-probe-") as name:
            command = Command(
                (sys.executable, "-I", "-S", "-c", _TRIALS),
                Path(name),
                writable=(Path(name),),
                limits=Limits(seconds=30, processes=16),
            )
            try:
                done = self._launch(command, whole).wait()
            except FenceError as error:
                self._why_weak = error.message
                return _report("limits", stands=False)
        standing = done.stdout.decode().split() if done.ok else []
        if not done.ok:
            self._why_weak = f"the trial {done.why()}: {done.tail(3)}"
        return done.fence.model_copy(update={wall: wall in standing for wall in _WALLS})

    # -- starting -----------------------------------------------------------------------------

    def _launch(
        self,
        command: Command,
        report: FenceReport,
        *,
        join: Running | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> Running:
        walled = report.mechanism == "unshare"
        spec = self._spec(command, walled=walled, joined=join is not None)
        if spec["uid"] is not None:
            surroundings.hand_over(command.writable, FENCE_UID)
        control_in, control = os.pipe()
        status, status_out = os.pipe()
        inner = [sys.executable, "-I", "-S", "-c", _BOOT]
        inner += [str(control_in), str(status_out), str(_SOURCE)]
        try:
            process = _spawn(
                [*_outer(command, join), *inner] if walled else inner,
                command.stdin,
                (control_in, status_out),
            )
        except OSError as error:
            os.close(control)
            os.close(status)
            raise FenceError(f"the fence cannot be started: {error.strerror}") from error
        finally:
            os.close(control_in)
            os.close(status_out)
        limits = {key: int(value) for key, value in asdict(command.limits).items()}
        given = report.model_copy(update={"limits": limits})
        running = Running(command, process, control, status, given, on_line)
        _send(control, spec)
        running.wait_for_walls()
        return running

    def _spec(self, command: Command, *, walled: bool, joined: bool) -> dict[str, Any]:
        uid = FENCE_UID if _is_root() else None
        view = surroundings.view(command, self._hidden, uid)
        limits = {key: int(value) for key, value in asdict(command.limits).items()}
        processors = os.cpu_count() or 1
        return {
            "argv": list(command.argv),
            "cwd": str(command.cwd),
            "env": surroundings.environment(command, view, own_tmp=walled),
            "writable": [str(path) for path in view.writable],
            "readable": [str(path) for path in view.readable],
            "hidden": [str(path) for path in view.hidden],
            "uid": uid,
            "gid": uid,
            "inner_uid": os.geteuid() if uid is None else uid,
            "inner_gid": os.getegid() if uid is None else uid,
            "network": command.network,
            "joined": joined,
            "namespaces": walled,
            "landlock": True,
            "limits": limits | {"cpu_s": int(command.limits.seconds + 1) * processors},
        }


_WALLS = ("user", "pids", "mounts", "network")


def _is_whole(report: FenceReport) -> bool:
    return all(getattr(report, wall) for wall in _WALLS)


def _report(mechanism: str, *, stands: bool) -> FenceReport:
    return FenceReport(
        mechanism=mechanism,
        user=stands,
        pids=stands,
        mounts=stands,
        network=stands,
        landlock=False,
    )


def _is_root() -> bool:
    """Real root, with other users to become; root of a small container may have none."""
    if os.geteuid() != 0:
        return False
    for line in Path("/proc/self/uid_map").read_text().splitlines():
        first, _, count = (int(word) for word in line.split())
        if first <= FENCE_UID < first + count:
            return True
    return False


def _outer(command: Command, join: Running | None) -> list[str]:
    """The command line that makes the outer namespaces."""
    own_user = [] if _is_root() else ["--user", "--map-root-user"]
    if join is None:
        network = [] if command.network else ["--net"]
        return ["unshare", *own_user, *network, *_NAMESPACES, "--"]
    enter = ["nsenter", f"--net=/proc/{join.pid}/ns/net"]
    if own_user:
        enter += ["--preserve-credentials", f"--user=/proc/{join.pid}/ns/user"]
    return [*enter, "--", "unshare", *_NAMESPACES, "--"]


def _spawn(argv: list[str], stdin: bytes | None, kept: tuple[int, ...]) -> subprocess.Popen[bytes]:
    given = _readable_once(stdin) if stdin else None
    try:
        return subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL if given is None else given,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=kept,
            start_new_session=True,  # Ctrl-C in the terminal is for us, who then end it in order
            cwd="/",
            env={"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"},
        )
    finally:
        if given is not None:
            os.close(given)


def _readable_once(data: bytes) -> int:
    """The bytes as a file in memory that nobody can write to, however it is opened again."""
    handle = os.memfd_create("stdin", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    with os.fdopen(os.dup(handle), "wb") as stream:
        stream.write(data)
    os.lseek(handle, 0, os.SEEK_SET)
    seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
    fcntl.fcntl(handle, fcntl.F_ADD_SEALS, seals)
    return handle


def _send(control: int, spec: dict[str, Any]) -> None:
    data = json.dumps(spec).encode()
    view = memoryview(struct.pack("!Q", len(data)) + data)
    try:
        while view:
            view = view[os.write(control, view) :]
    except BrokenPipeError:
        return  # it died at once: wait_for_walls says why
