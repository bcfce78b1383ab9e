"""Small projects to be judged, and plans for them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from shipway.contracts.change_plan import ChangePlan, Command
from shipway.domain.states import Claim


def write(root: Path, files: Mapping[str, str]) -> None:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")


def change_plan(base: str, **given: object) -> ChangePlan:
    """A plan for a change to a small Python project; ``test`` may be a list of words."""
    test = given.pop("test", None)
    fields = {
        "name": "shop", "title": "A change", "requirement": "Change it.", "claim": Claim.FIX,
        "base": base, "target": "main", "stack": "python", "layout": "flat",
        "test": Command(argv=test, source="Makefile") if test else None,
    }  # fmt: skip
    return ChangePlan.model_validate(fields | given)
