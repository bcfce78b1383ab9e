"""A house for an engine, empty at the beginning of each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from scripted import House

from shipway.config import Settings


@pytest.fixture
def house(settings: Settings) -> Iterator[House]:
    made = House(settings)
    yield made
    made.close()
