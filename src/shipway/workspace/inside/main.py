"""The first process of a fence: puts up the walls, starts the command, watches it, ends with it.

It is told what to do over one pipe and tells what happens over another. When the first pipe
closes, because the command is to end or because the engine died, this process ends, and the
kernel ends with it everything in its pid namespace.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import socket
import struct
import sys
from fcntl import ioctl
from pathlib import Path
from typing import Any

from shipway.workspace.inside import kernel, landlock, mounts, usage

TICK_S = 0.1
_NOT_STARTED, _MISSING, _NOT_EXECUTABLE = 125, 127, 126
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1

Spec = dict[str, Any]


def main(control: int, status: int) -> None:
    """Run one command as the specification that arrives on ``control`` says; never returns."""
    os.umask(0o022)
    spec = _receive(control)
    try:
        walls = _put_up(spec)
        disk = usage.DiskWatch(_paths(spec["writable"]), spec["limits"]["disk_mb"] << 20)
        child, trouble = _start(spec)
    except OSError as error:
        _tell(status, failed=str(error))
        os._exit(_NOT_STARTED)
    _tell(status, walls=walls | {"landlock": spec["landlock"] and landlock.version() > 0})
    step, number = _trouble(trouble)
    if step and step != "start the command":
        _tell(status, failed=f"{step}: {os.strerror(number)}")
        os._exit(_NOT_STARTED)
    exceeded = _watch(spec, child, control, disk)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if step:
        code = _MISSING if number in {2, 20} else _NOT_EXECUTABLE
    _tell(status, code=code, exceeded=exceeded, trouble=os.strerror(number) if step else None)
    if not spec["namespaces"]:
        _end_descendants()
    os._exit(0)


def _receive(control: int) -> Spec:
    """The specification: its length in eight bytes, then JSON."""
    (length,) = struct.unpack("!Q", _exactly(control, 8))
    spec: Spec = json.loads(_exactly(control, length))
    return spec


def _exactly(handle: int, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = os.read(handle, size - len(data))
        if not more:
            os._exit(_NOT_STARTED)  # whoever wanted this is gone
        data += more
    return data


def _tell(status: int, **facts: Any) -> None:
    os.write(status, json.dumps(facts).encode() + b"\n")


def _paths(names: list[str]) -> tuple[Path, ...]:
    return tuple(Path(name) for name in names)


# -- walls ------------------------------------------------------------------------------------


def _put_up(spec: Spec) -> dict[str, bool]:
    """All walls that stand around both this process and the command; raises OSError."""
    if not spec["namespaces"]:
        kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1, "collect orphans")
        return dict.fromkeys(("user", "pids", "mounts", "network"), False)
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL, "die with the starter")
    if not spec["network"] and not spec["joined"]:
        _loopback_up()
    socket.sethostname("shipway")
    outer_root = spec["uid"] is not None
    mounts.raise_walls(
        mounts.View(
            writable=_paths(spec["writable"]),
            readable=_paths(spec["readable"]),
            hidden=_paths(spec["hidden"]),
            tmp_mb=spec["limits"]["tmp_mb"],
            uid=spec["uid"] if outer_root else 0,
            gid=spec["gid"] if outer_root else 0,
        )
    )
    return {"user": True, "pids": os.getpid() == 1, "mounts": True, "network": not spec["network"]}


def _loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sH14x", b"lo", 0)
        flags = struct.unpack("16sH14x", ioctl(any_socket, _SIOCGIFFLAGS, request))[1]
        ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | _IFF_UP))


# -- the command ------------------------------------------------------------------------------


def _start(spec: Spec) -> tuple[int, int]:
    """Fork the command; the pipe stays silent once it runs, else names the step that failed."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    child = os.fork()
    if child == 0:
        _become_command(spec, writer)
    os.close(writer)
    if spec["uid"] is not None:
        kept = (kernel.CAP_DAC_READ_SEARCH, kernel.CAP_KILL, kernel.CAP_SYS_PTRACE)
        kernel.keep_capabilities(kept)
    return child, reader


def _trouble(reader: int) -> tuple[str, int]:
    with os.fdopen(reader, "rb") as stream:
        step, _, number = stream.read().decode().rpartition("|")
    return step, int(number or 0)


def _become_command(spec: Spec, writer: int) -> None:
    """In the child: give up all power, then become the command; never returns."""
    step = "give up power"
    try:
        os.setsid()
        for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        _give_up_identity(spec)
        step = "set limits"
        _limit(spec["limits"])
        kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1, "give up new privileges")
        kernel.keep_capabilities(())
        step = "enter Landlock"
        if spec["landlock"]:
            landlock.restrict(_may_write(spec))
        step = "enter the working directory"
        os.chdir(spec["cwd"])
        step = "start the command"
        _close_all_but(writer)
        os.execvpe(spec["argv"][0], spec["argv"], spec["env"])  # noqa: S606 - this is its purpose
    except OSError as error:
        os.write(writer, f"{step}|{error.errno or 0}".encode())
    finally:
        os._exit(_NOT_STARTED)


def _give_up_identity(spec: Spec) -> None:
    uid, gid = spec["uid"], spec["gid"]
    if uid is not None:
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    if not spec["namespaces"]:
        return
    # A namespace of its own makes the kernel count this command's processes apart, and has no
    # power over the mounts. A process that changed its identity may not write its own maps
    # before it is dumpable again.
    outside = (os.geteuid(), os.getegid())
    kernel.prctl(kernel.PR_SET_DUMPABLE, 1, "stay dumpable")
    kernel.unshare_user()
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{spec['inner_uid']} {outside[0]} 1")
    Path("/proc/self/gid_map").write_text(f"{spec['inner_gid']} {outside[1]} 1")
    # No further namespaces: in one of its own it could mount file systems that nobody counts.
    Path("/proc/sys/user/max_user_namespaces").write_text("0")


def _limit(limits: dict[str, int]) -> None:
    mega = 1 << 20
    for kind, value in (
        (resource.RLIMIT_NPROC, limits["processes"]),
        (resource.RLIMIT_NOFILE, limits["open_files"]),
        (resource.RLIMIT_FSIZE, limits["file_mb"] * mega),
        (resource.RLIMIT_DATA, limits["memory_mb"] * mega),
        (resource.RLIMIT_CPU, limits["cpu_s"]),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        lower = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (lower, lower))


def _may_write(spec: Spec) -> list[Path]:
    own = [*_paths(spec["writable"]), Path("/dev/null"), Path("/dev/zero"), Path("/dev/full")]
    own += [Path("/dev/tty"), Path("/dev/shm"), Path("/dev/pts"), Path("/proc")]  # noqa: S108
    own += [*mounts.SCRATCH] if spec["namespaces"] else [Path(spec["env"]["HOME"])]
    return [path for path in own if path.exists()]


def _close_all_but(writer: int) -> None:
    os.closerange(3, writer)
    os.closerange(writer + 1, 4096)


# -- beside the command -----------------------------------------------------------------------


def _watch(spec: Spec, child: int, control: int, disk: usage.DiskWatch) -> str | None:
    """Wait for the command; kill it and say why when it uses too much. Ends with our starter."""
    ended = os.pidfd_open(child)
    poll = select.poll()
    poll.register(ended, select.POLLIN)
    poll.register(control, select.POLLIN)
    exceeded = None
    while True:
        ready = dict(poll.poll(TICK_S * 1000))
        if ended in ready:
            return exceeded
        if control in ready:
            _obey(os.read(control, 1), child, namespaces=spec["namespaces"])
        exceeded = exceeded or _excess(spec, disk)
        if exceeded:
            os.kill(child, signal.SIGKILL)
        _reap_orphans(child)


def _excess(spec: Spec, disk: usage.DiskWatch) -> str | None:
    limit = spec["limits"]["memory_mb"] << 20
    pids = usage.processes() if spec["namespaces"] else usage.descendants(os.getpid())
    if usage.memory(pids, limit) > limit:
        return "memory"
    return "disk" if disk.exceeded() else None


def _obey(order: bytes, child: int, *, namespaces: bool) -> None:
    """``T`` asks the command to end; the end of the pipe ends everything at once."""
    if order == b"T":
        os.killpg(child, signal.SIGTERM)
    if not order:
        if not namespaces:
            _end_descendants()
        os._exit(0)


def _reap_orphans(child: int) -> None:
    """Collect what was left to us, but the command itself, whose exit code is asked for later."""
    while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is not None:
        if ended.si_pid == child:
            return
        os.waitpid(ended.si_pid, 0)


def _end_descendants() -> None:
    """Without a pid namespace: kill until nothing is left, new ones included."""
    while pids := usage.descendants(os.getpid()):
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
