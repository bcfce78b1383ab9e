"""One line of JSON per event, with what was being worked on, and without secrets."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, BinaryIO

import structlog
from structlog.contextvars import bound_contextvars
from structlog.typing import EventDict

from shipway.telemetry.masking import mask, rendered
from shipway.telemetry.sink import RotatingFile, Sink, Stream
from shipway.telemetry.trace import Trace, parse

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_CURRENT: ContextVar[Trace | None] = ContextVar("shipway_trace", default=None)


def configure(level: str = "info", target: Path | BinaryIO | None = None) -> Sink:
    """Send every log line of this process, structlog's and the standard library's, to one place.

    ``target`` is a file that is rotated, an open binary stream, or nothing for standard error.
    May be called again; loggers that exist already follow.
    """
    sink = _sink(target)
    structlog.configure(
        processors=[*chain(), _Deliver(sink)],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.ReturnLoggerFactory(),
        cache_logger_on_first_use=False,
    )
    _bridge(_LEVELS[level])
    return sink


def _sink(target: Path | BinaryIO | None) -> Sink:
    if isinstance(target, Path):
        return RotatingFile(target)
    return Stream(target or sys.stderr.buffer)


def chain() -> list[structlog.typing.Processor]:
    """What every event passes before it is rendered, wherever it then goes."""
    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        mask,
    ]


class _Deliver:
    """The last processor: renders the line, hands it to the sink and ends the chain."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def __call__(self, _logger: Any, _method: str, event: EventDict) -> str:
        self._sink.write(rendered(event))
        raise structlog.DropEvent


class _Bridge(logging.Handler):
    """Hands records of the standard library's loggers to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger().bind(logger=record.name)
        level = max(10, min(record.levelno, 50) // 10 * 10)  # structlog knows whole steps only
        log.log(level, record.getMessage(), exc_info=record.exc_info or False)


def _bridge(level: int) -> None:
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, _Bridge)]:
        root.removeHandler(handler)
    root.addHandler(_Bridge())
    root.setLevel(max(level, logging.WARNING))  # what libraries find worth telling, not their chat


def current() -> Trace | None:
    """The span that is being worked in, if any."""
    return _CURRENT.get()


@contextmanager
def bound(*, traceparent: str | Trace | None = None, **fields: Any) -> Iterator[Trace]:
    """Every log line inside names these fields (run, stage, attempt ...) and a span of its own.

    The span is a child of ``traceparent``, else of the surrounding span, else a new trace. It is
    local to the task or thread; ``contextvars.copy_context()`` carries it into another thread.
    """
    parent = parse(traceparent) if isinstance(traceparent, str) else traceparent or current()
    span = parent.child() if parent else Trace.begin()
    reset = _CURRENT.set(span)
    try:
        with bound_contextvars(**fields, trace_id=span.trace_id, span_id=span.span_id):
            yield span
    finally:
        _CURRENT.reset(reset)
