"""Where settings are given: a file, variables, files of secrets, options; each stronger than before."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shipway.config.setting import PREFIX, Declared, as_text

CONFIG = "SHIPWAY_CONFIG"
NOT_SETTINGS = {
    CONFIG: "the settings file; without it $XDG_CONFIG_HOME/shipway/config.toml, if there is one",
    "SHIPWAY_URL": "the server that commands talk to, instead of working on this machine",
    "SHIPWAY_TOKEN": "its token; without it the one in SHIPWAY_HOME",
    "SHIPWAY_RELEASE": "tells a deployed service which release it is",
    "SHIPWAY_REQUIREMENT_FILE": "tells a command that implements a change where the requirement is",
    "SHIPWAY_PLAN_FILE": "tells it where the plan is",
}
"""Variables of ours that tell a process something, but are no settings, and what they tell."""

_LONGEST = 64 * 1024


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong: where, what was expected, what to do. It never holds a value."""

    setting: str
    expectation: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.setting} {self.expectation}; {self.remedy}"


@dataclass(frozen=True, slots=True)
class Given:
    """A value as it was given, and by what."""

    value: Any
    source: str
    where: str
    """How a fault names it: the variable, or the key and its file."""


Layer = dict[str, Given]


def layers(known: Mapping[str, Declared], options: Mapping[str, Any], faults: list[Fault]) -> Layer:
    """What was given for each setting by the strongest source; faults are added to the list."""
    found = _from_file(known, faults)
    found |= _from_variables(known, faults)
    found |= {
        name: Given(value, "option", f"--{name.replace('_', '-')}")
        for name, value in options.items()
        if value is not None
    }
    return found


# -- variables --------------------------------------------------------------------------------


def _from_variables(known: Mapping[str, Declared], faults: list[Fault]) -> Layer:
    found: Layer = {}
    faults += _unknown_variables(known)
    for one in known.values():
        text, pointer = os.environ.get(one.variable), os.environ.get(f"{one.variable}_FILE")
        if text is not None and pointer is not None and one.secret:
            faults.append(
                Fault(one.variable, f"is given twice, also as {one.variable}_FILE", "remove one")
            )
        elif text is not None:
            if text or not one.optional:  # an empty variable of an optional setting is none
                found[one.name] = Given(text, f"variable {one.variable}", one.variable)
        elif pointer and one.secret:
            found |= _from_secret_file(one, Path(pointer), faults)
    return found


def _from_secret_file(one: Declared, path: Path, faults: list[Fault]) -> Layer:
    variable = f"{one.variable}_FILE"
    remedy = "point it to a readable file that holds the secret and nothing else"
    try:
        text = path.read_bytes()[: _LONGEST + 1].decode().rstrip("\r\n")
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        faults.append(Fault(variable, f"names a file that cannot be read ({reason})", remedy))
        return {}
    except ValueError:
        faults.append(Fault(variable, "names a file that is no text", remedy))
        return {}
    if not text or len(text) > _LONGEST:
        wrong = "is empty" if not text else "is far too long"
        faults.append(Fault(variable, f"names a file that {wrong}", remedy))
        return {}
    return {one.name: Given(text, f"file named by {variable}", variable)}


def _unknown_variables(known: Mapping[str, Declared]) -> Iterator[Fault]:
    """Variables that look like ours and are not: a mistyped setting would silently not count."""
    ours = {one.variable for one in known.values()} | set(NOT_SETTINGS)
    ours |= {f"{one.variable}_FILE" for one in known.values() if one.secret}
    for variable in sorted(os.environ):
        if not variable.upper().startswith(PREFIX) or variable in ours:
            continue
        if variable.endswith("_FILE") and variable.removesuffix("_FILE") in ours:
            yield Fault(variable, "is no setting: only secrets are read from files", "remove it")
        else:
            yield Fault(variable, "is no setting", _guess(variable.upper(), ours))


def _guess(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.75)
    listed = 'remove it; "shipway config show" lists all'
    return f"did you mean {close[0]}?" if close else listed


# -- the file ---------------------------------------------------------------------------------


def settings_file() -> Path | None:
    """The file that counts: the one that SHIPWAY_CONFIG names, or the user's own if there is one."""
    named = os.environ.get(CONFIG)
    if named:
        return Path(named)
    base = os.environ.get("XDG_CONFIG_HOME")
    usual = (Path(base) if base else Path.home() / ".config") / "shipway" / "config.toml"
    return usual if usual.exists() else None


def _from_file(known: Mapping[str, Declared], faults: list[Fault]) -> Layer:
    path = settings_file()
    if path is None:
        return {}
    table = _read(path, faults)
    found: Layer = {}
    for key, value in _flat(table):
        name = key.replace(".", "_").replace("-", "_")
        where = f"{key} in {path}"
        one = known.get(name)
        if one is None:
            faults.append(Fault(where, "is no setting", _guess(name, known)))
        elif name in found:
            faults.append(
                Fault(where, f"is given twice, also as {found[name].where}", "remove one")
            )
        else:
            found[name] = Given(_as_given(value), f"file {path}", where)
    return found


def _read(path: Path, faults: list[Fault]) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        remedy = f"point {CONFIG} to a readable file, or remove it"
        faults.append(Fault(f"the settings file {path}", f"cannot be read ({reason})", remedy))
    except ValueError as error:
        at = re.search(r"line \d+, column \d+", str(error))
        place = f" at {at.group()}" if at else ""
        remedy = 'write it as name = "value"'
        faults.append(Fault(f"the settings file {path}", f"is no TOML{place}", remedy))
    return {}


def _flat(table: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Tables are prefixes: ``[log] level`` and ``log_level`` are the same setting."""
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value


def _as_given(value: Any) -> Any:
    """As a variable would say it, so that one way of reading holds for both; lists stay lists."""
    if isinstance(value, list):
        return [item if isinstance(item, str) else as_text(item) for item in value]
    return value if isinstance(value, str) else as_text(value)
