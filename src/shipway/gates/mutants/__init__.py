"""Small faults in the changed lines, and whether the tests notice them."""

from shipway.gates.mutants.judge import RULE

__all__ = ["RULE"]
