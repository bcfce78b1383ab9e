"""A sample of ``make fuzz``: made-up requests to every route, no 5xx and nothing undocumented."""

from __future__ import annotations

from pathlib import Path

import pytest
from fuzz import fuzz


@pytest.mark.timeout(300)
def test_made_up_requests_get_nothing_that_is_not_documented(tmp_path: Path):
    code, told, made = fuzz(tmp_path, 100, "fuzzing")
    assert code == 0, told
    assert made >= 44, told
