"""Make this checkout importable and callable from its own environment, fetching and building nothing.

Run by make with the environment's Python: writes a path entry for src/ and the ``shipway`` command.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path

COMMAND = """\
#!/bin/sh
'''exec' "$(dirname -- "$(readlink -f -- "$0")")/python" "$0" "$@"
' '''
import sys

from shipway.cli.main import main

sys.exit(main())
"""


def connect(source: Path) -> None:
    """Write both files anew; the path entry is relative, so that the checkout can be moved."""
    packages = Path(sysconfig.get_path("purelib"))
    (packages / "shipway-checkout.pth").write_text(os.path.relpath(source, packages) + "\n")
    command = Path(sysconfig.get_path("scripts")) / "shipway"
    command.unlink(missing_ok=True)
    command.write_text(COMMAND)
    command.chmod(0o755)


if __name__ == "__main__":
    if sys.prefix == sys.base_prefix:
        sys.exit("connect.py: run me with the Python of a virtual environment")
    connect(Path(__file__).resolve().parent.parent / "src")
