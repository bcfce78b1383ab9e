"""Every gate that `shipway check` knows, the cheapest first."""

from __future__ import annotations

from shipway.gates import standard
from shipway.gates.gate import Gate

GATES: tuple[Gate, ...] = tuple(sorted(standard.GATES, key=lambda gate: gate.cost))
