"""Versions of one capability's messages: readers take N, N-1 and N-2, the newer side casts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel

from shipway.errors import ContractError

#: How many older versions are understood beside the newest.
SPAN = 2

Kind = Literal["request", "result"]
Data = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Cast:
    """From a version to the next and back; ``lost`` names what the older one cannot carry."""

    up: Callable[[Data], Data]
    down: Callable[[Data], Data]
    lost: tuple[str, ...] = ()


def unchanged(data: Data) -> Data:
    return data


SAME = Cast(unchanged, unchanged)


@dataclass(frozen=True, slots=True)
class Edition:
    """One version: its messages, and how they come from the version before."""

    version: int
    request: type[BaseModel]
    result: type[BaseModel]
    request_cast: Cast = SAME
    result_cast: Cast = SAME


class History:
    """The versions of a capability that are still spoken, oldest first, without gaps."""

    def __init__(self, capability: str, *editions: Edition) -> None:
        self.capability = capability
        self.editions: Mapping[int, Edition] = {one.version: one for one in editions}
        versions = list(self.editions)
        if versions != list(range(versions[0], versions[0] + len(versions))):
            raise ContractError(f"the versions of {capability} do not follow one another")

    @property
    def newest(self) -> int:
        return max(self.editions)

    @property
    def oldest(self) -> int:
        """The oldest that a peer may speak."""
        return max(min(self.editions), self.newest - SPAN)

    def lost_by_the_oldest(self) -> dict[str, list[str]]:
        """What a message loses on its way down to the oldest peer, by request and result."""
        ways: tuple[Kind, ...] = ("request", "result")
        return {kind: list(self.lost(kind, self.newest, self.oldest)) for kind in ways}

    def admit(self, version: int, name: str) -> None:
        """At registration: refuse a peer that is too old, before it gets any work.

        A newer peer is welcome as long as we are within its span: it casts, not we.
        """
        if version < self.oldest:
            raise ContractError(
                f"{name} speaks version {version} of {self.capability}, and {self.oldest} to "
                f"{self.newest} are understood here",
                hint="bring it up to date, then start it again",
            )
        if version > self.newest + SPAN:
            raise ContractError(
                f"{name} speaks version {version} of {self.capability}, which no longer "
                f"understands {self.newest}",
                hint="bring this installation up to date first",
            )

    def cast(self, kind: Kind, data: Data, source: int, target: int) -> Data:
        """The message in another version, one version at a time; checked by each that it passes."""
        for version in (source, target):
            if not self.oldest <= version <= self.newest:
                raise ContractError(
                    f"version {version} of {self.capability} is not spoken here",
                    hint=f"versions {self.oldest} to {self.newest} are; bring the older side up to date",
                )
        if source != target:  # also fills in what was left to the defaults of its version
            data = self._checked(kind, data, source)
        while source != target:
            step = 1 if source < target else -1
            newer = self.editions[max(source, source + step)]
            cast = newer.request_cast if kind == "request" else newer.result_cast
            source += step
            data = self._checked(kind, (cast.up if step > 0 else cast.down)(dict(data)), source)
        return data

    def lost(self, kind: Kind, source: int, target: int) -> tuple[str, ...]:
        """What a cast to an older version cannot carry, as declared."""
        casts = (
            self.editions[version].request_cast
            if kind == "request"
            else self.editions[version].result_cast
            for version in range(source, target, -1)
        )
        return tuple(name for cast in casts for name in cast.lost)

    def _checked(self, kind: Kind, data: Data, version: int) -> Data:
        import orjson
        import pydantic

        edition = self.editions[version]
        model = edition.request if kind == "request" else edition.result
        try:
            read = model.model_validate_json(orjson.dumps(data))
        except pydantic.ValidationError as error:
            faults = [".".join(map(str, one["loc"])) for one in error.errors(include_input=False)]
            raise ContractError(
                f"the {kind} of {self.capability} does not fit version {version}: "
                f"{', '.join(faults[:5])}"
            ) from None
        plain: Data = read.model_dump(mode="json")
        return plain
