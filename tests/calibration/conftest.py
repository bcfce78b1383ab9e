"""What tests of calibration share: one small corpus, grown once."""

from __future__ import annotations

from pathlib import Path

import pytest
from grow import grow


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One case of one shape."""
    return grow(tmp_path_factory.mktemp("corpus"), ["flat-setup-cfg"], fixes=1, first=2)
