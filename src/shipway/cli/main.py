"""The command ``shipway``: answers ``--version`` at once and hands everything else on.

Nothing heavy is imported at the top, so that Ctrl-C during the imports is caught as well.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence

from shipway import __version__


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code (``errors.ExitCode``)."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words in (["--version"], ["-V"]):
        with contextlib.suppress(OSError):  # nobody reads it, or stdout is closed
            os.write(1, f"shipway {__version__}\n".encode())
        return 0
    try:
        from shipway.cli import boundary
    except KeyboardInterrupt:
        return 130
    return boundary.carry(words)
