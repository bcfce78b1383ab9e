"""The socket that is listened on: one of our own, or one that was open before and outlives us."""

from __future__ import annotations

import ipaddress
import os
import resource
import socket
from pathlib import Path

from shipway.errors import ConfigurationError, ConflictError, UsageError

_FIRST = 3
_BACKLOG = 2048
#: Descriptors that we ask for, those that files, databases and children take, and the least to serve.
_DESCRIPTORS, _OURS, _FEWEST = 16_384, 512, 64


def check_loopback(host: str) -> str:
    """The address to listen on; raises ConfigurationError for one that others can reach."""
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        raise ConfigurationError(
            "--host has to be an address of this machine", hint="leave it out for 127.0.0.1"
        ) from None
    if not address.is_loopback:
        raise ConfigurationError(
            "serve listens on the loopback only: whoever reaches it with the token may do everything",
            hint="leave --host out, and let a tunnel (ssh -L) lead others here",
        )
    return str(address)


def own(host: str, port: int) -> socket.socket:
    """A listening socket of ours; raises ConflictError for a port that is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named, since asyncio sends at once (TCP_NODELAY) only on sockets that say they are TCP: else each
    # answer on a connection that is kept waits 40 ms for the caller's system.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ConflictError(
            f"port {port} cannot be listened on: {os.strerror(error.errno or 0).lower()}",
            hint="stop what listens there, or choose another with --port",
        ) from None
    listener.listen(_BACKLOG)
    listener.set_inheritable(False)
    return listener


def inherited() -> socket.socket:
    """The socket that systemd, or another that starts us, opened: LISTEN_PID and LISTEN_FDS."""
    pid, count = os.environ.pop("LISTEN_PID", ""), os.environ.pop("LISTEN_FDS", "")
    os.environ.pop("LISTEN_FDNAMES", None)
    if pid != str(os.getpid()) or count != "1":
        raise UsageError(
            "--socket needs one listening socket, handed over as LISTEN_FDS=1 with our LISTEN_PID",
            hint="start it by a systemd socket unit, or leave --socket out",
        )
    os.set_inheritable(_FIRST, False)
    try:
        listener = socket.socket(fileno=_FIRST)
    except OSError:
        raise UsageError("the descriptor that was handed over is no socket") from None
    if listener.family not in {socket.AF_INET, socket.AF_INET6} or not listener.getsockopt(
        socket.SOL_SOCKET, socket.SO_ACCEPTCONN
    ):
        raise UsageError("the descriptor that was handed over is no listening TCP socket")
    check_loopback(listener.getsockname()[0])
    return listener


def connections_at_most(wanted: int) -> int:
    """As many as the system lets us have open beside what else we hold; asks it for all it gives."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    ceiling = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    if resource.RLIM_INFINITY != soft < ceiling:
        resource.setrlimit(resource.RLIMIT_NOFILE, (ceiling, hard))
        soft = ceiling
    return max(_FEWEST, wanted if soft == resource.RLIM_INFINITY else min(wanted, soft - _OURS))


def notify(state: str) -> None:
    """Tell the service manager, if one listens: READY=1, STOPPING=1, WATCHDOG=1."""
    place = os.environ.get("NOTIFY_SOCKET")
    if not place:
        return
    address = "\0" + place[1:] if place.startswith("@") else place
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as manager:
        manager.connect(address)
        manager.sendall(state.encode())


def watchdog_seconds() -> float | None:
    """How often the service manager wants to hear from us; None if it does not."""
    given, pid = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID")
    if not given.isdigit() or (pid is not None and pid != str(os.getpid())):
        return None
    return int(given) / 1_000_000


def address_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def announce(home: Path, address: str) -> None:
    """Leave the address where a person or a script on this machine can find it."""
    place = home / "server.url"
    fresh = place.with_name(f".server.url-{os.getpid()}")
    fresh.write_text(f"{address}\n")
    fresh.chmod(0o600)
    fresh.replace(place)


def withdraw(home: Path, address: str) -> None:
    """Take the address back, unless another server has left its own there."""
    place = home / "server.url"
    if place.exists() and place.read_text().strip() == address:
        place.unlink()
