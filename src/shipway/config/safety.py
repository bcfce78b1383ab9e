"""What production refuses: choices that are fine on a desk and dangerous in front of people."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from shipway.config.layers import Fault
from shipway.config.setting import Declared
from shipway.config.tree import Settings


class Refused(NamedTuple):
    """One unsafe choice: the setting, whether it was made, what production wants instead."""

    name: str
    chosen: Callable[[Settings], bool]
    expectation: str
    remedy: str


REFUSED = (
    Refused(
        "fence",
        lambda settings: settings.fence != "strict",
        "should be strict: work of agents would run behind a weaker fence",
        "set it to strict and let the kernel allow user namespaces",
    ),
    Refused(
        "log_level",
        lambda settings: settings.log_level == "debug",
        "should not be debug: its lines say more of requests and work than anybody should keep",
        "set it to info, or look closer in another environment",
    ),
)


def unsafe_choices(settings: Settings, known: Mapping[str, Declared]) -> Iterator[Fault]:
    """The faults of settings that are valid and yet refused in production."""
    if settings.environment != "production":
        return
    for name, one in known.items():
        if one.facts.required and not getattr(settings, name):
            source = f"{one.variable} or {one.variable}_FILE" if one.secret else one.variable
            yield Fault(
                one.variable, f"is missing, and should be {one.expectation}", f"set {source}"
            )
    for refused in REFUSED:
        if refused.chosen(settings):
            yield Fault(known[refused.name].variable, refused.expectation, refused.remedy)
