"""Makes the files of a run's report from its view and its artifacts."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from shipway.contracts.model import ArtifactRef, Timestamp
from shipway.contracts.views import RunDetail
from shipway.report.collect import collect
from shipway.report.model import Evidence
from shipway.secrets import redact, redact_value


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
        evidence=_json(record.evidence),
        diff=record.diff,
    )


def _json(evidence: Evidence) -> bytes:
    """Secrets are masked by their looks everywhere, and by their names in what was handed in."""
    data = _masked(evidence.model_dump(mode="json"))
    data["requirement"]["submission"] = redact_value(data["requirement"]["submission"])
    return json.dumps(data, indent=2, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def _masked(value: Any) -> Any:
    match value:
        case str():
            return redact(value)
        case list():
            return [_masked(item) for item in value]
        case dict():
            return {name: _masked(item) for name, item in value.items()}
        case _:
            return value
