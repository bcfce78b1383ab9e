"""Shipway carries a requirement to a verified, integrated, deployed change."""

__version__ = "0.1.0"
