"""Golden files: every version of every contract as it was released, kept for ever."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

from shipway.errors import NotFoundError


def described_as(capability: str, version: int) -> dict[str, Any]:
    """A contract as its golden file has it."""
    file = resources.files(__name__) / f"{capability}-{version}.json"
    if not file.is_file():
        raise NotFoundError(
            f"there is no version {version} of {capability}",
            hint=f'see "shipway contract list" and "shipway contract show {capability}"',
        )
    found: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return found
