"""The log of one attempt: JSON lines in a file that exists only once something is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TextIO

import orjson
import structlog

from shipway.telemetry.masking import mask


class _LazyFile:
    """Opens its file at the first line and closes it with the attempt."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: TextIO | None = None

    def msg(self, line: str) -> None:
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = self._path.open("a", encoding="utf-8")
        self._file.write(line + "\n")
        self._file.flush()

    debug = info = warning = error = critical = exception = log = msg

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def _json(_logger: Any, _name: str, event: structlog.typing.EventDict) -> str:
    return orjson.dumps(event, default=str).decode()


_PROCESSORS: list[structlog.typing.Processor] = [
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    structlog.processors.format_exc_info,
    mask,
    _json,
]


def attempt_log(path: Path, **identity: Any) -> structlog.typing.FilteringBoundLogger:
    """A logger whose every line carries ``identity`` (run, stage, attempt, trace)."""
    file = _LazyFile(path)
    logger: structlog.typing.FilteringBoundLogger = structlog.wrap_logger(
        file, processors=_PROCESSORS, wrapper_class=structlog.make_filtering_bound_logger(10)
    ).bind(**identity)
    return logger
