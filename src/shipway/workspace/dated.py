"""Installs packages as they were on a day: what an old commit was written for, not what came since."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from shipway.workspace import pipsettings
from shipway.workspace.interpreters import RELEASED, RIPE

LOCK = Path(__file__).with_name("installer.txt")
_OLD = timedelta(days=60)


@dataclass(frozen=True, slots=True)
class Files:
    """One requirement file and the constraints that go with it, both written out by us."""

    requirements: Path
    constraints: Path | None = None


def is_old(committed: datetime, now: datetime) -> bool:
    return now - committed >= _OLD


def day(committed: datetime, python: tuple[int, int], now: datetime) -> str | None:
    """The last day whose packages count for a commit; None for one that is not old.

    No day lies before packages for this Python were there.
    """
    if not is_old(committed, now):
        return None
    # The first day of the month that follows: commits of a month share an environment.
    near = committed.astimezone(UTC).date().replace(day=1) + timedelta(days=32)
    return ripe(near.replace(day=1).isoformat(), python, now)


def ripe(wanted: str, python: tuple[int, int], now: datetime) -> str | None:
    """The day itself, or a later one if packages for this Python were not there yet; None for today."""
    released = RELEASED.get(python)
    found = wanted if released is None else max(wanted, (released + RIPE).isoformat())
    return found if found < now.date().isoformat() else None


def command(uv: Path, python: Path, files: Sequence[Files], before: str) -> list[str]:
    """The installer's command line."""
    argv = [str(uv), "pip", "install", "--python", str(python), "--exclude-newer", before]
    argv += ["--no-config", "--no-progress", "--index-strategy", "unsafe-best-match"]
    # As pip does: nothing can write there later, and compiling may warn, which tests make an error.
    argv.append("--compile-bytecode")
    for one in files:
        argv += ["-r", str(one.requirements)]
        if one.constraints is not None:
            argv += ["-c", str(one.constraints)]
    return argv


def environment(scratch: Path, pip: dict[str, str], configuration: str) -> dict[str, str]:
    """pip's own settings in the installer's words; packages without a date are left aside."""
    found = dict(pip)
    index, others = pipsettings.indexes(pip, configuration)
    if index:
        found["UV_DEFAULT_INDEX"] = index
    if others:
        found["UV_INDEX"] = " ".join(others)
    certificates = pipsettings.value("cert", pip, configuration)
    if certificates:
        found["SSL_CERT_FILE"] = certificates
    return found | {
        "UV_CACHE_DIR": str(scratch / "cache"),
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_HTTP_TIMEOUT": "120",
    }
