"""The acceptance flows: a small HTTP client that walks a plan's checks; standard library only.

This package is carried into a fence as one archive and run there by a Python that knows nothing
else of Shipway (see ``gates.carry``).
"""

from __future__ import annotations
