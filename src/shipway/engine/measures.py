"""Counts what an engine commits: runs, stages and attempts, for the metrics of its process."""

from __future__ import annotations

import time
from collections.abc import Callable

from shipway.domain.run import events as e
from shipway.engine.advance import Committed
from shipway.telemetry import metrics


class Measures:
    """An observer of an engine; only processes that tell their metrics pay for it."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now

    def __call__(self, committed: list[Committed]) -> None:
        for one in committed:
            if one.decision is not None:
                name = one.decision.state.pipeline.name
                for event in one.decision.events:
                    self._count(name, event)

    def _count(self, pipeline: str, event: e.Event) -> None:
        match event:
            case e.StagePassed():
                self._ended(event.stage, "succeeded", event.started_at)
                metrics.STAGES.of(event.stage, "passed").inc()
            case e.AttemptFailed():
                self._ended(event.stage, "failed", event.started_at)
                if event.retry_at is None:
                    metrics.STAGES.of(event.stage, "failed").inc()
            case e.AttemptInterrupted():
                self._ended(event.stage, "interrupted", None)
            case e.StageSkipped():
                metrics.STAGES.of(event.stage, "skipped").inc()
            case e.StageCancelled():
                metrics.STAGES.of(event.stage, "cancelled").inc()
            case e.RunSubmitted():
                metrics.RUNS_SUBMITTED.of(pipeline).inc()
            case e.RunEnded():
                metrics.RUNS_ENDED.of(event.status.value).inc()
            case _:
                return

    def _ended(self, stage: str, outcome: str, began: float | None) -> None:
        metrics.ATTEMPTS.of(stage, outcome).inc()
        if began is not None:
            metrics.ATTEMPT_SECONDS.of(stage).observe(max(0.0, self._now() - began))
