"""A server with the face of the system on this machine, so that commands need not know which it is."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shipway.client import calls
from shipway.client.client import Client
from shipway.contracts.views import (
    AskView,
    DeadLetterDetail,
    DeadLetterView,
    ItemResult,
    RunDetail,
    RunSummary,
)
from shipway.domain.states import RunStatus
from shipway.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from shipway.config import Settings
    from shipway.engine.commands import Changes, Maker, Submission
    from shipway.store.dead import Which

_LOOK_EVERY = 0.2
_MOST = 200
_RESTING = {RunStatus.WAITING, RunStatus.PAUSED}
_REF = re.compile(r"@last|[0-9A-Za-z]{1,40}")


class Remote:
    """Everything that a command does with runs, at the other end of a URL."""

    def __init__(self, client: Client, settings: Settings) -> None:
        self._client = client
        self.settings = settings
        self.queries = RemoteQueries(client)
        self.commands = RemoteCommands(client)
        self.letters = RemoteLetters(client)

    @contextmanager
    def host(self) -> Iterator[RemoteHost]:
        yield RemoteHost(self.queries, self.commands)

    def detach(self, _run: str) -> None:
        """The server carries all runs on."""

    def objections(self, run: str) -> list[str]:
        """The server's own affair: it shows what a run waits for."""
        return []

    def ensure_progress(self) -> int:
        """It does so without being asked."""
        return 0


class RemoteQueries:
    """What commands ask about runs."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def runs(self, *, limit: int = 50, status: RunStatus | None = None) -> list[RunSummary]:
        """Newest first."""
        found: list[RunSummary] = []
        cursor: str | None = None
        while len(found) < limit:
            page = self._client.send(
                calls.runs(min(_MOST, limit - len(found)), status and status.value, cursor)
            )
            found += page.items
            cursor = page.next_cursor
            if cursor is None:
                break
        return found

    def run(self, ref: str) -> RunDetail:
        """Raises NotFoundError, in the words of the system on this machine."""
        if not _REF.fullmatch(ref):
            raise self._no_run(ref)
        try:
            return self._client.send(calls.run(ref))
        except NotFoundError as error:
            if ref == "@last":
                raise error from None
            raise self._no_run(ref) from None

    def _no_run(self, ref: str) -> NotFoundError:
        newest = self.runs(limit=1)
        known = f"; the newest is {newest[0].number}" if newest else ""
        return NotFoundError(
            f"no run {ref[:40]!r}{known}", hint='list the runs with "shipway run list"'
        )

    def resolve(self, ref: str) -> str:
        return self.run(ref).summary.id

    def status(self, ref: str) -> RunStatus:
        return self.run(ref).summary.status

    def inbox(self) -> list[AskView]:
        return self._client.send(calls.asks())

    def log(self, ref: str, stage: str | None = None, attempt: int | None = None) -> bytes:
        return self._client.send(calls.log(ref, stage, attempt))

    def diff(self, ref: str) -> bytes:
        return self._client.send(calls.diff(ref))


class RemoteCommands:
    """What commands do to runs; who does it is what the server makes of the token."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def submit(self, submission: Submission) -> str:
        """Hand in what is large first, then start the run; returns its id."""
        new: dict[str, Any] = {
            "kind": submission.kind,
            "requirement": self._requirement(submission.kind, submission.requirement),
            "requirement_name": _file_name(submission.requirement_name),
            "pipeline": _pipeline(submission.pipeline),
            "title": submission.title,
            "claim": submission.claim and submission.claim.value,
            "repository": submission.repository and str(submission.repository.absolute()),
            "target": submission.target,
            "strategy": submission.strategy,
            "patch": submission.patch and self._upload(submission.patch, "change.patch"),
            **_made(submission.makers),
            "port": submission.port,
            "accept_unimplemented": submission.accept_unimplemented,
            "answers": dict(submission.answers),
        }
        return self._client.send(calls.submit(_given(new))).id

    def _requirement(self, kind: str, data: bytes) -> dict[str, str]:
        return self._upload(data, "document.yaml" if kind == "specification" else "requirement.md")

    def _upload(self, data: bytes, name: str) -> dict[str, str]:
        return {"upload": self._client.send(calls.upload(data, name))}

    def cancel(self, run: str, by: str = "", reason: str = "asked to") -> None:
        self._client.send(calls.steer(run, "cancel", reason=reason))

    def pause(self, run: str, by: str = "", reason: str = "paused", grace: float = 0.0) -> None:
        self._client.send(calls.steer(run, "pause", reason=reason, grace=grace))

    def resume(self, run: str, by: str = "") -> None:
        self._client.send(calls.steer(run, "resume"))

    def retry(
        self, run: str, by: str = "", reason: str = "asked to", stage: str | None = None
    ) -> None:
        self._client.send(calls.steer(run, "retry", reason=reason, stage=stage))

    def rewind(
        self,
        run: str,
        stage: str,
        by: str = "",
        reason: str = "asked to",
        changes: Changes | None = None,
    ) -> None:
        given: dict[str, Any] = {}
        if changes is not None:
            text, patch = changes.requirement, changes.patch
            given = {
                "requirement": text and self._upload(text, "requirement.md"),
                "patch": patch and self._upload(patch, "change.patch"),
                **_made(changes.makers),
                "claim": changes.claim and changes.claim.value,
                "strategy": changes.strategy,
                "port": changes.port,
                "answers": dict(changes.answers) or None,
            }
        self._client.send(calls.steer(run, "rewind", stage=stage, reason=reason, **given))

    def repair(self, run: str, by: str = "", reason: str = "repaired") -> None:
        self._client.send(calls.steer(run, "repair", reason=reason))

    def give_up(self, run: str, by: str, reason: str) -> None:
        self._client.send(calls.steer(run, "discard", reason=reason))

    def decide(
        self,
        run: str,
        ask: str,
        choice: str,
        by: str,
        comment: str | None = None,
        subject: str | None = None,
    ) -> None:
        self._client.send(calls.decide(run, ask, choice, comment, subject))

    def answer(self, run: str, ask: str, value: str, by: str) -> None:
        self._client.send(calls.answer(run, ask, value))

    def replay(
        self, numbers: Sequence[int], by: str = "", reason: str = "replayed"
    ) -> list[ItemResult]:
        return self._client.send(calls.settle_letters("replay", numbers, reason))

    def discard(self, numbers: Sequence[int], by: str, reason: str) -> list[ItemResult]:
        return self._client.send(calls.settle_letters("discard", numbers, reason))


class RemoteLetters:
    """What commands ask about dead letters."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def list(self, which: Which, *, limit: int = 100, after: int = 0) -> list[DeadLetterView]:
        return self._client.send(
            calls.letters(
                limit,
                after,
                state=which.state or "any",
                run=which.run,
                stage=which.stage,
                code=which.code,
                capability=which.capability,
            )
        )

    def view(self, number: int) -> DeadLetterDetail:
        return self._client.send(calls.letter(number))


class RemoteHost:
    """A person's view of a run that a server carries on."""

    def __init__(self, queries: RemoteQueries, commands: RemoteCommands) -> None:
        self._queries = queries
        self._commands = commands
        self._watched: str | None = None

    def wait(
        self, run: str, on_change: Callable[[RunDetail], None], timeout: float | None = None
    ) -> RunDetail:
        """Watch a run until it ends, waits for a person or is paused; raises TimeoutError."""
        self._watched = run
        give_up = None if timeout is None else time.monotonic() + timeout
        while True:
            detail = self._queries.run(run)
            on_change(detail)
            if detail.summary.status.is_final or detail.summary.status in _RESTING:
                return detail
            if give_up is not None and time.monotonic() > give_up:
                raise TimeoutError
            time.sleep(_LOOK_EVERY)

    def drain(self, grace: float = 10.0) -> None:
        """Pause the watched run: what is in hand may finish within ``grace`` seconds."""
        if self._watched is not None:
            self._commands.pause(self._watched, reason="interrupted", grace=grace)


def _made(makers: Sequence[Maker]) -> dict[str, Any]:
    """Who makes the change, and who takes over, as the API names them."""
    sources: list[dict[str, Any]] = [
        {one.kind: one.model if one.kind == "model" else list(one.command)} for one in makers
    ]
    if not sources:
        return {}
    return {**sources[0], **({"fallbacks": sources[1:]} if len(sources) > 1 else {})}


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _file_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9 ._+-]", "-", name).lstrip(" ._+-")[:100] or "requirement.md"


def _pipeline(given: str | Path | None) -> str | None:
    """A server takes pipelines by name: built in, or of the repository that it works on."""
    if isinstance(given, Path):
        if given.parent.parts[-2:] != (".shipway", "pipelines"):
            raise UsageError(
                "a server takes pipelines by name",
                hint="put the file into .shipway/pipelines of the repository, and give its name",
            )
        return given.stem
    return given
