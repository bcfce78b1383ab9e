"""What a run leaves behind for people and machines: report.html, evidence.json and the patch."""

from shipway.report.make import Report, make

__all__ = ["Report", "make"]
