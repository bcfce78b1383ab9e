"""Writes what a run leaves behind, when it ended or rests: the report, the evidence, the patch."""

from __future__ import annotations

import os
import platform
import tempfile
import time
from pathlib import Path

from shipway import __version__
from shipway.agents.agent import Artifacts
from shipway.contracts.model import timestamp
from shipway.engine.places import Places
from shipway.engine.queries import Queries
from shipway.report import make


class Reporter:
    """Files are replaced whole, so that a reader never sees half of one."""

    def __init__(self, home: Path, queries: Queries, artifacts: Artifacts) -> None:
        self._places = Places(home)
        self._queries = queries
        self._artifacts = artifacts

    def write(self, run: str) -> None:
        """Write the report of a run as it stands now."""
        versions = {"shipway": __version__, "python": platform.python_version()}
        detail = self._queries.run(run)
        report = make(detail, self._artifacts.read, timestamp(time.time()), versions)
        _replace(self._places.evidence(run), report.evidence)
        if report.diff is not None:
            _replace(self._places.patch(run), report.diff)
        # Last: whoever waits for the report finds the rest there as well.
        _replace(self._places.report(run), report.html)


def _replace(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "wb") as file:
        file.write(data)
    Path(temporary).replace(path)
