"""Reports of tools as bytes turned into findings, counts and measurements; pure, and strict."""

from __future__ import annotations
