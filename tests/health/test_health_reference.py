"""The page on health checks is what the checks say."""

from __future__ import annotations

from pathlib import Path

from shipway.health import reference


def test_the_page_is_what_the_checks_make():
    shipped = Path(__file__).resolve().parents[2] / reference.PAGE
    again = "python -m shipway.health.reference"
    assert shipped.read_text() == reference.page(), f"it is old: write it again with {again}"
