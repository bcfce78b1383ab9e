"""What the tests of the service share: see serving.py."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from serving import change, repository, server

__all__ = ["change", "repository", "server"]
