"""A fleet over a database of its own, empty at the beginning of each test."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "engine"))  # ``scripted`` is there

sys.path.insert(0, str(Path(__file__).parents[1] / "contracts"))  # and ``parcels`` there

from crew import Crew


@pytest.fixture
def crew(tmp_path: Path, shipway_postgres_url: str) -> Iterator[Crew]:
    (tmp_path / "home").mkdir()
    with (
        tempfile.TemporaryDirectory() as sockets,  # their paths have to be short
        Crew(tmp_path / "home", tmp_path / "cache", shipway_postgres_url, Path(sockets)) as made,
    ):
        yield made
