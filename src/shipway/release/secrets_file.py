"""The settings of a service that are secret: one file per service that only its owner can read."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from shipway.errors import ConfigurationError
from shipway.release.ledger import write_whole

Kind = Literal["api_key", "basic", "bearer"]
_NAME = re.compile(r"[A-Z_][A-Z0-9_]{0,127}")
_HEADER = """\
# Secrets of this service: NAME=value, one a line; several accepted values are separated by commas.
# Shipway made what was missing and never changes a value that stands here. Deploy again to apply.
"""


def read(path: Path) -> dict[str, str]:
    """The values by name; ConfigurationError names the line that cannot be read, not its text."""
    if not path.exists():
        return {}
    found = {}
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals or not _NAME.fullmatch(name.strip()) or "\0" in value:
            raise ConfigurationError(
                f"line {number} of the service's secrets file is not NAME=value",
                hint=f"correct it in {path}",
            )
        found[name.strip()] = value.strip()
    return found


def complete(path: Path, wanted: Mapping[str, Kind]) -> list[str]:
    """Make a value for each wanted name that has none yet; returns the names it made.

    The file is replaced whole with mode 0600, which it also gets when somebody widened it.
    """
    values = read(path)
    missing = [name for name in wanted if not values.get(name)]
    if missing or not path.exists():
        fresh = {name: _make(wanted[name]) for name in missing}
        old = path.read_text() if path.exists() else _HEADER
        lines = [line for line in old.splitlines() if line.partition("=")[0].strip() not in fresh]
        lines += [f"{name}={value}" for name, value in fresh.items()]
        write_whole(path, ("\n".join(lines) + "\n").encode(), mode=0o600)
    path.chmod(0o600)
    return missing


def _make(kind: Kind) -> str:
    key = secrets.token_urlsafe(32)
    return f"shipway:{key}" if kind == "basic" else key
