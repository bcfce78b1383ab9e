"""The contracts that are spoken here, as people ask for them: a line about each, and the text of one."""

from __future__ import annotations

from typing import Any

from shipway.contracts.golden import described_as
from shipway.contracts.registry import CONTRACTS


class Spoken:
    """What can be asked of an installation about its contracts."""

    def lines(self) -> list[dict[str, Any]]:
        """Capability, version, the oldest that is understood and what it cannot carry, both messages."""
        return [
            {
                "capability": one.capability,
                "version": one.version,
                "oldest": one.history.oldest,
                "request": one.request.__name__,
                "result": one.result.__name__,
                "lost": one.history.lost_by_the_oldest(),
            }
            for one in CONTRACTS.values()
        ]

    def text(self, capability: str, version: int) -> dict[str, Any]:
        """As its golden file has it; raises NotFoundError."""
        return described_as(capability, version)
