"""Changing a flag: what may be changed, checked as a whole, kept with who did it and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date
from typing import Any

from pydantic import ValidationError as ShapeError

from shipway.errors import NotFoundError, UsageError
from shipway.flags.flag import OFF, ON, Attribute, Flag, Rule, Serve, Value
from shipway.flags.keeping import Change, Keeping
from shipway.flags.known import KNOWN


@dataclass(frozen=True, slots=True)
class Edit:
    """What is to be different; None leaves it as it is."""

    enabled: bool | None = None
    serve: Serve | None = None
    rules: tuple[Rule, ...] | None = None
    variants: Mapping[str, Value] | None = None
    default: str | None = None
    unit: Attribute | None = None
    about: str | None = None
    owner: str | None = None
    expires: date | None = None


class Switchboard:
    """Every flag there is, kept or only declared, and the one way to change one."""

    def __init__(self, keeping: Keeping, known: Mapping[str, Flag] = KNOWN) -> None:
        self.keeping = keeping
        self._known = known

    @property
    def place(self) -> str:
        return self.keeping.place

    def all(self) -> dict[str, Flag]:
        """By key, in order; what is declared and was never changed has version 0."""
        return dict(sorted({**self._known, **self.keeping.load().flags}.items()))

    def get(self, key: str) -> Flag:
        """Raises NotFoundError."""
        found = self.all()
        if key not in found:
            raise NotFoundError(
                f"there is no flag {key}", hint=f"there are {', '.join(found) or 'none'}"
            )
        return found[key]

    def change(self, key: str, edit: Edit, by: str, why: str, version: int | None = None) -> Flag:
        """The flag after the change; ``version`` is the one that the change was made for.

        Raises NotFoundError, UsageError when it would make no sense, and ConflictError.
        """
        before = self.get(key)
        if version is not None:
            before = before.model_copy(update={"version": version})
        return self.keeping.put(_edited(before, edit), by, why)

    def was_made(self, key: str, edit: Edit, by: str, why: str, version: int) -> bool:
        """Whether this very change, made for that version, is the last one that was made."""
        now = self.get(key)
        last = next((one for one in self.history(key) if one.flag.version == now.version), None)
        return (
            last is not None
            and now.version == version + 1
            and (last.by, last.why) == (by, why)
            and _edited(now, edit) == now
        )

    def create(self, key: str, edit: Edit, by: str, why: str) -> Flag:
        """A new flag, off for everybody unless the edit says otherwise."""
        if key in self.all():
            raise UsageError(f"there is a flag {key} already", hint=f"see: shipway flag get {key}")
        missing = [name for name in ("about", "owner", "expires") if not getattr(edit, name)]
        if missing:
            raise UsageError(
                f"a new flag needs {', '.join(missing)}",
                hint="say what it is for, who decides about it, and until when",
            )
        variants = dict(edit.variants or {ON: True, OFF: False})
        default = edit.default or (OFF if OFF in variants else next(iter(variants)))
        start: dict[str, Any] = {
            "key": key,
            "variants": variants,
            "default": default,
            "serve": {"variant": default},
            "salt": key,
        }
        return self.keeping.put(_checked(start | _given(edit)), by, why)

    def history(self, key: str) -> list[Change]:
        self.get(key)
        return self.keeping.history(key)


def rollout(flag: Flag, percent: float, variant: str | None = None) -> Edit:
    """This share gets the variant; of a boolean flag the one that is on."""
    usual = [flag.serve.variant, ON if ON in flag.variants else None]
    wanted = variant or next((name for name in usual if name not in {None, flag.default}), None)
    if wanted is None:
        others = [name for name in flag.variants if name != flag.default]
        raise UsageError(
            f"{flag.key} has several variants",
            hint=f"say which one those should get: --variant {' or '.join(others)}",
        )
    try:
        return Edit(serve=Serve(variant=wanted, percent=percent))
    except ShapeError as error:
        raise _faulty(error) from None


def served(variant: str | None = None, split: Mapping[str, float] | None = None) -> Serve:
    try:
        return Serve(variant=variant, split=dict(split) if split else None)
    except ShapeError as error:
        raise _faulty(error) from None


def _edited(flag: Flag, edit: Edit) -> Flag:
    return _checked(flag.model_dump() | _given(edit))


def _given(edit: Edit) -> dict[str, Any]:
    return {
        one.name: getattr(edit, one.name)
        for one in fields(edit)
        if getattr(edit, one.name) is not None
    }


def _checked(document: dict[str, Any]) -> Flag:
    try:
        return Flag.model_validate(document)
    except ShapeError as error:
        raise _faulty(error) from None


def _faulty(error: ShapeError) -> UsageError:
    """Which fields, and what was expected; never what was given."""
    faults = [
        f"{'.'.join(map(str, one['loc'])) or 'the flag'}: {one['msg'].removeprefix('Value error, ')}"
        for one in error.errors(include_input=False, include_context=False, include_url=False)
    ]
    return UsageError("\n".join(["the flag would make no sense:", *faults]))
