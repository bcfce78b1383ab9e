"""The page and the file of settings are what the declarations say."""

from __future__ import annotations

from pathlib import Path

import pytest

from shipway.config import Settings, reference
from shipway.config.setting import declared

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("name", "made"),
    [(reference.PAGE, reference.page), (reference.ENV_FILE, reference.production_file)],
)
def test_what_is_shipped_is_what_the_declarations_make(name, made):
    again = "python -m shipway.config.reference"
    assert (ROOT / name).read_text() == made(), f"{name} is old: write it again with {again}"


def test_every_setting_says_what_it_is_for_and_is_in_both():
    page, file = reference.page(), reference.production_file()
    settings = list(declared(Settings))
    assert {one.name for one in settings} == set(Settings.model_fields)
    for one in settings:
        assert one.doc
        assert not one.doc.endswith(".")
        assert f"### {one.name}\n" in page
        assert f"{one.variable}=" in file
