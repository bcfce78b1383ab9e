"""Every error that Shipway raises, with its code, category, recovery and answers to the outside.

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
│   ├── RejectedError          a person refused what was to be decided
│   ├── AskExpiredError        nobody answered before the deadline, and there is no default
│   ├── StoppedError           it was stopped before it was over
│   ├── CorruptRunError        a run's stored state cannot be trusted: it is quarantined
│   └── UnimplementedError     Shipway does not do this yet, and says so
├── AgentError                 an agent did not deliver
│   ├── AgentTimeoutError      it used up its time
│   ├── AgentProtocolError     what it returned is not a result
│   ├── AgentCrashedError      it stopped on an error that nobody expected
│   ├── NoWorkerError          nobody who could do it is there
│   ├── BudgetError            it would cost more than is allowed
│   ├── PoisonError            its process died too often while it worked
│   ├── EndlessError           it was tried so often that it would never end
│   ├── NoAgentLeftError       every agent of its slot failed, and a person gave it up
│   └── CommandError           a command that it needed failed or is missing
├── NetworkError               something on the other end of a socket did not answer
│   ├── DependencyError        a service that Shipway needs does not do its work now
│   ├── CircuitOpenError       a service failed too often: it is left alone for a while
│   ├── DeadlineError          the time that a call was given is up
│   └── ServiceUnhealthyError  a service started, but never became healthy
├── SecurityError              a boundary would have been crossed
│   ├── FenceError             the fence that policy asks for cannot be put up
│   ├── NotSignedInError       nobody says who asks
│   └── ForbiddenError         who asks is not allowed to
└── OverloadError              there is no room now; there will be later
    ├── RateLimitError         more was asked in a time than is allowed
    └── ResourceError          disk, memory, processes or time ran out

A class is raised with a message for people; its ``code`` never changes its meaning. The message,
the hint and the details must not hold secrets or the raw input: name the field, not its value.
What is shown, stored or sent of an error is made by ``telemetry.failures``, which masks it.
A cancellation (``asyncio.CancelledError``) is no error: it is never caught to become one.
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


RETRYABLE = frozenset({Category.TRANSIENT, Category.THROTTLED, Category.DEPENDENCY})
"""What may go away by itself; everything else would fail the same way again."""


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
    """Root of the tree: a message for people, a code for machines, a hint for what to do next.

    ``retry_after`` is the time in seconds after which trying again makes sense, where it is known.
    """

    code: ClassVar[str] = "INTERNAL"
    category: ClassVar[Category] = Category.INTERNAL
    recovery: ClassVar[Recovery] = Recovery.REPORT
    exit_code: ClassVar[int] = ExitCode.BUG
    http_status: ClassVar[int] = 500

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        details: Mapping[str, Any] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details: dict[str, Any] = dict(details or {})
        self.retry_after = retry_after

    @property
    def retryable(self) -> bool:
        """Whether the same attempt may succeed later without anybody changing anything."""
        return self.category in RETRYABLE

    def report(self) -> dict[str, Any]:
        """What a run keeps of it, for the pure heart, whose messages are its own."""
        return {
            "code": self.code,
            "category": self.category.value,
            "recovery": self.recovery.value,
            "message": self.message,
            "hint": self.hint,
        }


class ValidationError(ShipwayError):
    code = "INVALID"
    category = Category.PERMANENT
    recovery = Recovery.FIX_INPUT
    exit_code = ExitCode.USAGE
    http_status = 422


class UsageError(ValidationError):
    code = "USAGE"
    http_status = 400


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
    http_status = 409


class NotFoundError(PipelineError):
    code = "NOT_FOUND"
    recovery = Recovery.FIX_INPUT
    exit_code = ExitCode.NOT_FOUND
    http_status = 404


class ConflictError(PipelineError):
    code = "CONFLICT"
    exit_code = ExitCode.NOT_FOUND


class GateError(PipelineError):
    code = "GATE"
    recovery = Recovery.FIX_INPUT


class RejectedError(PipelineError):
    code = "REJECTED"


class AskExpiredError(PipelineError):
    code = "ASK_EXPIRED"


class StoppedError(PipelineError):
    code = "CANCELLED"
    category = Category.CANCELLED


class CorruptRunError(PipelineError):
    code = "CORRUPT_RUN"
    recovery = Recovery.REPORT


class UnimplementedError(PipelineError):
    code = "UNIMPLEMENTED"
    http_status = 501


class AgentError(ShipwayError):
    code = "AGENT"
    category = Category.PERMANENT
    recovery = Recovery.ASK_PERSON
    exit_code = ExitCode.FAILED
    http_status = 502


class AgentTimeoutError(AgentError):
    code = "AGENT_TIMEOUT"
    category = Category.TRANSIENT
    recovery = Recovery.RETRY
    http_status = 504


class AgentProtocolError(AgentError):
    code = "AGENT_PROTOCOL"
    recovery = Recovery.REPORT


class AgentCrashedError(AgentError):
    code = "AGENT_CRASHED"
    category = Category.INTERNAL
    recovery = Recovery.REPORT
    http_status = 500


class NoWorkerError(AgentError):
    code = "NO_WORKER"
    http_status = 503


class PoisonError(AgentError):
    code = "POISON"
    recovery = Recovery.REPORT


class EndlessError(AgentError):
    code = "ENDLESS"
    recovery = Recovery.REPORT


class NoAgentLeftError(AgentError):
    code = "NO_AGENT_LEFT"
    http_status = 409


class CommandError(AgentError):
    code = "COMMAND"


class BudgetError(AgentError):
    code = "BUDGET"
    http_status = 402


class NetworkError(ShipwayError):
    code = "NETWORK"
    category = Category.TRANSIENT
    recovery = Recovery.RETRY
    exit_code = ExitCode.UNREACHABLE
    http_status = 503


class DependencyError(NetworkError):
    code = "DEPENDENCY"
    category = Category.DEPENDENCY


class CircuitOpenError(NetworkError):
    code = "CIRCUIT_OPEN"
    category = Category.DEPENDENCY
    recovery = Recovery.WAIT


class DeadlineError(NetworkError):
    code = "DEADLINE"
    http_status = 504


class ServiceUnhealthyError(NetworkError):
    code = "SERVICE_UNHEALTHY"
    category = Category.PERMANENT
    recovery = Recovery.FIX_INPUT
    exit_code = ExitCode.FAILED
    http_status = 502


class SecurityError(ShipwayError):
    code = "SECURITY"
    category = Category.PERMANENT
    recovery = Recovery.ASK_PERSON
    exit_code = ExitCode.FAILED
    http_status = 403


class FenceError(SecurityError):
    code = "FENCE"
    http_status = 503


class NotSignedInError(SecurityError):
    code = "NOT_SIGNED_IN"
    recovery = Recovery.FIX_INPUT
    exit_code = ExitCode.FORBIDDEN
    http_status = 401


class ForbiddenError(SecurityError):
    code = "FORBIDDEN"
    exit_code = ExitCode.FORBIDDEN


class OverloadError(ShipwayError):
    code = "OVERLOAD"
    category = Category.THROTTLED
    recovery = Recovery.WAIT
    exit_code = ExitCode.FAILED
    http_status = 503


class RateLimitError(OverloadError):
    code = "TOO_MANY"
    http_status = 429


class ResourceError(OverloadError):
    code = "RESOURCE"
    category = Category.TRANSIENT
