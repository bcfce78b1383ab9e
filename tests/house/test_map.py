"""The map of the house shows the house as it is."""

from __future__ import annotations

import house_map


def test_the_map_has_every_module_in_its_own_words():
    _, between, _ = house_map.parts(house_map.PAGE.read_text("utf-8"))
    assert between.strip() == house_map.drawn().strip(), (
        "docs/ARCHITECTURE.md is stale; write it again: .venv/bin/python tests/house/house_map.py"
    )


def test_the_map_names_modules_that_do_something():
    modules = {module for _, module, _ in house_map.entries()}
    assert {"domain/run/decide", "engine/advance", "workspace/fence", "report/"} <= modules
