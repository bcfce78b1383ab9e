"""Times the river: from a requirement to a deployed service, by stage, twice (cold, then warm)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SHIPWAY = Path(sys.executable).parent / "shipway"
DOCUMENT = ROOT / "examples" / "library.openapi.yaml"


def carry(place: Path, cache: Path) -> tuple[float, dict[str, Any]]:
    """One run in a state directory of its own; the seconds it took, and what it became."""
    environment = os.environ | {"SHIPWAY_HOME": str(place / "home"), "SHIPWAY_CACHE": str(cache)}

    def shipway(*words: str) -> str:
        done = subprocess.run(
            [str(SHIPWAY), *words], env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.exit(f"shipway {' '.join(words)}: exit code {done.returncode}\n{done.stderr}")
        return done.stdout

    try:
        began = time.monotonic()
        shipway("run", "--spec", str(DOCUMENT), "--into", str(place / "library"), "--quiet")
        took = time.monotonic() - began
        return took, json.loads(shipway("run", "view", "@last", "--json"))
    finally:
        subprocess.run([str(SHIPWAY), "release", "stop", "--all"], env=environment, check=False)


def report(name: str, took: float, run: dict[str, Any]) -> None:
    """One line per stage; stages that run side by side add up to more than the whole."""
    print(f"\nfrom requirement to deployed, {name}: {took:.1f} s")
    for stage in run["stages"]:
        print(f"  {stage['id']:10} {stage['seconds'] or 0.0:6.1f} s  {stage['status']}")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="shipway-bench-") as name:
        place = Path(name)
        for number, cache in enumerate(("environments to be built", "environments there")):
            folder = place / str(number)
            folder.mkdir()
            report(cache, *carry(folder, place / "cache"))


if __name__ == "__main__":
    main()
