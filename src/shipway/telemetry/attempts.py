"""The log of one attempt: JSON lines in a file that exists only once something is said."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import structlog
from structlog.typing import EventDict

from shipway.telemetry.logs import chain
from shipway.telemetry.masking import rendered
from shipway.telemetry.sink import MiB, RotatingFile

LARGEST = 16 * MiB
"""Bytes of one attempt's log before its older half moves aside to ``<name>.1``."""


_EVERY_LEVEL = structlog.make_filtering_bound_logger(10)


class _Lines:
    """Opens the file at the first line; the descriptor goes with the last one who holds the log."""

    def __init__(self, path: Callable[[], Path]) -> None:
        self._path = path
        self._file: RotatingFile | None = None

    def msg(self, line: bytes) -> None:
        if self._file is None:
            self._file = RotatingFile(self._path(), size=LARGEST, keep=1)
        self._file.write(line)

    debug = info = warning = error = critical = exception = log = msg


def _as_line(_logger: Any, _method: str, event: EventDict) -> bytes:
    return rendered(event)


def attempt_log(path: Callable[[], Path], **identity: Any) -> structlog.typing.FilteringBoundLogger:
    """A logger whose every line carries ``identity`` (run, stage, attempt, trace_id ...).

    ``path`` is asked when the first line is written: most attempts of a quick stage say nothing.
    """
    logger: structlog.typing.FilteringBoundLogger = structlog.wrap_logger(
        _Lines(path), processors=_processors(), wrapper_class=_EVERY_LEVEL, **identity
    )
    return logger


@lru_cache(maxsize=1)
def _processors() -> list[structlog.typing.Processor]:
    return [*chain(), _as_line]
