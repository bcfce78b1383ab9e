"""What a person can tell Shipway: start a run, cancel, pause, resume, decide, answer."""

from __future__ import annotations

import copy
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from shipway import errors
from shipway.bus import Ring
from shipway.bus.local import bells, send
from shipway.contracts.registry import CONTRACTS, Contract
from shipway.contracts.views import ItemResult
from shipway.domain.limits import Limits
from shipway.domain.states import Claim
from shipway.engine.admission import Admission
from shipway.engine.begin import begin
from shipway.engine.codec import decode, encode
from shipway.engine.detail import summary
from shipway.engine.intake import Intake, Ready
from shipway.engine.letters import found
from shipway.engine.once import Once
from shipway.engine.writing import Page, Place
from shipway.errors import (
    ConflictError,
    NotFoundError,
    OverloadError,
    ShipwayError,
    UsageError,
)
from shipway.store import dead, fleet, ledger
from shipway.store.database import Connection, Database
from shipway.store.dead import DeadLetterRow
from shipway.store.keys import KEPT_FOR
from shipway.store.ledger import CommandRow
from shipway.telemetry.failures import told

#: What rings for the engine: there is something new in the database.
COMMANDS = "commands"
_ANSWER_WITHIN = 20.0
_LOOK_EVERY = 0.02


@dataclass(frozen=True, slots=True)
class Maker:
    """Who makes a change: a command, a coding agent that speaks ACP (``command``), or a ``model``."""

    kind: Literal["command", "acp", "model"]
    command: tuple[str, ...] = ()
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Submission:
    """What a person hands in. ``pipeline`` None takes the built-in one for its ``kind``.

    ``repository`` is the repository to change, or where a new service's repository is to be
    (None: one of ours). A change comes as ``patch`` (its bytes) or from ``makers``: when the first
    fails for good the next takes over.
    """

    kind: Literal["specification", "change"]
    requirement: bytes
    requirement_name: str
    pipeline: str | Path | None = None
    title: str | None = None
    claim: Claim | None = None
    repository: Path | None = None
    target: str | None = None
    strategy: str | None = None
    patch: bytes | None = None
    makers: tuple[Maker, ...] = ()
    port: int = 0
    accept_unimplemented: bool = False
    answers: Mapping[str, str] = field(default_factory=dict)
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Changes:
    """What a person wants to be different from now on; None leaves it as it was submitted."""

    requirement: bytes | None = None
    requirement_name: str = "requirement.md"
    patch: bytes | None = None
    makers: tuple[Maker, ...] = ()
    claim: Claim | None = None
    strategy: str | None = None
    port: int | None = None
    answers: Mapping[str, str] = field(default_factory=dict)


class Commands:
    """``wake`` makes sure that an engine lives, in this process or another."""

    def __init__(
        self,
        database: Database,
        home: Path,
        intake: Intake,
        wake: Callable[[], None],
        now: Callable[[], float] = time.time,
        contracts: Mapping[str, Contract] = CONTRACTS,
        limits: Limits = Limits(),  # noqa: B008 - frozen
        place: Place | None = None,
    ) -> None:
        self._place = place
        self._contracts = contracts
        self._admission = Admission(limits)
        self._database = database
        self._home = home
        self._intake = intake
        self._wake = wake
        self._now = now
        self._once: Once | None = None

    def once(self, once: Once | None) -> Commands:
        """The same commands for one request: asked again, they have no second effect."""
        bound = copy.copy(self)
        bound._once = once  # noqa: SLF001 - it is one of ours
        return bound

    def submit(self, submission: Submission) -> str:
        """Check what was handed in and start a run; returns its id once that is durable.

        Raises what the intake raises (SpecificationError, RepositoryError, UsageError) and
        leaves nothing behind then.
        """
        ready = self._intake.accept(submission)
        try:
            self.start(ready)
        except BaseException:
            self._intake.discard(ready)
            raise
        return ready.run

    def start(self, ready: Ready) -> None:
        """Write a run that the intake made ready, and wake the engine if one lives."""
        self._write(lambda connection: self._begin(connection, ready))
        self._ring()

    def _begin(self, connection: Connection, ready: Ready) -> None:
        page = Page(self._contracts, self._now(), handing_out=False, place=self._place)
        decision, _ = begin(ready, page, self._admission.door(connection))
        page.write(connection)
        if self._once is not None:
            row = ledger.load_run(connection, ready.run)
            assert row is not None  # noqa: S101 - it was written above
            answer = self._once.answer(summary(row, decision.state))
            self._once.keep(connection, answer, page.now)

    def cancel(self, run: str, by: str = "a person", reason: str = "asked to") -> None:
        self._tell("cancel", run, {"by": by, "reason": reason})

    def pause(
        self, run: str, by: str = "a person", reason: str = "paused", grace: float = 0.0
    ) -> None:
        """Nothing new starts; what is in hand has ``grace`` seconds to finish, then is stopped.

        An attempt that was stopped is done anew when the run is resumed.
        """
        self._tell("pause", run, {"by": by, "reason": reason, "grace": grace})

    def resume(self, run: str, by: str = "a person") -> None:
        self._tell("resume", run, {"by": by})

    def retry(
        self, run: str, by: str = "a person", reason: str = "asked to", stage: str | None = None
    ) -> None:
        """Do again what failed or was cancelled, or everything from ``stage`` on.

        Raises ConflictError when nothing has failed, or when there is no such stage.
        """
        self._tell("retry", run, {"by": by, "reason": reason, "stage": stage})

    def rewind(
        self,
        run: str,
        stage: str,
        by: str = "a person",
        reason: str = "asked to",
        changes: Changes | None = None,
    ) -> None:
        """Do ``stage`` again, and all that depends on what comes out differently by that.

        Raises ConflictError, and what the intake raises for ``changes`` that cannot be used.
        """
        new: dict[str, Any] = {}
        if changes is not None:
            new = self._intake.revise(self._kind(run), changes)
        given = {"stage": stage, "by": by, "reason": reason, "changes": new}
        self._tell("rewind", run, given)

    def repair(self, run: str, by: str = "a person", reason: str = "repaired") -> None:
        """Rebuild a quarantined run from its events and let it go on.

        Raises ConflictError if it is not quarantined, or if its history is not whole.
        """
        self._tell("repair", run, {"by": by, "reason": reason})

    def give_up(self, run: str, by: str, reason: str) -> None:
        """End a quarantined run as cancelled; raises UsageError without a reason."""
        if not reason.strip():
            raise UsageError("why is it discarded?", hint='say so: -m "it was done by hand"')
        self._tell("discard", run, {"by": by, "reason": reason})

    def replay(
        self, numbers: Sequence[int], by: str = "a person", reason: str = "replayed"
    ) -> list[ItemResult]:
        """Do the orders of these dead letters again; each in its own transaction.

        An order keeps its keys, and is a new attempt with a new token.
        """
        return [self._each(number, lambda row: self._replay(row, by, reason)) for number in numbers]

    def discard(self, numbers: Sequence[int], by: str, reason: str) -> list[ItemResult]:
        """Put these dead letters aside for good; raises UsageError without a reason."""
        if not reason.strip():
            raise UsageError("why is it discarded?", hint='say so: -m "the service is gone"')
        return [
            self._each(number, lambda row: self._discard(row, by, reason)) for number in numbers
        ]

    def _each(self, number: int, work: Callable[[DeadLetterRow], None]) -> ItemResult:
        try:
            with self._database.reading() as connection:
                row = found(connection, number)
            if row.state != "dead":
                raise ConflictError(f"dead letter {number} was {row.state} by {row.by}")
            work(row)
        except ShipwayError as error:
            return ItemResult(number=number, ok=False, error=told(error))
        return ItemResult(number=number, ok=True)

    def _replay(self, row: DeadLetterRow, by: str, reason: str) -> None:
        given = {"by": by, "reason": reason, "stage": row.stage, "attempt": row.attempt}
        self._tell("retry", row.run, given)

    def _discard(self, row: DeadLetterRow, by: str, reason: str) -> None:
        now = self._now()
        if not self._write(lambda db: dead.discard(db, row.number, by=by, reason=reason, at=now)):
            raise ConflictError(f"dead letter {row.number} is no longer open")

    def _kind(self, run: str) -> str:
        with self._database.reading() as connection:
            row = ledger.load_run(connection, run)
        if row is None:
            raise NotFoundError(f"there is no run {run}", hint="see: shipway run list")
        kind: str = decode(row.submission)["kind"]
        return kind

    def decide(
        self,
        run: str,
        ask: str,
        choice: str,
        by: str,
        comment: str | None = None,
        subject: str | None = None,
    ) -> None:
        """Answer a decision. With ``subject`` it counts only if what is decided is still that."""
        given = {"ask": ask, "choice": choice, "by": by, "comment": comment, "subject": subject}
        self._tell("answer", run, given)

    def answer(self, run: str, ask: str, value: str, by: str) -> None:
        self._tell("answer", run, {"ask": ask, "choice": value, "by": by})

    def _tell(self, kind: str, run: str, data: Mapping[str, Any]) -> None:
        """Hand a command to the engine and wait for its answer; raises what it answers."""
        words = encode(data)
        once = self._once
        name = secrets.token_hex(16) if once is None else once.name(kind, run, words)
        command = CommandRow(name, kind, run, words)
        now = self._now()

        def write(connection: Connection) -> None:
            if once is None:
                ledger.insert_command(connection, command, now)
            else:
                ledger.insert_command_once(connection, command, now, now - KEPT_FOR)
            if self._database.kind == "postgresql":
                fleet.ring(connection, COMMANDS)

        self._write(write)
        self._ring()
        answer = self._await(command.id)
        if "error" in answer:
            raise _error_of(answer["error"])

    def _ring(self) -> None:
        send(bells(self._home), [Ring(COMMANDS)])

    def _await(self, command: str) -> dict[str, Any]:
        give_up = time.monotonic() + _ANSWER_WITHIN
        while time.monotonic() < give_up:
            with self._database.reading() as connection:
                found = ledger.command_answer(connection, command)
            if found is not None:
                answer: dict[str, Any] = decode(found)
                return answer
            self._wake()
            time.sleep(_LOOK_EVERY)
        raise OverloadError(
            "the engine did not answer in time",
            hint="the command is kept and will be carried out; look with: shipway run list",
        )

    def _write(self, work: Callable[[Connection], Any]) -> Any:
        with self._database.writing() as connection:
            return work(connection)


def _error_of(told: Mapping[str, Any]) -> ShipwayError:
    """The error that the engine answered with, as its own class."""
    kinds = {
        kind.code: kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, ShipwayError)
    }
    kind = kinds.get(told["code"], ShipwayError)
    return kind(told["message"], hint=told.get("hint"), details=told.get("details"))
