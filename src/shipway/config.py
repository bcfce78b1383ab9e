"""The one settings tree: read once at start, checked whole, handed on as an argument."""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from shipway.errors import ConfigurationError
from shipway.health import NETWORK, filesystem_of

PREFIX = "SHIPWAY_"
NOT_SETTINGS = frozenset({"SHIPWAY_RELEASE"})
"""Variables of ours that tell a process something, but are no settings."""


def _xdg(variable: str, fallback: str) -> Path:
    return Path(os.environ.get(variable) or Path.home() / fallback) / "shipway"


class Settings(BaseSettings):
    """Every setting, its default and what it is for; the variables are ``SHIPWAY_<NAME>``."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", hide_input_in_errors=True
    )

    home: Path = Field(
        default_factory=lambda: _xdg("XDG_STATE_HOME", ".local/state"),
        description="state directory: database, runs, artifacts, releases",
    )
    cache: Path = Field(
        default_factory=lambda: _xdg("XDG_CACHE_HOME", ".cache"),
        description="environments built for gates and candidates; safe to delete",
    )
    fence: Literal["strict", "degraded"] = Field(
        default="strict",
        description="strict: a fence weaker than policy is an error; degraded: it is recorded",
    )
    command_network: bool = Field(
        default=False, description="whether a command that implements a change has the network"
    )
    command_env: str = Field(
        default="",
        description="variables that such a command gets from ours, by name, with commas between",
    )
    command_readable: str = Field(
        default="",
        description="directories of the hidden home that it may read, with colons between",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="the least important log lines that are kept"
    )
    max_attempts_at_once: int = Field(
        default=4, ge=1, le=64, description="attempts of all runs that may work at the same time"
    )
    python: Path = Field(
        default=Path(sys.executable),
        description="the Python that environments for gates and candidates are built with",
    )

    @field_validator("home", "cache")
    @classmethod
    def _is_a_place(cls, path: Path) -> Path:
        """Absolute, so that a later change of directory does not move it."""
        if "\0" in str(path) or str(path) in {"", "/"}:
            raise ValueError("should be a directory of its own")
        return path.expanduser().absolute()


def load_settings() -> Settings:
    """The settings, checked whole; raises ConfigurationError that names every fault, no value."""
    faults = list(_unknown_names())
    try:
        settings = Settings()
    except ValidationError as error:
        faults += [
            f"{PREFIX}{str(fault['loc'][0]).upper()} {_expected(fault['msg'])}"
            for fault in error.errors(include_input=False, include_url=False, include_context=False)
        ]
    if faults:
        raise ConfigurationError(
            "\n".join(["the settings cannot be used:", *faults]),
            hint='change these variables; "shipway config show" lists them all',
            details={"faults": faults},
        )
    return settings


def _unknown_names() -> Iterator[str]:
    """Variables that look like ours and are not: a mistyped setting would silently not count."""
    known = [name.upper() for name in Settings.model_fields]
    for variable in sorted(os.environ):
        name = variable.upper().removeprefix(PREFIX)
        if not variable.upper().startswith(PREFIX) or name in known or variable in NOT_SETTINGS:
            continue
        close = difflib.get_close_matches(name, known, n=1)
        guess = f"did you mean {PREFIX}{close[0]}?" if close else f"there are {', '.join(known)}"
        yield f"{variable} is no setting; {guess}"


def _expected(message: str) -> str:
    message = message.removeprefix("Value error, ").replace("Input should be", "should be")
    return message[:1].lower() + message[1:]


def prepare(settings: Settings) -> None:
    """Make the state and cache directories, for their owner only.

    Raises ConfigurationError if they cannot be made or written, or if the state directory is on a
    network file system, where two machines could take themselves for its only engine.
    """
    kind = filesystem_of(settings.home)
    if kind in NETWORK:
        raise ConfigurationError(
            f"the state directory is on a network file system ({kind}): {settings.home}",
            hint="point SHIPWAY_HOME to a directory on a local disk",
        )
    for name, path in (("SHIPWAY_HOME", settings.home), ("SHIPWAY_CACHE", settings.cache)):
        try:
            _make_private(path)
        except OSError as error:
            raise ConfigurationError(
                f"{name} cannot be used: {error.strerror}: {path}",
                hint=f"point {name} to a directory that you may write",
            ) from None


def _make_private(path: Path) -> None:
    """Like mkdir --parents, but every directory that is made is for its owner only."""
    for place in reversed([path, *path.parents]):
        if not place.exists():
            place.mkdir(mode=0o700, exist_ok=True)
    if not path.is_dir():
        raise NotADirectoryError(20, "not a directory", str(path))
    if not os.access(path, os.W_OK | os.X_OK):
        raise PermissionError(13, "no permission to write there", str(path))
