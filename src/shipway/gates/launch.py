"""Opens the listening socket that a service expects as descriptor 3, and becomes the service.

A script, not a module: it is started as ``python -I launch.py FILE COMMAND...`` inside the fence.
FILE is where it writes the port before the service starts.
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

PORT = 8000
DESCRIPTOR = 3


def listen() -> socket.socket:
    """The usual port, which nobody else has in a network of our own; another one where it is taken."""
    for port in (PORT, 0):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            listener.close()
        else:
            listener.listen(128)
            return listener
    raise SystemExit("no port can be bound on the loopback device")


def main(target: str, command: list[str]) -> None:
    listener = listen()
    told = Path(target)
    told.with_suffix(".new").write_text(str(listener.getsockname()[1]), encoding="ascii")
    told.with_suffix(".new").replace(told)
    if listener.fileno() == DESCRIPTOR:
        os.set_inheritable(DESCRIPTOR, True)
    else:
        os.dup2(listener.fileno(), DESCRIPTOR, inheritable=True)
    os.environ["LISTEN_FDS"] = "1"
    os.environ["LISTEN_PID"] = str(os.getpid())
    os.execvp(command[0], command)  # noqa: S606 - this is its purpose


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
