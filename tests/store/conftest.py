"""A database of each kind with this version's tables."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shipway.config import Settings
from shipway.store.database import Database
from shipway.store.opening import prepare


@pytest.fixture
def database(database_settings: Settings) -> Iterator[Database]:
    found = prepare(database_settings.home / "shipway.db", database_settings)
    yield found
    found.close()
