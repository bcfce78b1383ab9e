"""The one settings tree: read once at start, checked whole, handed on as an argument."""

from shipway.config.directories import prepare
from shipway.config.load import Loaded, effective, load, load_settings
from shipway.config.tree import Settings

__all__ = ["Loaded", "Settings", "effective", "load", "load_settings", "prepare"]
