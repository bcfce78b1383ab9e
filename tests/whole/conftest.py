"""The whole river through the real command: a repository, and a person who uses it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from people import CALC, HISTORY, Person


@pytest.fixture
def calc(git_repository) -> Path:
    """A repository with some history, whose ``add`` subtracts."""
    return git_repository(CALC, HISTORY, name="calc")


@pytest.fixture
def person(home: Path) -> Iterator[Person]:
    made = Person(home)
    yield made
    made.leave()
