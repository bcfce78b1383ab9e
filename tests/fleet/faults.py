"""Every fault but kill -9: what is done to a scene while it carries runs, one function for each."""

from __future__ import annotations

import contextlib
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import psycopg
import redis
from crew import LEASE, Process
from scene import DIES_WITHIN, PAUSE, FleetScene, LoneScene, Row, Scene

from shipway.domain.states import RunStatus
from shipway.engine.letters import Letters
from shipway.errors import ShipwayError
from shipway.store.dead import Which

_LOOK_EVERY = 0.05
_REFUSED_FOR = 30.0
_WITHOUT_REDIS = 5.0
_HOUR = {"ahead": signal.SIGUSR1, "back": signal.SIGUSR2}
_ROOM = 24 << 20


def _submit(scene: Scene, runs: list[str], count: int) -> None:
    runs += [scene.submit() for _ in range(count)]


def _under_way(scene: Scene, runs: list[str]) -> None:
    """Wait until something is being done for one of the runs."""
    scene.crew.eventually(
        lambda: any(line["run"] in runs for line in scene.crew.ledger.of("begin")), DIES_WITHIN
    )


# Somebody stands still


def stand_still(scene: FleetScene, runs: list[str]) -> None:
    """A worker stops in the middle of whatever, for longer than its lease."""
    _submit(scene, runs, 3)
    _under_way(scene, runs)
    still = scene.workers[0]
    still.send_signal(signal.SIGSTOP)
    time.sleep(LEASE * 2)
    still.send_signal(signal.SIGCONT)


def zombie(point: str) -> Callable[[FleetScene, list[str]], None]:
    """A worker stops at a point; others finish the run; then it wakes, and may do nothing more."""

    def act(scene: FleetScene, runs: list[str]) -> None:
        with scene.resting():
            sleeper = scene.crew.worker(2, PAUSE, f"{point}=stop")
            _submit(scene, runs, 1)
            scene.crew.eventually(lambda: _is_stopped(sleeper), DIES_WITHIN)
        scene.crew.until(runs[0], within=DIES_WITHIN)
        sleeper.send_signal(signal.SIGCONT)
        assert sleeper.wait(30) == 75, "it did not learn that it was taken for dead"

    return act


def _is_stopped(process: Process) -> bool:
    return psutil.Process(process.pid).status() == psutil.STATUS_STOPPED


# The database


def restart_database(scene: FleetScene, runs: list[str]) -> None:
    assert scene.server is not None
    _submit(scene, runs, 3)
    _under_way(scene, runs)
    scene.server.stop()
    scene.server.start()


def freeze_database(scene: FleetScene, runs: list[str]) -> None:
    """For longer than the lease: nobody can say that it lives, and nobody may be judged for it."""
    assert scene.server is not None
    _submit(scene, runs, 3)
    _under_way(scene, runs)
    scene.server.freeze()
    time.sleep(LEASE * 1.5)
    scene.server.thaw()


def refuse_database(scene: FleetScene, runs: list[str]) -> None:
    assert scene.server is not None
    _submit(scene, runs, 3)
    _under_way(scene, runs)
    scene.server.stop()
    time.sleep(_REFUSED_FOR)
    scene.server.start()


# Redis, which only wakes and counts


def stall_redis(scene: FleetScene, runs: list[str]) -> None:
    assert scene.redis is not None
    _submit(scene, runs, 2)
    scene.redis.freeze()
    _submit(scene, runs, 2)
    time.sleep(_WITHOUT_REDIS)
    scene.redis.thaw()


def refuse_redis(scene: FleetScene, runs: list[str]) -> None:
    assert scene.redis is not None
    _submit(scene, runs, 2)
    scene.redis.stop()
    _submit(scene, runs, 2)
    time.sleep(_WITHOUT_REDIS)
    scene.redis.start()


def flush_redis(scene: FleetScene, runs: list[str]) -> None:
    assert scene.redis is not None
    _submit(scene, runs, 3)
    with redis.Redis.from_url(scene.redis.url) as client:
        for _ in range(20):
            client.flushall()
            time.sleep(_LOOK_EVERY)


# Reports that come twice, late, and in the wrong order

_HOLD_BACK = (
    "CREATE TABLE held_back (LIKE reports)",
    (
        "CREATE FUNCTION hold_back() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " INSERT INTO held_back VALUES (NEW.*); RETURN NULL; END $$"
    ),
    (
        "CREATE TRIGGER hold_back BEFORE INSERT ON reports FOR EACH ROW"
        " WHEN (current_setting('application_name') <> 'echo') EXECUTE FUNCTION hold_back()"
    ),
)
_LET_GO = ("DROP TRIGGER hold_back ON reports", "DROP FUNCTION hold_back", "DROP TABLE held_back")
_AGAIN = (
    "INSERT INTO reports (run, stage, attempt, at, data)"
    " SELECT run, stage, attempt, at, data FROM held_back WHERE id = %s"
)


def echo_reports(scene: FleetScene, runs: list[str]) -> None:
    """Every report is held back, comes after others, comes twice, and once more when all is over."""
    chance = random.Random(20261125)
    with _echo(scene) as connection:
        seen: set[int] = set()
        _submit(scene, runs, 4)
        give_up = time.monotonic() + DIES_WITHIN
        while not all(scene.crew.queries.status(run).is_final for run in runs):
            assert time.monotonic() < give_up, "the runs did not end"
            time.sleep(0.1)
            held = [row[0] for row in connection.execute("SELECT id FROM held_back")]
            new = [one for one in held if one not in seen]
            seen.update(new)
            _deliver(connection, chance.sample(new, len(new)) + chance.sample(held, len(held) // 4))
        _deliver(connection, chance.sample(sorted(seen), len(seen)))
        scene.crew.eventually(lambda: not _open_reports(connection), DIES_WITHIN)


@contextmanager
def _echo(scene: FleetScene) -> Iterator[psycopg.Connection[Any]]:
    url = scene.crew.settings.database_url
    assert url is not None
    with psycopg.connect(url.reveal(), autocommit=True, application_name="echo") as connection:
        for statement in _HOLD_BACK:
            connection.execute(statement)
        try:
            yield connection
        finally:
            connection.execute("INSERT INTO reports SELECT * FROM held_back ON CONFLICT DO NOTHING")
            for statement in _LET_GO:
                connection.execute(statement)


def _deliver(connection: psycopg.Connection[Any], reports: list[int]) -> None:
    for report in reports:
        connection.execute(_AGAIN, (report,))
    connection.execute("SELECT pg_notify('shipway', 'reports')")


def _open_reports(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute("SELECT count(*) FROM reports").fetchone()
    assert row is not None
    return int(row[0])


def echo_outcomes(scene: LoneScene, runs: list[str]) -> None:
    """The same inside one engine: each outcome late, twice, in any order."""
    scene.rest()
    scene.engine = scene.crew.start("alone", str(PAUSE), str(scene.crew.ledger_path), ECHO="1")
    _submit(scene, runs, 4)


# The clock


def step_clock(way: str) -> Callable[[Scene, list[str]], None]:
    """Every clock jumps by an hour while work is in hand; then everybody starts anew on that clock."""

    def act(scene: Scene, runs: list[str]) -> None:
        _submit(scene, runs, 2)
        _under_way(scene, runs)
        for process in scene.processes():
            process.send_signal(_HOUR[way])
        _submit(scene, runs, 2)
        for process in scene.processes():
            scene.kill(process)
        scene.crew.around["CLOCK_STEP"] = "3600" if way == "ahead" else "-3600"
        scene.man()
        _submit(scene, runs, 1)
        for run in runs:
            scene.crew.until(run, within=DIES_WITHIN)
        del scene.crew.around["CLOCK_STEP"]
        for process in scene.processes():
            scene.kill(process)  # the next ones have the true time again

    return act


# A full disk


def fill_disk(scene: LoneScene, runs: list[str]) -> None:
    """The file system with the database, hubs and artifacts is full for a while."""
    _submit(scene, runs, 3)
    _under_way(scene, runs)
    ballast = scene.crew.settings.home / "ballast"
    _fill(ballast)
    time.sleep(3.0)
    with contextlib.suppress(
        ShipwayError, OSError
    ):  # refused, with a reason: then nobody counts on it
        runs.append(scene.submit())
    ballast.unlink()
    _replay(scene, runs)


def _fill(ballast: Path) -> None:
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 14))


def _replay(scene: Scene, runs: list[str]) -> None:
    """What used up its attempts meanwhile is a dead letter; a person has it done again."""
    for run in runs:
        ended = scene.crew.until(run, within=DIES_WITHIN)
        if ended.summary.status is RunStatus.FAILED:
            letters = Letters(scene.crew.database, scene.crew.queries).list(Which(run=run))
            assert {letter.code for letter in letters} == {"RESOURCE"}, letters
            scene.crew.commands.retry(run, by="ada")
            scene.crew.until(run, RunStatus.RUNNING, RunStatus.SUCCEEDED, within=DIES_WITHIN)


def fill_workspace(scene: FleetScene, runs: list[str]) -> None:
    """One worker has no room for its workspaces; the run is finished all the same."""
    with scene.resting():
        _submit(scene, runs, 1)
        work = scene.crew.places.work(runs[0])
        work.mkdir(parents=True)
        cramped = scene.crew.start(
            *("worker", "2", str(PAUSE), str(scene.crew.ledger_path)), before=_cramped(work)
        )
        scene.crew.eventually(lambda: _has_failed(scene, runs[0]), DIES_WITHIN)
        cramped.terminate()
        cramped.wait(60)
    _replay(scene, runs)


def _has_failed(scene: Scene, run: str) -> bool:
    return any(event.type == "AttemptFailed" for event in scene.crew.queries.events(run))


def _cramped(work: Path) -> list[str]:
    """Words before a command that let it see a file system without room at a place."""
    script = 'mount -t tmpfs -o size=4k,nr_inodes=1 tmpfs "$0" && exec "$@"'
    return ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, str(work)]


# Workers that behave badly


def bad_worker(how: str) -> Callable[[FleetScene, list[str]], None]:
    """A worker whose agent does something terrible at its first attempt."""

    def act(scene: FleetScene, runs: list[str]) -> None:
        with scene.resting():
            bad = scene.crew.start(
                *("worker", "2", str(PAUSE), str(scene.crew.ledger_path)),
                BAD=how,
                SHIPWAY_WORKER_GRACE_S="1",
            )
            scene.hold(bad, runs)
        scene.crew.until(runs[0], within=DIES_WITHIN)
        if bad.poll() is None:
            bad.terminate()
        bad.wait(30)

    return act


# Everybody


def kill_everybody(scene: Scene, runs: list[str]) -> None:
    _submit(scene, runs, 3)
    _under_way(scene, runs)
    for process in scene.processes():
        scene.kill(process)


def roll_over(scene: FleetScene, runs: list[str]) -> None:
    """Everybody is stopped and started again, one after the other, under load."""
    for process in scene.processes():
        _submit(scene, runs, 2)
        process.terminate()
        assert process.wait(60) == 143
        scene.man()


class Fault(NamedTuple):
    name: str
    act: Callable[[Any, list[str]], None]


#: Those that a worker or an engine of a fleet suffers.
OF_PROCESSES = (
    Fault("a worker stands still beyond its lease", stand_still),
    Fault("a merging zombie, before it asked whether it may", zombie("merge.written-down")),
    Fault("a merging zombie, right before the branch moves", zombie("merge.moving")),
    Fault("a deploying zombie, before the files are there", zombie("deploy.prepared")),
    Fault("a deploying zombie, right before the switch", zombie("deploy.asking")),
    Fault("a zombie right before a message", zombie("message.unsent")),
    Fault("reports come late, twice, in the wrong order", echo_reports),
    Fault("a worker has no room for workspaces", fill_workspace),
    Fault("a worker exits with 1", bad_worker("exit")),
    Fault("a worker hangs", bad_worker("hang")),
    Fault("a worker grows to its memory limit", bad_worker("grow")),
    Fault("a worker prints rubbish", bad_worker("rubbish")),
    Fault("the clocks step an hour ahead", step_clock("ahead")),
    Fault("the clocks step an hour back", step_clock("back")),
    Fault("everybody is killed at once", kill_everybody),
)
#: Those that need two engines and four workers.
OF_MANY = (Fault("2 engines and 4 workers restarted in turn", roll_over),)
#: Those of the database, which has a server of its own for them.
OF_DATABASES = (
    Fault("the database is restarted", restart_database),
    Fault("the database is frozen beyond the lease", freeze_database),
    Fault("the database refuses for 30 s", refuse_database),
)
#: Those of Redis, which has a server of its own for them.
OF_REDIS = (
    Fault("Redis stalls", stall_redis),
    Fault("Redis refuses", refuse_redis),
    Fault("Redis is flushed", flush_redis),
)
#: Those of one engine on SQLite.
OF_ONE = (
    Fault("outcomes come late, twice, in the wrong order", echo_outcomes),
    Fault("the clock steps an hour ahead", step_clock("ahead")),
    Fault("the clock steps an hour back", step_clock("back")),
    Fault("the engine is killed in the middle", kill_everybody),
)
#: That of one engine on SQLite in a file system of 24 MB.
OF_DISKS = (Fault("the disk is full", fill_disk),)


def suffer(scene: Scene, fault: Fault, row: Row) -> None:
    """One round: the crew is whole, the fault happens, everything must end as if nothing had."""
    before = scene.kills
    runs: list[str] = []
    scene.man()
    try:
        fault.act(scene, runs)
    finally:
        scene.man()
        row.rounds, row.runs, row.kills = 1, len(runs), scene.kills - before
    scene.judge(runs, row)
