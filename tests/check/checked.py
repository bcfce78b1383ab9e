"""Repositories before and after a change, and what tests read from a report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from shipway.contracts.check import CheckReport
from shipway.contracts.evidence import GateEvidence

SHOP = {
    "shop.py": "def price(n):\n    return n * 3\n",
    "test_shop.py": "from shop import price\n\n\ndef test_zero():\n    assert price(0) == 0\n",
}
MENDED = {
    "shop.py": "def price(n):\n    return n * 2\n",
    "test_shop.py": SHOP["test_shop.py"] + "\n\ndef test_two():\n    assert price(2) == 4\n",
}
BROKEN = {**MENDED, "shop.py": "def price(n):\n    return n * 5\n"}


def gate(report: CheckReport, name: str) -> GateEvidence:
    return next(one for one in report.evidence if one.gate == name)


def policy(text: str) -> Mapping[str, str]:
    return {".shipway/policy.yaml": f"version: 1\n{text}"}


def write(root: Path, files: Mapping[str, str | None]) -> None:
    """Write files below a directory; None removes one."""
    for name, content in files.items():
        path = root / name
        if content is None:
            path.unlink()
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
