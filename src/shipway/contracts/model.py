"""The strict shape that every message shares: unknown fields refused, nothing coerced."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
GitObject = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")]
Timestamp = Annotated[
    str, StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z$")
]


class Model(BaseModel):
    """Base of every wire model; frozen, so that a message cannot change after it was checked."""

    model_config = ConfigDict(
        defer_build=True,
        extra="forbid",
        strict=True,
        frozen=True,
        hide_input_in_errors=True,
        ser_json_inf_nan="null",
    )


class Lasting(Model):
    """One that is made ready when its module is loaded: what a server takes waits for nothing."""

    model_config = ConfigDict(defer_build=False)


class ArtifactRef(Model):
    """A file in the artifact store, addressed by the sha256 of its bytes."""

    name: str
    sha256: Sha256
    size: int
    media_type: str


@lru_cache(maxsize=256)
def timestamp(at: float) -> str:
    """Seconds since the epoch as the wire writes times: UTC, to the microsecond, ending in Z."""
    return (_EPOCH + timedelta(seconds=at)).isoformat(timespec="microseconds") + "Z"


_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - in UTC, like all that is counted from it


def today() -> str:
    """The day in UTC, which waivers and quarantine are held against."""
    return datetime.now(UTC).date().isoformat()
