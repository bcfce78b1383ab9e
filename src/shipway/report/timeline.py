"""Where the time of a run went: spans of queueing, work, retry delay and waiting, on one axis."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from shipway.contracts.model import Timestamp
from shipway.contracts.views import AskView, StageView

Kind = Literal["queued", "worked", "retrying", "waited"]
_IDLE_SHARE = 0.08
_LEAST_WIDTH = 0.35


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time in seconds since the epoch."""

    kind: Kind
    start: float
    end: float

    @property
    def seconds(self) -> float:
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Bar:
    """A span as drawn: ``left`` and ``width`` in percent of the axis."""

    kind: Kind
    left: float
    width: float
    seconds: float


def moment(at: Timestamp) -> float:
    return datetime.fromisoformat(at).timestamp()


def spans(stage: StageView, asks: Iterable[AskView], now: Timestamp) -> list[Span]:
    """The spans of one stage; what is still open goes on until ``now``."""
    found = [*_attempts(stage, now), *_waits(stage, asks, now)]
    return sorted((span for span in found if span.end > span.start), key=lambda span: span.start)


def _attempts(stage: StageView, now: Timestamp) -> Iterator[Span]:
    for attempt in stage.attempts:
        over = moment(attempt.ended_at or now)
        started = moment(attempt.started_at) if attempt.started_at else over
        if attempt.queued_at:
            yield Span("queued", moment(attempt.queued_at), started)
        yield Span("worked", started, over)
    for one, following in itertools.pairwise(stage.attempts):
        again = following.queued_at or following.started_at
        if one.ended_at and again:
            yield Span("retrying", moment(one.ended_at), moment(again))


def _waits(stage: StageView, asks: Iterable[AskView], now: Timestamp) -> Iterator[Span]:
    for ask in asks:
        if ask.stage == stage.id and ask.asked_at:
            yield Span("waited", moment(ask.asked_at), moment(ask.answered_at or now))


class Axis:
    """Seconds to percent; long stretches in which nothing works are drawn short.

    A wait of days beside work of seconds would leave nothing to see of the work.
    """

    def __init__(self, start: float, end: float, all_spans: Iterable[Span]) -> None:
        self.start = start
        self.end = max(end, start + 0.001)
        busy = _union([span for span in all_spans if span.kind in {"queued", "worked"}])
        worked = sum(to - since for since, to in busy) or (self.end - self.start)
        longest = worked * _IDLE_SHARE
        self.knots: list[tuple[float, float]] = [(self.start, 0.0)]
        self.collapsed: list[tuple[float, float]] = []
        for since, to, idle in _pieces(self.start, self.end, busy):
            length = to - since
            drawn = min(length, longest) if idle else length
            if drawn < length:
                self.collapsed.append((since, to))
            self.knots.append((to, self.knots[-1][1] + drawn))

    def percent(self, at: float) -> float:
        total = self.knots[-1][1] or 1.0
        for (since, low), (to, high) in itertools.pairwise(self.knots):
            if at <= to:
                share = (at - since) / (to - since) if to > since else 1.0
                return 100.0 * (low + max(0.0, share) * (high - low)) / total
        return 100.0

    def bar(self, span: Span) -> Bar:
        left = min(self.percent(span.start), 100.0 - _LEAST_WIDTH)
        width = max(self.percent(span.end) - left, _LEAST_WIDTH)
        return Bar(span.kind, round(left, 3), round(min(width, 100.0 - left), 3), span.seconds)

    def breaks(self) -> list[float]:
        """Where the axis leaves something out, in percent."""
        return [
            round((self.percent(since) + self.percent(to)) / 2, 3) for since, to in self.collapsed
        ]


def _pieces(
    start: float, end: float, busy: Sequence[tuple[float, float]]
) -> Iterator[tuple[float, float, bool]]:
    """The axis in pieces: (since, to, whether it is idle)."""
    at = start
    for since, to in busy:
        if since > at:
            yield at, since, True
        if to > max(at, since):
            yield max(at, since), to, False
        at = max(at, to)
    if end > at:
        yield at, end, True


def _union(found: Iterable[Span]) -> list[tuple[float, float]]:
    joined: list[tuple[float, float]] = []
    for span in sorted(found, key=lambda one: one.start):
        if joined and span.start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], span.end))
        else:
            joined.append((span.start, span.end))
    return joined
