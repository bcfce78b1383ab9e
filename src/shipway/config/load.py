"""Reads the settings: defaults, file, variables, options; everything is checked at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from shipway.config.layers import Fault, Given, layers
from shipway.config.safety import unsafe_choices
from shipway.config.setting import ENVIRONMENTS, Declared, as_text, declared
from shipway.config.tree import Settings
from shipway.errors import ConfigurationError

REFERENCE = "docs/CONFIGURATION.md"


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings in force, and for each of them who gave it."""

    settings: Settings
    sources: Mapping[str, str]


def load_settings(**options: Any) -> Settings:
    """The settings, checked whole; ``options`` are strongest, and None means not given.

    Raises ConfigurationError that names every fault, and no value.
    """
    return load(options).settings


def effective(loaded: Loaded) -> list[dict[str, Any]]:
    """Every setting as it is in force, safe to show: secrets are masked."""
    given = loaded.settings.model_dump(mode="json")
    return [
        {
            "name": one.name,
            "variable": one.variable,
            "value": given[one.name],
            "text": as_text(given[one.name]),
            "source": loaded.sources[one.name],
            "secret": one.secret,
            "reloadable": one.facts.reloadable,
            "description": one.doc,
        }
        for one in declared(Settings)
    ]


def load(options: Mapping[str, Any] | None = None) -> Loaded:
    """The same, with the source of each value."""
    known = {one.name: one for one in declared(Settings)}
    faults: list[Fault] = []
    given = layers(known, options or {}, faults)
    environment = _environment(given)
    defaults = {
        name: Given(one.default(environment), f"default for {environment}", one.variable)
        for name, one in known.items()
        if environment in one.facts.defaults
    }
    found = defaults | given
    settings = _validated(known, found, faults)
    if settings is not None:
        faults += unsafe_choices(settings, known)
    if settings is None or faults:
        raise _refusal(faults)
    sources = {name: found[name].source if name in found else "default" for name in known}
    return Loaded(settings, sources)


def _environment(given: Mapping[str, Given]) -> str:
    """Which defaults hold; a wrong name is a fault of its own that is told with all others."""
    named = str(given["environment"].value) if "environment" in given else ENVIRONMENTS[0]
    return named if named in ENVIRONMENTS else ENVIRONMENTS[0]


def _validated(
    known: Mapping[str, Declared], found: Mapping[str, Given], faults: list[Fault]
) -> Settings | None:
    values = {}
    for name, given in found.items():
        one = known[name]
        if given.value == "" and one.default("development") != "":
            faults.append(_fault(one, given, f"should be {one.expectation}, and is empty"))
        else:
            values[name] = _items(given.value) if one.many else given.value
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        faults += _faults(error, known, found)
        return None


def _items(value: Any) -> Any:
    """A list that was given as one text."""
    if isinstance(value, str):
        return [item.strip() for item in value.split(",") if item.strip()]
    return value


def _faults(
    error: ValidationError, known: Mapping[str, Declared], found: Mapping[str, Given]
) -> Iterator[Fault]:
    """One for each setting, in our own words: those of Pydantic could quote what was given."""
    names = [str(one["loc"][0]) for one in error.errors(include_input=False, include_context=False)]
    for name in dict.fromkeys(names):
        one = known[name]
        yield _fault(one, found.get(name), f"should be {one.expectation}")


def _fault(one: Declared, given: Given | None, expectation: str) -> Fault:
    default = one.default_in_words("development")
    otherwise = f" to take the default, {default}" if default and not one.secret else ""
    remedy = f"change it, or remove it{otherwise} ({REFERENCE}#{one.name})"
    return Fault(given.where if given else one.variable, expectation, remedy)


def _refusal(faults: list[Fault]) -> ConfigurationError:
    lines = [str(fault) for fault in faults]
    return ConfigurationError(
        "\n".join(["the settings cannot be used:", *lines]),
        hint=f'"shipway config check" says when they can; {REFERENCE} describes each',
        details={"faults": lines},
    )
