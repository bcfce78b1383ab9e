"""Every error that Shipway raises, with its code, category, recovery and hint.

ShipwayError
├── ValidationError            what was handed in cannot be accepted as it is
│   ├── UsageError             the command line asks for something that is not offered
│   ├── SpecificationError     a requirement document cannot be read
│   ├── ContractError          a message does not fit its contract
│   ├── ConfigurationError     the settings, a pipeline or a policy are not usable
│   └── RepositoryError        a repository is not in a state that can be worked on
├── PipelineError              a run cannot do what was asked of it
│   ├── NotFoundError          there is no such run, stage, decision, release, artifact
│   ├── ConflictError          somebody or something else got there first
│   ├── GateError              a gate did not pass, or could not be judged
│   ├── CorruptRunError        a run's stored state cannot be trusted: it is quarantined
│   └── UnimplementedError     Shipway does not do this yet, and says so
├── AgentError                 an agent did not deliver
│   ├── AgentTimeoutError      it used up its time
│   ├── AgentProtocolError     what it returned is not a result
│   └── CommandError           a command that it needed failed or is missing
├── NetworkError               something on the other end of a socket did not answer
│   └── ServiceUnhealthyError  a service started, but never became healthy
├── SecurityError              a boundary would have been crossed
│   ├── FenceError             the fence that policy asks for cannot be put up
│   └── ForbiddenError         not signed in, or not allowed
└── OverloadError              there is no room now; there will be later
    └── ResourceError          disk, memory, processes or time ran out

A class is raised with a message for people; its ``code`` never changes its meaning. The message,
the hint and the details must not hold secrets or the raw input: name the field, not its value.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, ClassVar


class Category(StrEnum):
    """Why it failed, as far as trying again is concerned."""

    TRANSIENT = "transient"
    THROTTLED = "throttled"
    PERMANENT = "permanent"
    CANCELLED = "cancelled"
    DEPENDENCY = "dependency"
    INTERNAL = "internal"


class Recovery(StrEnum):
    """What to do about it."""

    RETRY = "retry"
    WAIT = "wait"
    FIX_INPUT = "fix the input"
    ASK_PERSON = "ask a person"
    REPORT = "report"


class ExitCode:
    """The exit codes of every command (sysexits where one fits)."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    WAITING = 3
    FORBIDDEN = 4
    UNREACHABLE = 5
    NOT_FOUND = 6
    STILL_GOING = 8
    BUG = 70
    CONFIGURATION = 78
    INTERRUPTED = 130
    TERMINATED = 143


class ShipwayError(Exception):
    """Root of the tree: a message for people, a code for machines, a hint for what to do next."""

    code: ClassVar[str] = "INTERNAL"
    category: ClassVar[Category] = Category.INTERNAL
    recovery: ClassVar[Recovery] = Recovery.REPORT
    exit_code: ClassVar[int] = ExitCode.BUG

    def __init__(
        self, message: str, *, hint: str | None = None, details: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details: dict[str, Any] = dict(details or {})

    @property
    def retryable(self) -> bool:
        """Whether the same attempt may succeed later without anybody changing anything."""
        return self.category in {Category.TRANSIENT, Category.THROTTLED, Category.DEPENDENCY}

    def to_dict(self) -> dict[str, Any]:
        """The error as one JSON-safe object, the same in logs, evidence, the API and --json."""
        return {
            "code": self.code,
            "category": self.category.value,
            "recovery": self.recovery.value,
            "message": self.message,
            "hint": self.hint,
            "details": self.details,
        }


class ValidationError(ShipwayError):
    code = "INVALID"
    category = Category.PERMANENT
    recovery = Recovery.FIX_INPUT
    exit_code = ExitCode.USAGE


class UsageError(ValidationError):
    code = "USAGE"


class SpecificationError(ValidationError):
    code = "SPECIFICATION"


class ContractError(ValidationError):
    code = "CONTRACT"
    recovery = Recovery.REPORT
    exit_code = ExitCode.FAILED


class ConfigurationError(ValidationError):
    code = "CONFIGURATION"
    exit_code = ExitCode.CONFIGURATION


class RepositoryError(ValidationError):
    code = "REPOSITORY"


class PipelineError(ShipwayError):
    code = "PIPELINE"
    category = Category.PERMANENT
    recovery = Recovery.ASK_PERSON
    exit_code = ExitCode.FAILED


class NotFoundError(PipelineError):
    code = "NOT_FOUND"
    recovery = Recovery.FIX_INPUT
    exit_code = ExitCode.NOT_FOUND


class ConflictError(PipelineError):
    code = "CONFLICT"
    exit_code = ExitCode.NOT_FOUND


class GateError(PipelineError):
    code = "GATE"
    recovery = Recovery.FIX_INPUT


class CorruptRunError(PipelineError):
    code = "CORRUPT_RUN"
    recovery = Recovery.REPORT


class UnimplementedError(PipelineError):
    code = "UNIMPLEMENTED"


class AgentError(ShipwayError):
    code = "AGENT"
    category = Category.PERMANENT
    recovery = Recovery.ASK_PERSON
    exit_code = ExitCode.FAILED


class AgentTimeoutError(AgentError):
    code = "AGENT_TIMEOUT"
    category = Category.TRANSIENT
    recovery = Recovery.RETRY


class AgentProtocolError(AgentError):
    code = "AGENT_PROTOCOL"
    recovery = Recovery.REPORT


class CommandError(AgentError):
    code = "COMMAND"


class NetworkError(ShipwayError):
    code = "NETWORK"
    category = Category.TRANSIENT
    recovery = Recovery.RETRY
    exit_code = ExitCode.UNREACHABLE


class ServiceUnhealthyError(NetworkError):
    code = "SERVICE_UNHEALTHY"
    category = Category.PERMANENT
    recovery = Recovery.FIX_INPUT
    exit_code = ExitCode.FAILED


class SecurityError(ShipwayError):
    code = "SECURITY"
    category = Category.PERMANENT
    recovery = Recovery.ASK_PERSON
    exit_code = ExitCode.FAILED


class FenceError(SecurityError):
    code = "FENCE"


class ForbiddenError(SecurityError):
    code = "FORBIDDEN"
    exit_code = ExitCode.FORBIDDEN


class OverloadError(ShipwayError):
    code = "OVERLOAD"
    category = Category.THROTTLED
    recovery = Recovery.WAIT
    exit_code = ExitCode.FAILED


class ResourceError(OverloadError):
    code = "RESOURCE"
    category = Category.TRANSIENT
