"""What tests of checks share: repositories with a history, and one set of equipment."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shipway.check.check import Asked, check
from shipway.check.equipment import Equipment
from shipway.check.subject import Wanted
from shipway.contracts.check import CheckReport
from shipway.store.artifacts import ArtifactStore
from shipway.workspace.environments import Environments
from shipway.workspace.fence import Fence


@pytest.fixture(scope="session")
def fence() -> Fence:
    return Fence("strict")


@pytest.fixture
def equipment(tmp_path: Path, fence: Fence) -> Equipment:
    place = tmp_path / "checks"
    return Equipment(
        fence=fence,
        environments=Environments(Path(os.environ["SHIPWAY_CACHE"]), fence, Path(sys.executable)),
        shelf=ArtifactStore(place / "logs"),
        place=place,
        python=Path(sys.executable),
    )


@pytest.fixture
def judge(equipment: Equipment) -> Callable[..., CheckReport]:
    """``judge(repository, base=..., head=..., patch=..., gates=(...))``: one check."""

    def run(repository: Path, **given: Any) -> CheckReport:
        wanted = Wanted(**{k: given.pop(k) for k in ("base", "head", "patch") if k in given})
        return check(Asked(repository, wanted, **given), equipment)

    return run
