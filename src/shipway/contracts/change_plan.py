"""What a plan for a change to a repository says: stack, commands, protected paths, checks, risk."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from shipway.contracts.model import GitObject, Model
from shipway.domain.states import Claim


class Ambiguity(Model):
    """Something the requirement leaves open, and the default that was taken."""

    where: str
    question: str
    default: str


class Command(Model):
    """A command as an argument list, and the file that told us of it."""

    argv: list[str]
    source: str


class Service(Model):
    """How to start the repository's service, when it declares one in ``.shipway/service.yaml``."""

    start: list[str]
    health: str
    document: str | None = None
    environment: dict[str, str] = Field(default_factory=dict)
    deploy: bool = False


class ChangePlan(Model):
    """A plan for one change; ``requirements`` are files an environment is built from.

    ``claimed_by`` is who said what it is; where nobody did, it was guessed (``default``).
    """

    name: str
    title: str
    requirement: str
    claim: Claim
    claimed_by: Literal["run", "requirement", "default"] = "run"
    base: GitObject
    target: str
    stack: Literal["python", "unknown"]
    layout: Literal["src", "flat", "unknown"] = "unknown"
    requirements: list[str] = Field(default_factory=list)
    test: Command | None = None
    lint: Command | None = None
    types: Command | None = None
    protected: list[str] = Field(default_factory=list)
    checks: list[str] = Field(default_factory=list)
    ambiguities: list[Ambiguity] = Field(default_factory=list)
    risk: Literal["low", "medium", "high"] = "low"
    risk_reasons: list[str] = Field(default_factory=list)
    service: Service | None = None
