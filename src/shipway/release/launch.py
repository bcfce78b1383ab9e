"""Becomes a release: ties its life to the supervisor's, hands it the socket and executes it.

Run by path in a bare interpreter, never imported: ``launch.py SUPERVISOR-PID FD COMMAND...``.
"""

import ctypes
import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_CANNOT_START = 127
_FIRST_FD = 3  # where a started process looks for its sockets, as under systemd


def main() -> None:
    supervisor, listener, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if os.getppid() != supervisor:  # it died before the tie was made
        raise SystemExit(_CANNOT_START)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if listener != _FIRST_FD:
        os.dup2(listener, _FIRST_FD)
        os.close(listener)
    os.set_inheritable(_FIRST_FD, True)
    os.environ["LISTEN_PID"] = str(os.getpid())
    try:
        os.execvp(command[0], command)  # noqa: S606 - no shell is what is wanted here
    except OSError as error:
        sys.stderr.write(f"cannot start {command[0]}: {error.strerror}\n")
        raise SystemExit(_CANNOT_START) from None


if __name__ == "__main__":
    main()
