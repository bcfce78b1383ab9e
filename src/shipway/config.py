"""The one settings tree: read once at start, checked whole, handed on as an argument."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


def _xdg(variable: str, fallback: str) -> Path:
    return Path(os.environ.get(variable) or Path.home() / fallback) / "shipway"


class Settings(BaseSettings):
    """Every setting, its default and what it is for; environment variables are ``SHIPWAY_<NAME>``."""

    model_config = SettingsConfigDict(
        env_prefix="SHIPWAY_", frozen=True, extra="forbid", hide_input_in_errors=True
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
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    max_attempts_at_once: int = Field(default=4, ge=1, le=64)
    python: Path = Field(default=Path(sys.executable))
