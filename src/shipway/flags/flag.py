"""A flag as it is kept: variants, who gets which, who owns it and until when."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from shipway.flags.bucketing import BUCKETS

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.-]{0,79}$")]
Value = bool | int | float | str
Percent = Annotated[float, Field(ge=0, le=100, multiple_of=0.01)]
Attribute = Literal["user", "role", "repository", "environment", "run"]
OFF, ON = "off", "on"


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


class Serve(_Kept):
    """What somebody gets: one variant, or by their share.

    ``percent`` takes part; the others get the flag's default. Those who take part get ``variant``,
    or one of ``split`` by its percentage. A split without ``percent`` divides everybody.
    """

    variant: Name | None = None
    percent: Percent | None = None
    split: dict[Name, Percent] | None = None

    @model_validator(mode="after")
    def _is_one_way(self) -> Self:
        if (self.variant is None) == (self.split is None):
            raise ValueError("name a variant or a split, not both")
        if self.split is not None and buckets_of(sum(self.split.values())) > BUCKETS:
            raise ValueError("the percentages of a split must not come to more than 100")
        return self

    def names(self) -> set[str]:
        return set(self.split or {}) | ({self.variant} if self.variant else set())


class Condition(_Kept):
    """An attribute has one of these values (or, with ``excluded``, none of them)."""

    attribute: Attribute
    values: tuple[str, ...] = Field(min_length=1)
    excluded: bool = False

    @model_validator(mode="before")
    @classmethod
    def _lists_are_fine(cls, given: Any) -> Any:
        if isinstance(given, dict) and isinstance(given.get("values"), list):
            return given | {"values": tuple(given["values"])}
        return given


class Rule(_Kept):
    """All conditions hold: then this is served, and no later rule is asked."""

    when: tuple[Condition, ...] = Field(min_length=1)
    serve: Serve

    @model_validator(mode="before")
    @classmethod
    def _lists_are_fine(cls, given: Any) -> Any:
        if isinstance(given, dict) and isinstance(given.get("when"), list):
            return given | {"when": tuple(given["when"])}
        return given


class Flag(_Kept):
    """``enabled: false`` is the kill switch: everybody gets the default at once."""

    key: Name
    about: str = Field(min_length=1, max_length=400)
    owner: str = Field(min_length=1, max_length=100)
    expires: Annotated[date, Field(strict=False)]
    enabled: bool = True
    variants: dict[Name, Value] = Field(min_length=1)
    default: Name
    rules: tuple[Rule, ...] = ()
    serve: Serve
    unit: Attribute = "user"
    salt: str = Field(min_length=1, max_length=64)
    bucketing: Literal[1] = 1
    version: int = Field(default=0, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _lists_are_fine(cls, given: Any) -> Any:
        if isinstance(given, dict) and isinstance(given.get("rules"), list):
            return given | {"rules": tuple(given["rules"])}
        return given

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        named = {self.default} | self.serve.names()
        for rule in self.rules:
            named |= rule.serve.names()
        if missing := sorted(named - self.variants.keys()):
            raise ValueError(f"there is no variant {', '.join(missing)}")
        kinds = {_kind(value) for value in self.variants.values()}
        if len(kinds) > 1:
            raise ValueError("the values of all variants must be of one kind")
        return self

    def is_expired(self, today: date) -> bool:
        return self.expires < today

    @property
    def kind(self) -> str:
        """boolean, number or text."""
        return _kind(self.variants[self.default])


def boolean(
    key: str, about: str, owner: str, expires: date, *, on: bool = False, unit: Attribute = "user"
) -> Flag:
    """A flag with the two usual variants, served to everybody or nobody."""
    return Flag(
        key=key,
        about=about,
        owner=owner,
        expires=expires,
        variants={ON: True, OFF: False},
        default=OFF,
        serve=Serve(variant=ON if on else OFF),
        unit=unit,
        salt=key,
    )


def buckets_of(percent: float) -> int:
    """How many of the buckets a percentage is: whole numbers, so that no sum drifts."""
    return round(percent * 100)


def _kind(value: Value) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "text" if isinstance(value, str) else "number"
