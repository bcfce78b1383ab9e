"""Packs our own judges into a file that runs by itself inside a fence, where Shipway is not installed."""

from __future__ import annotations

import io
import zipfile
from importlib import resources

FLOWS = "shipway.gates.flows"
MAIN = f"import sys\nfrom {FLOWS}.main import main\nsys.exit(main(sys.argv[1:]))\n"
# A fixed time makes the same sources the same bytes.
EPOCH = (1980, 1, 1, 0, 0, 0)


def flows() -> bytes:
    """The acceptance flows as an archive that Python runs: ``python -I flows.pyz``."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for package in ("shipway", "shipway/gates"):
            archive.writestr(zipfile.ZipInfo(f"{package}/__init__.py", EPOCH), "")
        for source in sorted(resources.files(FLOWS).iterdir(), key=lambda one: one.name):
            if source.name.endswith(".py"):
                name = f"{FLOWS.replace('.', '/')}/{source.name}"
                archive.writestr(zipfile.ZipInfo(name, EPOCH), source.read_bytes())
        archive.writestr(zipfile.ZipInfo("__main__.py", EPOCH), MAIN)
    return made.getvalue()


def script(name: str) -> bytes:
    """One of our scripts that stand alone."""
    return resources.files("shipway.gates").joinpath(name).read_bytes()
