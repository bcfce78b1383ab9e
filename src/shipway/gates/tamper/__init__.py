"""Whether a change bends what judges it: measured by the base's tests, compared tree by tree."""

from shipway.gates.tamper.judge import RULE

__all__ = ["RULE"]
