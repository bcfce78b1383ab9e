"""The shared database: PostgreSQL for any number of engines, workers and machines."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any, Literal, NamedTuple, Self, TypeVar

import psycopg
from psycopg import pq
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import ConnectionPool, PoolTimeout, TooManyRequests

from shipway.errors import (
    ConfigurationError,
    NetworkError,
    OverloadError,
    ResourceError,
    ShipwayError,
)
from shipway.resilience.guard import Guard
from shipway.resilience.ports import guard
from shipway.secrets import Secret
from shipway.store.bell import Bell
from shipway.store.database import (
    Connection,
    Figures,
    StoreFault,
    came_through,
    told,
    transaction,
    translated,
)
from shipway.store.watch import Watch

_T = TypeVar("_T")

#: What a server does for its sessions, in milliseconds: nobody waits for somebody who stands still.
_SESSION = {
    "lock_timeout": 1000,
    "statement_timeout": 30_000,
    "idle_in_transaction_session_timeout": 10_000,
}
_TRANSPORT = {
    "application_name": "shipway",
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
_CONNECTS_WITHIN = 3
_LOOKS_WITHIN = 1.0
#: The first that tells of a transaction what became of it, by a number that is never used again.
OLDEST = 13_00_00
#: Sequences, and the columns that they number.
_NUMBERED = (
    ("events", "position", "events_position_seq"),
    ("orders", "position", "orders_position_seq"),
    ("dead_letters", "number", "dead_letters_number_seq"),
    ("runs", "number", "run_numbers"),
)
#: Marks the advisory locks that say from which position on a transaction may write events.
_TAIL = 0x5A17
_TAIL_BITS = 44

_LAST_POSITION = "SELECT last_value - (NOT is_called)::int AS position FROM events_position_seq"
_BEGIN = (
    "BEGIN; SELECT pg_current_xact_id()::text, pg_advisory_xact_lock_shared("  # noqa: S608
    f"{_TAIL << _TAIL_BITS} + position) FROM ({_LAST_POSITION}) AS last"
).encode()
_FIRST_OPEN = (
    "SELECT min(((classid::bigint << 32) | objid::bigint) - ?) FROM pg_locks"
    " WHERE locktype = 'advisory' AND objsubid = 1 AND (classid::bigint >> ?) = ?"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


@dataclass(frozen=True, slots=True)
class Limits:
    """``connections`` at most, waited for ``wait_s``; a server that is silent for ``patience_s`` is lost."""

    connections: int = 8
    wait_s: float = 5.0
    patience_s: float = 10.0
    slow_after: float = 0.25


class _Patient(psycopg.Connection[tuple[Any, ...]]):
    """A driver's connection that never waits for ever, also not for a server that stands still.

    ``port`` guards its making, when it is given: also that of the pool, which makes its own.
    """

    patience = 10.0

    @classmethod
    def connect(cls, conninfo: str = "", **given: Any) -> Self:
        port: Guard | None = given.pop("port", None)
        make = partial(super().connect, conninfo, **given)
        return make() if port is None else port.call_blocking(make)

    def wait(self, gen: PQGen[_T], interval: float = 0.1, timeout: float | None = None) -> _T:
        try:
            return super().wait(gen, interval, self.patience if timeout is None else timeout)
        except psycopg.OperationalError:
            if self.pgconn.transaction_status == pq.TransactionStatus.ACTIVE:
                self.pgconn.finish()  # whatever it answers later, nobody is there to hear it
            raise


class PostgresConnection:
    """A session; one that was lost is replaced at the next ``begin``."""

    def __init__(self, database: PostgresDatabase, raw: _Patient | None = None) -> None:
        self._database = database
        self._raw = raw
        self._watch = database.watch
        self.bell = database.bell
        self.rung: set[str] = set()
        self._transaction = ""
        self._in_doubt = False

    @property
    def raw(self) -> psycopg.Connection[tuple[Any, ...]]:
        """The driver's own connection, for those who take part in its transaction."""
        if self._raw is None or self._raw.closed:
            self._raw = self._database.connect()
        return self._raw

    def execute(
        self, sql: str, parameters: Sequence[Any] = (), /
    ) -> psycopg.Cursor[tuple[Any, ...]]:
        began = time.perf_counter()
        cursor = self.raw.execute(_translated(sql), parameters, binary=True)
        self._noted(time.perf_counter() - began)
        return cursor

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]], /) -> None:
        began = time.perf_counter()
        with self.raw.cursor() as cursor:
            cursor.executemany(_translated(sql), rows)
        self._noted(time.perf_counter() - began)

    def _noted(self, took: float) -> None:
        self._watch.statements += 1
        if took > self._watch.slow_after:
            self._watch.was_slow(took)

    def begin(self) -> None:
        """Before any event gets its position, everybody can see that some may come."""
        cursor = self.raw.execute(_BEGIN)
        cursor.nextset()
        row = cursor.fetchone()
        assert row is not None  # noqa: S101 - a sequence has one row
        self._transaction = row[0]

    def commit(self) -> None:
        raw = self.raw
        try:
            raw.execute(b"COMMIT")
        except psycopg.Error:
            self._in_doubt = raw.closed
            raise

    def rollback(self) -> None:
        raw = self._raw
        if raw is None or raw.closed:
            return
        try:
            raw.execute(b"ROLLBACK")
        except psycopg.Error:
            raw.close()

    def close(self) -> None:
        if self._raw is not None:
            self._raw.close()

    def part_from(self, lent: _Patient) -> None:
        """Close what took the place of a connection that was lent and lost."""
        if self._raw is not lent:
            self.close()

    @property
    def shared(self) -> bool:
        return True

    def together(self) -> AbstractContextManager[Any]:
        return self.raw.pipeline()

    def lock_runs(self, runs: Iterable[str]) -> dict[str, int] | None:
        rows = self.execute(
            "SELECT id, seq FROM runs WHERE id = ANY(?) ORDER BY id FOR NO KEY UPDATE",
            (sorted(set(runs)),),
        )
        return {row[0]: row[1] for row in rows}

    def take_turns(self, what: int) -> None:
        self.execute("SELECT pg_advisory_xact_lock(?)", (what,))

    def next_run_numbers(self, count: int) -> list[int]:
        rows = self.execute("SELECT nextval('run_numbers') FROM generate_series(1, ?)", (count,))
        return [row[0] for row in rows]

    def horizon(self) -> int | None:
        """The last position that was given out, or the one before the first that is still open.

        In this order: what begins after the first answer gets later positions than it names.
        """
        last = self.execute(_LAST_POSITION).fetchone()
        first = self.execute(_FIRST_OPEN, (_TAIL << _TAIL_BITS, _TAIL_BITS - 32, _TAIL)).fetchone()
        assert last is not None and first is not None  # noqa: S101, PT018 - each is one row
        known: int = last[0]
        return known if first[0] is None else min(known, first[0])

    def change_mark(self) -> object:
        return self.execute("SELECT pg_current_snapshot()::text").fetchone()

    def was_committed(self) -> bool:
        with translated(self):
            row = self.execute(
                "SELECT pg_xact_status(?::text::xid8)", (self._transaction,)
            ).fetchone()
        if row is not None and row[0] == "in progress":
            raise StoreFault(_UNREACHABLE.problem(), lost=True)
        self._in_doubt = False
        return row is not None and row[0] == "committed"

    def damage(self) -> list[str]:
        rows = self.execute(
            "SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
            " WHERE NOT (i.indisvalid AND i.indisready)"
        )
        return [f"the index {row[0]} is not usable: REINDEX it" for row in rows]

    def set_sequences(self) -> None:
        for table, column, sequence in _NUMBERED:
            self.execute(
                f"SELECT setval('{sequence}', max({column})) FROM {table} HAVING max({column}) > 0"  # noqa: S608 - our own names
            )

    def is_fault(self, error: BaseException) -> bool:
        return isinstance(error, psycopg.Error)

    def fault(self, error: BaseException) -> StoreFault:
        found = fault(error)
        found.in_doubt = self._in_doubt
        if self._raw is None or self._raw.closed:
            found.lost = found.lost or not isinstance(found.problem, ConfigurationError)
            self._watch.lost += 1
        return found


class PostgresDatabase:
    """A pool for reading and for short writes, and connections of their own for writers."""

    kind: Literal["postgresql"] = "postgresql"

    def __init__(
        self, url: Secret, limits: Limits | None = None, port: Guard | None = None
    ) -> None:
        self._url = url
        self._limits = limits or Limits()
        self._conninfo = _conninfo(url, self._limits.patience_s)
        parts = conninfo_to_dict(self._conninfo)
        where = f"{parts.get('host', 'local socket')}:{parts.get('port', 5432)}"
        self.name = f"PostgreSQL, {parts.get('dbname', 'its default database')} on {where}"
        self._port = port or guard("database")
        self._lookouts: list[Lookout] = []
        self.watch = Watch(self._limits.slow_after)
        self.bell = Bell()
        self._pool: ConnectionPool[_Patient] = ConnectionPool(
            self._conninfo,
            connection_class=_Patient,
            kwargs={"autocommit": True, "port": self._port},
            configure=self._configure,
            check=ConnectionPool.check_connection,
            min_size=0,
            max_size=self._limits.connections,
            max_waiting=self._limits.connections * 16,
            timeout=self._limits.wait_s,
            max_lifetime=1800.0,
            max_idle=60.0,
            reconnect_timeout=0.0,  # who asks next tries again: no pause of the pool's outlives the outage
            name="shipway",
            open=False,
        )

    @property
    def conninfo(self) -> str:
        return self._conninfo

    def connect(self) -> _Patient:
        """A new session outside the pool; raises what the driver raises, or CircuitOpenError."""
        raw = _Patient.connect(self._conninfo, autocommit=True, port=self._port)
        self._configure(raw)
        return raw

    def lookout(self) -> Lookout:
        """For whoever asks again and again whether the server answers; closed with this."""
        self._lookouts.append(Lookout(self._url, self._limits, self._port))
        return self._lookouts[-1]

    def connect_plainly(self) -> psycopg.Connection[tuple[Any, ...]]:
        """For migrations: the driver's own ways, and as long as it takes."""
        raw = psycopg.connect(self._conninfo)
        raw.execute("SET statement_timeout = 0")
        raw.execute("SET lock_timeout = '10s'")
        raw.commit()
        return raw

    def release(self) -> tuple[str, bool]:
        with self.reading() as connection:
            row = connection.execute(
                "SELECT current_setting('server_version'),"
                " current_setting('server_version_num')::int"
            ).fetchone()
        return f"PostgreSQL {row[0].split()[0]}", row[1] >= OLDEST

    def writer(self) -> PostgresConnection:
        """It connects when it is first used."""
        return PostgresConnection(self)

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        with self._lent() as connection, told(connection):
            yield connection

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[Connection]:
        connection = self.writer()
        with contextlib.closing(connection), told(connection):
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield connection
            connection.rollback()

    @contextlib.contextmanager
    def writing(self) -> Iterator[Connection]:
        with self._lent() as connection, told(connection):
            try:
                with transaction(connection):
                    yield connection
            except StoreFault as lost:
                if not (lost.in_doubt and came_through(connection)):
                    raise

    def revision(self) -> str | None:
        with self.reading() as connection:
            there = connection.execute("SELECT to_regclass('alembic_version') IS NOT NULL")
            if not there.fetchone()[0]:
                return None
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        return row[0] if row else None

    def figures(self) -> Figures:
        found = self._pool.get_stats()
        watch = self.watch
        return Figures(
            kind=self.kind,
            limit=self._limits.connections,
            open=found.get("pool_size", 0),
            idle=found.get("pool_available", 0),
            waiting=found.get("requests_waiting", 0),
            waits=found.get("requests_queued", 0),
            waited_s=found.get("requests_wait_ms", 0) / 1000,
            timeouts=found.get("requests_errors", 0),
            lost=watch.lost + found.get("connections_lost", 0),
            statements=watch.statements,
            slow=watch.slow,
        )

    def close(self) -> None:
        for lookout in self._lookouts:
            lookout.close()
        self._pool.close()

    @contextlib.contextmanager
    def _lent(self) -> Iterator[PostgresConnection]:
        try:
            self._pool.open()
            if not self._pool.get_stats().get("pool_available"):
                self._port.breaker.check()
            raw = self._pool.getconn()
        except PoolTimeout as error:
            raise self._why_none() from error
        except TooManyRequests as error:
            raise _BUSY.problem() from error
        connection = PostgresConnection(self, raw)
        try:
            yield connection
        finally:
            connection.part_from(raw)
            self._pool.putconn(raw)

    def _why_none(self) -> ShipwayError:
        """The pool only says that the time was up: whether the server is there is asked of it."""
        try:
            self.connect().close()
        except psycopg.Error as error:
            return fault(error).problem
        return _BUSY.problem()

    def _configure(self, raw: _Patient) -> None:
        raw.patience = self._limits.patience_s


class Lookout(PostgresDatabase):
    """The database as one thread sees it that only looks whether it answers, and how.

    A connection of its own, so that a full pool is not taken for a server that is away; and little
    patience, so that it is back as soon as the server is. It shares the guard: what it finds out
    closes the breaker for everybody.
    """

    def __init__(self, url: Secret, limits: Limits, port: Guard) -> None:
        super().__init__(url, replace(limits, patience_s=_LOOKS_WITHIN), port)
        self._connection = self.writer()

    @contextlib.contextmanager
    def _lent(self) -> Iterator[PostgresConnection]:
        yield self._connection

    def close(self) -> None:
        self._connection.close()
        super().close()


@lru_cache(maxsize=512)
def _translated(sql: str) -> bytes:
    return sql.replace("%", "%%").replace("?", "%s").encode()


def _conninfo(url: Secret, patience_s: float) -> str:
    """The address with our time limits, where it does not name its own."""
    try:
        given = conninfo_to_dict(url.reveal())
    except psycopg.ProgrammingError:
        raise ConfigurationError(
            "SHIPWAY_DATABASE_URL is no address of a PostgreSQL database",
            hint="write it like postgresql://user:password@host:5432/database",
        ) from None
    session = " ".join(f"-c {name}={value}" for name, value in _SESSION.items())
    options = f"{session} {given.pop('options', '') or ''}".strip()
    soon = max(1, int(min(patience_s, _CONNECTS_WITHIN)))
    transport = {**_TRANSPORT, "connect_timeout": soon}
    settings: Mapping[str, Any] = {**transport, **given, "options": options}
    return make_conninfo("", **settings)


class _Told(NamedTuple):
    """What an error of the server means for us, and what a person is told."""

    means: Literal["again", "lost", "no"]
    kind: type[ShipwayError]
    message: str
    hint: str

    def problem(self) -> ShipwayError:
        return self.kind(self.message, hint=self.hint)


_UNREACHABLE = _Told(
    "lost",
    NetworkError,
    "the database does not answer",
    "see that PostgreSQL runs and that SHIPWAY_DATABASE_URL names it; runs go on by themselves then",
)
_BUSY = _Told(
    "again",
    OverloadError,
    "all connections to the database are in use",
    "try again in a moment, or raise SHIPWAY_DATABASE_CONNECTIONS",
)
_REFUSED = _Told(
    "no",
    ConfigurationError,
    "the database refuses our user or password",
    "correct SHIPWAY_DATABASE_URL, or the user's rights in PostgreSQL",
)
_NOWHERE = _Told(
    "no",
    ConfigurationError,
    "there is no such database on that server",
    "create it (CREATE DATABASE ...), or correct SHIPWAY_DATABASE_URL",
)
_FULL = _Told(
    "lost",
    OverloadError,
    "the database server has no connection left",
    "raise its max_connections, or lower SHIPWAY_DATABASE_CONNECTIONS",
)
#: By SQLSTATE or the class that it begins with.
_STATES: dict[str, _Told] = {
    "08": _UNREACHABLE,
    "23503": _Told("again", OverloadError, "others removed what this needs", "try again"),
    "25P03": _UNREACHABLE,
    "28": _REFUSED,
    "3D": _NOWHERE,
    "40": _Told("again", OverloadError, "others changed the same runs at once", "try again"),
    "42501": _Told(
        "no",
        ConfigurationError,
        "our user lacks a right in the database",
        "let it own the database, or grant it what the server's log names",
    ),
    "53100": _Told(
        "no",
        ResourceError,
        "the disk of the database server is full",
        "free space there; the runs go on by themselves",
    ),
    "53300": _FULL,
    "55P03": _Told("again", OverloadError, "others hold the same runs", "try again in a moment"),
    "57014": _Told("again", OverloadError, "the database took too long", "try again in a moment"),
    "57P": _UNREACHABLE,
}
#: A connection that was refused has no SQLSTATE: only its text says why.
_WORDS: dict[str, _Told] = {
    "authentication failed": _REFUSED,
    "no password supplied": _REFUSED,
    "no pg_hba.conf entry": _REFUSED,
    "does not exist": _NOWHERE,
    "too many clients": _FULL,
    "remaining connection slots": _FULL,
}


def fault(error: BaseException) -> StoreFault:
    """What can be done about an error of the driver, by us and by a person."""
    state = getattr(error, "sqlstate", None) or ""
    known = next((_STATES[state[:n]] for n in (5, 3, 2) if state[:n] in _STATES), None)
    if known is None and not state and isinstance(error, psycopg.OperationalError):
        said = str(error)
        known = next((told for words, told in _WORDS.items() if words in said), _UNREACHABLE)
    if known is not None:
        means = known.means
        return StoreFault(known.problem(), again=means == "again", lost=means == "lost")
    problem = ResourceError(
        f"the database cannot be used: {type(error).__name__} {state}".strip(),
        hint="the log of the PostgreSQL server says why",
    )
    return StoreFault(problem)
