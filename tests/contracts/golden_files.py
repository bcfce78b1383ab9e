"""Writes the golden files of contract versions that have none yet; what is released is never written again.

Run it after a new version was added: ``.venv/bin/python tests/contracts/golden_files.py``.
"""

from __future__ import annotations

import json
from pathlib import Path

from parcels import PARCELS

from shipway.contracts import golden
from shipway.contracts.compare import described
from shipway.contracts.registry import CONTRACTS

FOLDER = Path(golden.__file__).parent


def files():
    """Each file's path with what stands in it now, for every version that is still spoken."""
    for contract in CONTRACTS.values():
        for edition in contract.history.editions.values():
            path = FOLDER / f"{contract.capability}-{edition.version}.json"
            yield path, described(edition.request, edition.result)
    for edition in PARCELS.editions.values():  # the capability of the tests is kept in the same way
        path = Path(__file__).parent / "golden" / f"{PARCELS.capability}-{edition.version}.json"
        yield path, described(edition.request, edition.result)


if __name__ == "__main__":
    for path, now in files():
        if not path.exists():
            path.write_text(json.dumps(now, indent=1) + "\n", encoding="utf-8")
            print(f"wrote {path.name}")  # noqa: T201 - a program
