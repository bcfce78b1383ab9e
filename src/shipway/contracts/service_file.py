"""What `.shipway/service.yaml` of a service says: how it is started, how its health is seen.

The process it starts finds a listening socket as file descriptor 3 (``LISTEN_FDS=1`` and its own
``LISTEN_PID``, as under systemd) and a directory for its data in ``STATE_DIRECTORY``; it runs in
the root of its tree with its environment first on the PATH. docs/decisions has the whole contract.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import yaml
from pydantic import Field, StringConstraints, ValidationError, field_validator

from shipway.contracts.model import Model
from shipway.errors import ConfigurationError

Variable = Annotated[str, StringConstraints(pattern=r"^[A-Z_][A-Z0-9_]{0,127}$")]
RESERVED = frozenset(
    {"PATH", "HOME", "LANG", "TMPDIR", "LISTEN_FDS", "LISTEN_PID", "STATE_DIRECTORY"}
)


class ServiceFile(Model):
    """``requirements`` None means requirements.txt, where there is one; paths are inside the tree.

    ``environment`` names variables, their values are kept with the deployed service; ``deploy``
    says that a change merged to the repository's target shall be deployed.
    """

    PATH: ClassVar[str] = ".shipway/service.yaml"

    start: list[Annotated[str, StringConstraints(min_length=1, max_length=4096)]] = Field(
        min_length=1, max_length=64
    )
    health: Annotated[str, StringConstraints(pattern=r"^/[!-~]{0,255}$")] = "/health"
    document: str | None = None
    requirements: list[str] | None = None
    environment: list[Variable] = Field(default_factory=list, max_length=64)

    deploy: bool = False

    @field_validator("start")
    @classmethod
    def _no_nul(cls, value: list[str]) -> list[str]:
        if any("\0" in word for word in value):
            raise ValueError("a word of the command holds a NUL byte")
        return value

    @field_validator("document")
    @classmethod
    def _inside(cls, value: str | None) -> str | None:
        if value is not None:
            _check_inside(value)
        return value

    @field_validator("requirements")
    @classmethod
    def _all_inside(cls, value: list[str] | None) -> list[str] | None:
        for path in value or ():
            _check_inside(path)
        return value

    @field_validator("environment")
    @classmethod
    def _not_reserved(cls, value: list[str]) -> list[str]:
        if RESERVED & set(value):
            raise ValueError("these names are set by Shipway: " + ", ".join(sorted(RESERVED)))
        return value

    @classmethod
    def parse(cls, data: bytes) -> ServiceFile:
        """The file's bytes, checked; raises ConfigurationError that names every wrong field."""
        try:
            raw = yaml.safe_load(data)
        except (yaml.YAMLError, UnicodeDecodeError, RecursionError):
            raise ConfigurationError(
                f"{cls.PATH} is not YAML", hint="the smallest one: start: [python, -m, package]"
            ) from None
        if not isinstance(raw, dict):
            raise ConfigurationError(
                f"{cls.PATH} is not a mapping",
                hint="the smallest one: start: [python, -m, package]",
            )
        try:
            return cls.model_validate(raw)
        except ValidationError as error:
            faults = "; ".join(
                f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}"
                for fault in error.errors(include_input=False, include_url=False)
            )
            raise ConfigurationError(
                f"{cls.PATH} is not usable: {faults}", hint="correct the named fields and try again"
            ) from None


def _check_inside(path: str) -> None:
    if path.startswith("/") or ".." in path.split("/") or not path or "\0" in path:
        raise ValueError("must be a path inside the tree")
