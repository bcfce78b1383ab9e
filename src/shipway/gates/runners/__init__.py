"""One module for each tool: how it is run on a tree, and when its report may be believed."""

from __future__ import annotations
