"""Every setting, declared once: its name, type, defaults and what it is for.

To add one, add a line to the section that it belongs to, or a section to ``Settings``. The variable
is ``SHIPWAY_`` and the name, the key in a file is the name itself.
"""

from __future__ import annotations

import os
import sys
from ipaddress import ip_address
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import field_validator

from shipway.config.setting import Section, setting
from shipway.domain.limits import numbers, rates
from shipway.secrets import Secret


def _xdg(variable: str, fallback: str) -> Path:
    return Path(os.environ.get(variable) or Path.home() / fallback) / "shipway"


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _names_redis(url: str) -> bool:
    """Whether a client could go there: a scheme that it knows, and numbers where they belong."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return parts.path not in {"", "/"}
    numbered = not parts.path.strip("/") or parts.path.strip("/").isdigit()
    return (
        parts.scheme in {"redis", "rediss"}
        and bool(parts.hostname)
        and parts.port != 0
        and numbered
    )


class Process(Section):
    """This installation."""

    environment: Literal["development", "test", "production"] = setting(
        "which defaults hold, and whether unsafe choices are refused (production)", "development"
    )
    log_level: Literal["debug", "info", "warning", "error"] = setting(
        "the least important log lines that are kept",
        "info",
        differs={"test": "warning"},
        reloadable=True,
    )
    python: Path = setting(
        "the Python that environments for gates and candidates are built with",
        Path(sys.executable),
        shown="the Python that runs Shipway",
    )


class Places(Section):
    """Where things lie."""

    home: Path = setting(
        "state directory: database, runs, artifacts, releases",
        default_factory=lambda: _xdg("XDG_STATE_HOME", ".local/state"),
        shown="~/.local/state/shipway",
        expects="a directory of its own",
    )
    cache: Path = setting(
        "environments built for gates and candidates; safe to delete",
        default_factory=lambda: _xdg("XDG_CACHE_HOME", ".cache"),
        shown="~/.cache/shipway",
        expects="a directory of its own",
    )

    @field_validator("home", "cache")
    @classmethod
    def _is_a_place(cls, path: Path) -> Path:
        """Absolute, so that a later change of directory does not move it."""
        if "\0" in str(path) or str(path) in {"", "/"}:
            raise ValueError("a directory of its own")
        return path.expanduser().absolute()


class Storage(Section):
    """The database."""

    database_url: Secret | None = setting(
        "the PostgreSQL database that engines and workers share; without it, a file in the state"
        " directory holds everything",
        None,
        shown="none: SQLite in the state directory",
        expects="an address like postgresql://user:password@host:5432/database",
        example="postgresql://shipway@db.example.com:5432/shipway",
    )
    database_connections: int = setting(
        "connections to PostgreSQL that a process may hold for reading and short writes",
        8,
        ge=1,
        le=200,
    )
    database_wait_s: float = setting(
        "seconds to wait for one of them before the request is refused", 5.0, gt=0, le=60
    )
    database_patience_s: float = setting(
        "seconds of silence after which the PostgreSQL server is taken for lost", 10.0, gt=0, le=300
    )
    slow_query_ms: int = setting(
        "milliseconds after which a statement is logged by its name", 250, ge=1, le=60_000
    )

    @field_validator("database_url")
    @classmethod
    def _is_postgresql(cls, url: Secret | None) -> Secret | None:
        if url and not url.reveal().startswith(("postgresql://", "postgres://")):
            raise ValueError("an address of a PostgreSQL database")
        return url or None


class Bus(Section):
    """Redis."""

    redis_url: Secret | None = setting(
        "the Redis that engines, workers and servers of a fleet wake each other with and share"
        " breakers and rates through; everything works without it, later",
        None,
        shown="none: PostgreSQL wakes them, and each process decides alone",
        expects="an address like redis://user:password@host:6379/0",
        example="redis://cache.example.com:6379/0",
    )
    redis_prefix: str = setting(
        "what the keys and channels in that Redis begin with: another one for each installation",
        "shipway",
        pattern=r"^[a-zA-Z0-9._-]{1,40}$",
        expects="letters, digits, points, dashes and underlines, 1 to 40 of them",
    )
    redis_patience_s: float = setting(
        "seconds that Redis has for an answer before it is left alone for a moment",
        0.5,
        gt=0,
        le=30,
    )

    @field_validator("redis_url")
    @classmethod
    def _is_redis(cls, url: Secret | None) -> Secret | None:
        if url and not _names_redis(url.reveal()):
            raise ValueError("an address of a Redis server")
        return url or None


class Retention(Section):
    """What is kept, and for how long."""

    keep_runs_days: int = setting(
        "days for which a run is kept after it ended, with its events, orders and artifacts;"
        " 0: for ever",
        365,
        ge=0,
        le=36_500,
    )
    keep_newest_runs: int = setting(
        "runs that are kept however long ago they ended", 100, ge=1, le=1_000_000
    )
    keep_run_files_days: int = setting(
        "days for which the folder of a run is kept after it ended: its repository, logs, report;"
        " 0: for ever",
        90,
        ge=0,
        le=36_500,
    )
    keep_commands_days: int = setting(
        "days for which commands of people are kept after they were carried out",
        30,
        ge=1,
        le=36_500,
    )


class Work(Section):
    """How work is done."""

    max_attempts_at_once: int = setting(
        "attempts of all runs that may work at the same time", 4, ge=1, le=64, reloadable=True
    )
    capability_limits: str = setting(
        "attempts at the same time of single capabilities, where that is another number",
        "",
        expects="NAME=NUMBER pairs, with commas between",
        example="implement=2, deploy=1",
    )
    capability_rates: str = setting(
        "how many attempts of a capability may begin in a second, minute or hour",
        "",
        expects="NAME=NUMBER/UNIT pairs, with commas between",
        example="implement=30/m",
    )
    max_runs: int = setting(
        "runs that may be at work at the same time; who waits for a person does not count",
        100,
        ge=1,
        le=10_000,
    )
    max_runs_per_repository: int = setting(
        "of them for one repository; 0 for as many as there are", 0, ge=0, le=10_000
    )
    max_queued_runs: int = setting(
        "runs that may wait to begin; a further one is refused", 1000, ge=0, le=100_000
    )
    fence: Literal["strict", "degraded"] = setting(
        "strict: a fence weaker than policy is an error; degraded: it is recorded", "strict"
    )
    command_network: bool = setting(
        "whether a command that implements a change has the network", False
    )
    command_env: str = setting(
        "variables that such a command gets from ours, by name, with commas between", ""
    )
    command_readable: str = setting(
        "directories of the hidden home that it may read, with colons between", ""
    )

    @field_validator("capability_limits")
    @classmethod
    def _are_numbers(cls, text: str) -> str:
        numbers(text)
        return text

    @field_validator("capability_rates")
    @classmethod
    def _are_rates(cls, text: str) -> str:
        rates(text)
        return text


class Service(Section):
    """The service."""

    http_host: str = setting(
        "the address that shipway serve listens on; this version serves this machine only",
        "127.0.0.1",
        expects="a loopback address",
    )
    http_port: int = setting("its port; 0 lets the system choose", 7447, ge=0, le=65_535)

    @field_validator("http_host")
    @classmethod
    def _is_loopback(cls, host: str) -> str:
        if host != "localhost" and not _is_loopback(host):
            raise ValueError("a loopback address")
        return host


class Flags(Section):
    """Feature flags."""

    flags_path: Path | None = setting(
        "a JSON file that feature flags are kept in; without it they are in the database",
        None,
        example="/etc/shipway/flags.json",
    )


class Models(Section):
    """Language models and coding agents."""

    model_url: str | None = setting(
        "the OpenAI-compatible endpoint that language models are asked at",
        None,
        example="http://127.0.0.1:8000/v1",
    )
    model_key: Secret | None = setting("the key for that endpoint", None)
    model_price_in: float | None = setting(
        "dollars for a million tokens read, where the published price does not hold", None, ge=0
    )
    model_price_out: float | None = setting(
        "dollars for a million tokens written, where the published price does not hold", None, ge=0
    )
    model_requests: int = setting("requests that one attempt may send to a model", 60, ge=1)
    model_answer_tokens: int = setting("tokens that one answer may have", 8192, ge=64)
    run_budget: float = setting(
        "dollars that a run may spend on models; reserved before they are spent", 5.0, ge=0
    )


class Health(Section):
    """Health."""

    health_required: tuple[str, ...] = setting(
        "health checks that readiness needs here although it does not by default",
        (),
        example="redis:ping",
    )


class Fleet(Section):
    """Many processes."""

    worker_beat_s: float = setting(
        "seconds between two signs of life of an engine or worker", 2.0, gt=0, le=60
    )
    worker_lease_s: float = setting(
        "seconds of silence after which a worker's attempts are given to others", 15.0, gt=0, le=600
    )
    worker_grace_s: float = setting(
        "seconds that attempts have to finish when a worker is asked to stop", 30.0, ge=0, le=3600
    )
    worker_health_port: int = setting(
        "port of a worker's own health endpoint on loopback; 0 lets the system choose",
        0,
        ge=0,
        le=65_535,
    )
    no_worker_s: float = setting(
        "seconds that a stage waits for somebody who serves it before it fails",
        86_400.0,
        gt=0,
        expects="a number of seconds",
    )


class Settings(
    Fleet,
    Health,
    Flags,
    Service,
    Models,
    Work,
    Retention,
    Bus,
    Storage,
    Places,
    Process,
):
    """All settings of a process, checked; ``load_settings`` reads them from where they are given.

    The class itself reads nothing: ``Settings(home=..., cache=...)`` is what it says.
    """
