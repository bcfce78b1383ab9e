"""Reads OpenAPI documents into a model that the plan is made from."""

from shipway.specs.document import Document
from shipway.specs.overlay import overlaid
from shipway.specs.reading import bundled, read

__all__ = ["Document", "bundled", "overlaid", "read"]
