"""A small service that is made ready in a moment, for tests that need something deployed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from shipway.release.record import Timing
from shipway.release.releases import Candidate

SERVICE = Path(__file__).resolve().parent / "release" / "service"


def candidate(version: str) -> Candidate:
    """A release of the service ``demo`` that says which version it is."""

    def fill(tree: Path) -> None:
        shutil.copytree(SERVICE, tree, dirs_exist_ok=True)
        (tree / "behaviour.json").write_text(json.dumps({"version": version}))

    commit = version.encode().hex().ljust(40, "0")[:40]
    timing = Timing(healthy_within=10.0, observe=0.1, drain=2.0, stop=2.0)
    secrets = {"DEMO_API_KEYS": "api_key", "DEMO_USERS": "basic"}
    return Candidate("demo", "run-1", commit, "f" * 40, fill, secrets=secrets, timing=timing)
