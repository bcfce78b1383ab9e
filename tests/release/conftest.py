"""A small real service whose versions the tests deploy, and releases that are always stopped."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from deployed import QUICK

from shipway.release.record import Timing
from shipway.release.releases import Candidate, Releases

SERVICE = Path(__file__).parent / "service"


@pytest.fixture
def releases(home: Path) -> Iterator[Releases]:
    found = Releases(home)
    yield found
    found.stop(all=True)


@pytest.fixture
def candidate() -> Callable[..., Candidate]:
    """Builds candidates: ``candidate("two", health="never")``, one commit for each version."""

    def build(
        version: str, *, port: int = 0, timing: Timing = QUICK, **behaviour: Any
    ) -> Candidate:
        def fill(tree: Path) -> None:
            shutil.copytree(SERVICE, tree, dirs_exist_ok=True)
            (tree / "behaviour.json").write_text(json.dumps({"version": version, **behaviour}))

        commit = version.encode().hex().ljust(40, "0")[:40]
        secrets = {"DEMO_API_KEYS": "api_key", "DEMO_USERS": "basic", "UNDECLARED": "bearer"}
        return Candidate(
            "demo", "run-1", commit, "f" * 40, fill, port=port, secrets=secrets, timing=timing
        )

    return build
