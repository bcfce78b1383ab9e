"""A fault of our own: kept in a report file, so that a person sees one line and not a traceback."""

from __future__ import annotations

import os
import platform
import shlex
import tempfile
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from shipway import __version__
from shipway.errors import ShipwayError


def as_bug(error: BaseException, words: Sequence[str]) -> ShipwayError:
    """Keep the traceback, masked, in a file and name that file."""
    kind = type(error).__name__
    try:
        path = _keep(_masked(_text(error, words)))
    except OSError as refused:
        reason = os.strerror(refused.errno or 0).lower()
        return ShipwayError(
            f"this is a bug in Shipway ({kind})",
            hint=f"no report could be written ({reason}); nothing that was committed is lost",
        )
    return ShipwayError(
        f"this is a bug in Shipway ({kind})",
        hint=f"please report it with this file, which has no secrets: {path}",
        details={"report": str(path)},
    )


def _text(error: BaseException, words: Sequence[str]) -> str:
    return "\n".join(
        (
            f"shipway {__version__}, Python {platform.python_version()}, {platform.platform()}",
            f"command: {shlex.join(['shipway', *words])}",
            f"time: {datetime.now(UTC).isoformat(timespec='seconds')}",
            "",
            "".join(traceback.format_exception(error)),
        )
    )


def _masked(text: str) -> str:
    from shipway.secrets import redact

    return redact(text)


def _keep(text: str) -> Path:
    problem: OSError | None = None
    for folder in _folders():
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            number, name = tempfile.mkstemp(prefix="bug-", suffix=".txt", dir=folder)
        except OSError as refused:
            problem = refused
            continue
        with os.fdopen(number, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
        return Path(name)
    raise problem or OSError


def _folders() -> list[Path]:
    """The state directory first; the settings may be what is broken, so it is looked up anew."""
    from shipway.cli.session import state_directory

    return [state_directory() / "reports", Path(tempfile.gettempdir())]
