"""``python -m shipway``: the same as the command ``shipway``."""

from __future__ import annotations

import sys

from shipway.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
