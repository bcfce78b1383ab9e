"""The database behind one shape: what the ledger may ask of it, whichever of the two it is.

``store.sqlite`` and ``store.postgres`` hold everything in which the two differ; statements are
written once, in plain SQL with ``?`` for each parameter. A statement is named after the function
that makes it, in the log and in the figures.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from shipway.errors import ShipwayError
from shipway.store.bell import Bell

Kind = Literal["sqlite", "postgresql"]


class StoreFault(Exception):  # noqa: N818 - it carries an error of ours, and is none
    """What the driver said, so that only this room knows which driver it is.

    ``problem`` is what a person is told. ``again``: others were in the way, the same may succeed
    a moment later. ``lost``: the database is out of reach, and nothing can be done until it is
    back. ``in_doubt``: it was lost during a commit; ``was_committed`` knows what became of that.
    """

    def __init__(self, problem: ShipwayError, *, again: bool = False, lost: bool = False) -> None:
        super().__init__(problem.message)
        self.problem = problem
        self.again = again
        self.lost = lost
        self.in_doubt = False


class Cursor(Protocol):
    """The rows of a statement, each a tuple."""

    @property
    def rowcount(self) -> int: ...
    def fetchone(self) -> Any: ...
    def fetchall(self) -> list[Any]: ...
    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """One connection; between ``begin`` and ``commit`` all of it counts or nothing."""

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Cursor: ...
    def executemany(self, sql: str, rows: Iterable[Sequence[Any]], /) -> Any: ...
    def begin(self) -> None: ...
    def commit(self) -> None: ...
    def rollback(self) -> None: ...
    def close(self) -> None: ...

    @property
    def raw(self) -> Any:
        """The driver's own connection, for those who take part in its transaction."""
        ...

    @property
    def rung(self) -> set[str]:
        """What is told over the database's bell once this transaction has committed."""
        ...

    @property
    def bell(self) -> Bell: ...

    @property
    def shared(self) -> bool:
        """Whether others may change a run meanwhile, and go by what its row says."""
        ...

    def together(self) -> AbstractContextManager[Any]:
        """Statements whose answers nobody waits for, sent at once where that saves time."""
        ...

    def lock_runs(self, runs: Iterable[str]) -> dict[str, int] | None:
        """The number of each run's last event, locked until the commit, in the order of ids.

        None where nobody else can change a run meanwhile.
        """
        ...

    def take_turns(self, what: int) -> None:
        """Wait until nobody else is past this point with the same number; until the commit."""
        ...

    def next_run_numbers(self, count: int) -> list[int]:
        """Numbers that no run has or had."""
        ...

    def horizon(self) -> int | None:
        """Below or at this position no event can appear any more; None: every event counts."""
        ...

    def change_mark(self) -> object:
        """Differs from the last one whenever another connection has committed."""
        ...

    def was_committed(self) -> bool:
        """Whether the commit that the connection was lost in came through; raises StoreFault."""
        ...

    def damage(self) -> list[str]:
        """What the database itself finds broken, in words."""
        ...

    def set_sequences(self) -> None:
        """After rows were written with their numbers: go on behind the highest of them."""
        ...

    def is_fault(self, error: BaseException) -> bool:
        """Whether the driver raised it."""
        ...

    def fault(self, error: BaseException) -> StoreFault: ...


@dataclass(frozen=True, slots=True)
class Figures:
    """How the connections of this process are doing, for metrics and health."""

    kind: Kind
    limit: int
    """Connections that there may be at most; 0: as many as there are threads."""
    open: int
    idle: int
    waiting: int
    """Who waits for a connection at this moment."""
    waits: int
    """How often somebody had to wait for a connection or for the write lock, since the start."""
    waited_s: float
    timeouts: int
    """How often the wait was given up."""
    lost: int
    """Connections that broke."""
    statements: int
    slow: int
    """Statements slower than the limit; the log has their names."""


class Database(Protocol):
    """One database, open; may be used from any thread."""

    @property
    def kind(self) -> Kind: ...
    @property
    def name(self) -> str:
        """What it is, for people; without any secret."""
        ...

    @property
    def bell(self) -> Bell:
        """Rung after commits; who shares the database may connect a wire to it."""
        ...

    def release(self) -> tuple[str, bool]:
        """What serves it, with its version, and whether that is new enough for us."""
        ...

    @property
    def conninfo(self) -> str:
        """The address for the driver, password and all: for connections of somebody else's making."""
        ...

    def writer(self) -> Connection:
        """A connection of its own for the one thread that advances runs; close it when done."""
        ...

    def reading(self) -> AbstractContextManager[Connection]:
        """A connection for reading, for a moment: do not ask for another one meanwhile.

        What the driver says leaves as the error that a person is told.
        """
        ...

    def snapshot(self) -> AbstractContextManager[Connection]:
        """A connection that sees everything as it is at one moment, however long it reads."""
        ...

    def writing(self) -> AbstractContextManager[Connection]:
        """A transaction of its own, committed at the end of the block; errors as in ``reading``."""
        ...

    def revision(self) -> str | None:
        """The migration that its tables are at; None when there are none yet."""
        ...

    def lookout(self) -> Database:
        """The same database for a thread that asks again and again whether it answers."""
        ...

    def figures(self) -> Figures: ...
    def close(self) -> None: ...


class transaction:  # noqa: N801 - reads like what it is: with transaction(connection)
    """All of it or nothing; raises StoreFault for what the driver says."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __enter__(self) -> Connection:
        connection = self._connection
        connection.rung.clear()
        try:
            connection.begin()
        except BaseException as error:
            self._undo(error)
            raise
        return connection

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        connection = self._connection
        if error is not None:
            self._undo(error)
            return
        try:
            connection.commit()
        except Exception as wrong:
            if connection.is_fault(wrong):
                raise connection.fault(wrong) from wrong
            raise
        if connection.rung:
            connection.bell.ring(connection.rung)

    def _undo(self, error: BaseException) -> None:
        """Roll back; raises StoreFault if it was the driver who gave the reason."""
        with translated(self._connection):
            self._connection.rollback()
        if self._connection.is_fault(error):
            raise self._connection.fault(error) from error


@contextlib.contextmanager
def translated(connection: Connection) -> Iterator[None]:
    """Errors of the driver leave as StoreFault."""
    try:
        yield
    except Exception as error:
        if connection.is_fault(error):
            raise connection.fault(error) from error
        raise


@contextlib.contextmanager
def told(connection: Connection) -> Iterator[None]:
    """Errors of the driver leave as what a person is told."""
    try:
        with translated(connection):
            yield
    except StoreFault as fault:
        raise fault.problem from fault


def came_through(connection: Connection, within: float = 15.0) -> bool:
    """Whether a commit that the connection was lost in counts; raises StoreFault if nobody says."""
    give_up = time.monotonic() + within
    while True:
        try:
            return connection.was_committed()
        except StoreFault:
            if time.monotonic() > give_up:
                raise
            time.sleep(_LOOK_AGAIN)


_LOOK_AGAIN = 0.1
