"""Makes the files of a run's report from its view and its artifacts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from shipway.contracts.model import ArtifactRef, Timestamp
from shipway.contracts.views import RunDetail
from shipway.report.collect import collect


@dataclass(frozen=True, slots=True)
class Report:
    """The bytes of ``report.html``, ``evidence.json`` and, if there is a change, its patch."""

    html: bytes
    evidence: bytes
    diff: bytes | None


def make(
    detail: RunDetail,
    read: Callable[[ArtifactRef], bytes],
    at: Timestamp,
    versions: Mapping[str, str],
) -> Report:
    """The report of a run as it stands ``at`` this time; ``read`` raises NotFoundError."""
    from shipway.report.page import page

    record = collect(detail, read, at, versions)
    return Report(
        html=page(record).encode("utf-8"),
        evidence=record.evidence.model_dump_json(indent=2).encode("utf-8") + b"\n",
        diff=record.diff,
    )
