"""The shape of an agent: one class per craft that turns a typed request into a result."""

from __future__ import annotations

import threading
from collections.abc import Awaitable
from pathlib import Path
from typing import Any, Protocol

import structlog
from pydantic import BaseModel

from shipway.config import Settings
from shipway.contracts.envelope import ErrorReport, Question, Task
from shipway.contracts.model import ArtifactRef


class Artifacts(Protocol):
    """Where files of a run are kept, addressed by their sha256; every method is safe in threads."""

    def put(self, data: bytes, name: str, media_type: str) -> ArtifactRef: ...

    def put_file(self, path: Path, name: str, media_type: str) -> ArtifactRef: ...

    def read(self, ref: ArtifactRef) -> bytes:
        """The bytes, whose digest has been checked; raises NotFoundError."""
        ...

    def path(self, ref: ArtifactRef) -> Path: ...

    def verify(self, ref: ArtifactRef) -> bool:
        """Whether the file is there, with the size and digest that it claims."""
        ...


class Budget(Protocol):
    """What a run may still spend on models, in millionths of a dollar; it lasts across crashes."""

    def left(self) -> int:
        """What nobody has spent or reserved."""
        ...

    def reserve(self, model: str, most: int) -> str:
        """Set aside what a request can cost at most, before it is sent; raises BudgetError.

        What is reserved and never settled counts as spent.
        """
        ...

    def settle(self, ticket: str, cost: int, tokens_in: int, tokens_out: int) -> None:
        """What it did cost."""
        ...


class Desk(Protocol):
    """What an agent may use while it works on one attempt; made ready as it is asked for."""

    @property
    def task(self) -> Task: ...

    @property
    def artifacts(self) -> Artifacts: ...

    @property
    def work(self) -> Path:
        """An empty directory for this attempt only."""
        ...

    @property
    def hub(self) -> Path:
        """The bare repository of the run: workspaces are cloned from it, results fetched into it."""
        ...

    @property
    def home(self) -> Path:
        """The state directory."""
        ...

    @property
    def log(self) -> structlog.typing.FilteringBoundLogger: ...

    @property
    def cancel(self) -> threading.Event:
        """Set when the attempt is to stop."""
        ...

    @property
    def settings(self) -> Settings: ...

    @property
    def budget(self) -> Budget: ...

    def say(self, text: str, /) -> None:
        """Tell a watching person in a few words what is going on now."""
        ...

    def confirm(self) -> None:
        """Ask right before what cannot be taken back.

        Raises ConflictError when the attempt was given to others.
        """
        ...


class Asks(Exception):  # noqa: N818 - control flow: the attempt ends with questions, not an error
    """Raised by an agent that cannot go on without an answer from a person."""

    def __init__(self, *questions: Question) -> None:
        super().__init__(", ".join(question.id for question in questions))
        self.questions = list(questions)


class Failed(Exception):  # noqa: N818 - control flow: carries the report that the run will show
    """Raised by an agent that did its work and found that the attempt fails.

    ``result`` may carry the contract's result (evidence of gates that did not pass).
    """

    def __init__(self, report: ErrorReport, result: BaseModel | None = None) -> None:
        super().__init__(report.message)
        self.report = report
        self.result = result


class Agent(Protocol):
    """A plain ``perform`` runs in a thread, an async one in the event loop; both under a timeout.

    It returns the contract's result model, or raises Asks, Failed or a ShipwayError.
    """

    capability: str
    name: str

    def perform(self, request: Any, desk: Desk) -> BaseModel | Awaitable[BaseModel]: ...
