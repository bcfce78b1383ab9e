"""A house for an engine, empty at the beginning of each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from scripted import House

from shipway.config import Settings


@pytest.fixture
def house(database_settings: Settings) -> Iterator[House]:
    """On SQLite and on PostgreSQL."""
    made = House(database_settings)
    yield made
    made.close()
