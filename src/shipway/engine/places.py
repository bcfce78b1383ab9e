"""Where things lie in the state directory; the one place that knows its layout."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Places:
    """Paths under SHIPWAY_HOME."""

    home: Path

    @property
    def database(self) -> Path:
        return self.home / "shipway.db"

    @property
    def artifacts(self) -> Path:
        return self.home / "artifacts"

    @property
    def lock(self) -> Path:
        return self.home / "engine.lock"

    @property
    def tidied(self) -> Path:
        """Touched when what the policy no longer keeps was removed."""
        return self.home / "tidied"

    @property
    def still(self) -> Path:
        """Held by whoever makes a backup: meanwhile nobody removes files."""
        return self.home / "backup.lock"

    @property
    def restoring(self) -> Path:
        """There while files come back from a backup; what lies beside it then is not whole."""
        return self.home / "restoring"

    @property
    def starting(self) -> Path:
        """Held while an engine starts, so that many commands at once start one and not many."""
        return self.home / "engine.starting"

    @property
    def engine_log(self) -> Path:
        """What an engine process said on its way down, if anything."""
        return self.home / "logs" / "engine.log"

    @property
    def log_lines(self) -> Path:
        """What every process of this state directory logs, one JSON object a line; rotated."""
        return self.home / "logs" / "shipway.jsonl"

    # One parse each: joining with "/" step by step is slow, and every attempt needs these.

    def run(self, run: str) -> Path:
        return Path(f"{self.home}/runs/{run}")

    def hub(self, run: str) -> Path:
        return Path(f"{self.home}/runs/{run}/hub.git")

    def work(self, run: str, attempt: str = "") -> Path:
        return Path(f"{self.home}/runs/{run}/work/{attempt}")

    def log(self, run: str, stage: str, attempt: int) -> Path:
        return Path(f"{self.home}/runs/{run}/logs/{stage}-{attempt}.log")

    def report(self, run: str) -> Path:
        return self.run(run) / "report.html"

    def evidence(self, run: str) -> Path:
        return self.run(run) / "evidence.json"

    def patch(self, run: str) -> Path:
        return self.run(run) / "change.patch"
