"""``make chaos``: real processes, faults as data, and a table of what came of each.

kill -9 at every named point, on SQLite and on PostgreSQL (``N=`` kills, 200 by default), several
scenes at once; then the other faults. ``--json FILE`` writes the table for machines too.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import json
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [
    str(HERE),
    str(HERE.parent),
    str(HERE.parent / "engine"),
    str(HERE.parents[1] / "src"),
]

import faults  # noqa: E402 - the paths above come first
import kills  # noqa: E402
from crew import Crew  # noqa: E402
from faults import Fault  # noqa: E402
from kills import Kill  # noqa: E402
from scene import Row, Scene, fleet, lone  # noqa: E402

from servers import Postgres, Redis  # noqa: E402
from shipway.secrets import Secret  # noqa: E402

Made = Callable[[Path, Postgres], AbstractContextManager[Scene]]
_LEFT = "what is left open at the end"
_HEADS = ("rounds", "kills", "runs", "lost", "doubled", "stuck", "repeated")


class Rows:
    """The table, filled by several scenes at once."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], Row] = {}
        self._lock = threading.Lock()

    def add(self, row: Row) -> None:
        with self._lock:
            known = self._rows.setdefault((row.fault, row.where), Row(row.fault, row.where))
            for head in _HEADS:
                setattr(known, head, getattr(known, head) + getattr(row, head))
            known.notes += row.notes

    def all(self) -> list[Row]:
        return sorted(self._rows.values(), key=lambda row: (row.where, row.fault))


def guarded(row: Row, rows: Rows, act: Callable[[Row], None]) -> None:
    """A round that cannot be carried out counts as stuck, and says why."""
    began = time.monotonic()
    try:
        act(row)
    except Exception as error:  # noqa: BLE001 - the other rounds go on
        row.stuck += 1
        row.notes.append(f"{type(error).__name__}: {str(error)[:200]}")
        traceback.print_exc()
    rows.add(row)
    verdict = "" if row.holds else "  <-- " + "; ".join(row.notes)[:300]
    sys.stderr.write(f"{time.monotonic() - began:5.1f} s  {row.where:10} {row.fault}{verdict}\n")


def lane(
    where: str,
    todo: deque[Kill],
    rows: Rows,
    parent: Path,
    server: Postgres,
    then: Sequence[Fault] = (),
) -> None:
    """One scene that takes round after round, until none is left; then other faults."""

    def rounds(last: Row) -> None:
        with _WHERE[where](parent, server) as scene:
            while todo:
                with contextlib.suppress(IndexError):  # another lane took the last one
                    _round(scene, todo.popleft(), rows, parent, server)
            _suffer_each(scene, then, rows)
            scene.settle(last)

    guarded(Row(_LEFT, where), rows, rounds)


def _round(scene: Scene, kill: Kill, rows: Rows, parent: Path, server: Postgres) -> None:
    guarded(
        Row(kill.name, kill.where),
        rows,
        lambda row: kills.suffer(scene, kill, row, parent, server),
    )


def _is_meant(name: str, only: str) -> bool:
    return any(word in name for word in only.split(","))


def all_kills(
    count: int, lanes: int, only: str, rows: Rows, parent: Path, server: Postgres
) -> None:
    """The combinations in turn, so that each comes as often as any other."""
    known = [one for one in kills.combinations() if _is_meant(one.name, only)]
    chosen = [known[number % len(known)] for number in range(count if known else 0)]
    carry_out(chosen, lanes, rows, parent, server)


def carry_out(
    chosen: Sequence[Kill],
    lanes: int,
    rows: Rows,
    parent: Path,
    server: Postgres,
    then: Sequence[Fault] = (),
) -> None:
    """Scenes side by side, ``lanes`` for each database; ``then`` is for one of the fleet's."""
    threads = []
    for where in _WHERE:
        todo = deque(one for one in chosen if one.where == where)
        for number in range(lanes if todo else 0):
            more = then if where == "postgresql" and number == 0 else ()
            given = (where, todo, rows, parent, server, more)
            threads.append(threading.Thread(target=lane, args=given))
    _together(threads)


def _together(threads: Sequence[threading.Thread]) -> None:
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def all_faults(only: str, rows: Rows, parent: Path, server: Postgres) -> None:
    """Each once, those of one scene one after the other, the scenes side by side."""
    threads = [
        threading.Thread(target=_faults, args=(where, made, chosen, rows))
        for where, made, listed in (
            ("postgresql", lambda: fleet(parent, server, 1, 2), faults.OF_PROCESSES),
            ("postgresql", lambda: fleet(parent, server, 2, 4), faults.OF_MANY),
            ("postgresql", lambda: _of_its_own(parent), faults.OF_DATABASES),
            ("postgresql", lambda: _with_redis(parent, server), faults.OF_REDIS),
            ("sqlite", lambda: lone(parent), faults.OF_ONE),
        )
        if (chosen := [one for one in listed if _is_meant(one.name, only)])
    ]
    if any(_is_meant(one.name, only) for one in faults.OF_DISKS):
        threads.append(threading.Thread(target=_in_little_room, args=(parent, rows)))
    _together(threads)


def _faults(
    where: str,
    made: Callable[[], AbstractContextManager[Scene]],
    chosen: Sequence[Fault],
    rows: Rows,
) -> None:
    def rounds(last: Row) -> None:
        with made() as scene:
            _suffer_each(scene, chosen, rows)
            scene.settle(last)

    guarded(Row(_LEFT, where), rows, rounds)


def _suffer_each(scene: Scene, chosen: Sequence[Fault], rows: Rows) -> None:
    for fault in chosen:
        act = functools.partial(faults.suffer, scene, fault)
        guarded(Row(fault.name, scene.where), rows, act)


@contextmanager
def _of_its_own(parent: Path) -> Iterator[Scene]:
    """A fleet on a server that nobody else uses."""
    with Postgres() as server, fleet(parent, server, 1, 2) as scene:
        yield scene


@contextmanager
def _with_redis(parent: Path, server: Postgres) -> Iterator[Scene]:
    """A fleet that is woken by Redis, too."""
    with (
        Redis() as redis,
        fleet(parent, server, 1, 2, redis_url=Secret(redis.url)) as scene,
    ):
        scene.redis = redis
        yield scene


def _in_little_room(parent: Path, rows: Rows) -> None:
    """The faults of a full disk, in a process of its own that alone sees a small file system."""
    place, told = parent / "small", parent / "small.json"
    place.mkdir()
    mount = 'mount -t tmpfs -o size=24m tmpfs "$0" && exec "$@"'
    inside = [sys.executable, str(HERE / "chaos.py"), "--inside", str(place), "--json", str(told)]
    namespace = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, str(place)]
    subprocess.run([*namespace, *inside], check=False, stdin=subprocess.DEVNULL, stdout=sys.stderr)
    if not told.exists():
        rows.add(Row("the disk is full", "sqlite", stuck=1, notes=["it could not be carried out"]))
        return
    for row in json.loads(told.read_text())["rows"]:
        rows.add(Row(**row))


def _inside(place: Path, rows: Rows) -> None:
    _faults("sqlite", lambda: lone(place), faults.OF_DISKS, rows)


def _lone(parent: Path, _server: Postgres) -> AbstractContextManager[Scene]:
    return lone(parent)


_WHERE: dict[str, Made] = {
    "postgresql": fleet,
    "sqlite": _lone,
}


def table(rows: Sequence[Row]) -> str:
    widest = max(len(row.fault) for row in rows)
    lines = [f"{'fault':{widest}}  {'where':10}  {'  '.join(_HEADS)}"]
    for row in rows:
        figures = "  ".join(f"{getattr(row, head):>{len(head)}}" for head in _HEADS)
        lines.append(f"{row.fault:{widest}}  {row.where:10}  {figures}")
        lines += [f"    {note}" for note in row.notes]
    total = {head: sum(getattr(row, head) for row in rows) for head in _HEADS}
    lines.append(
        f"{'all':{widest}}  {'':10}  " + "  ".join(f"{total[h]:>{len(h)}}" for h in _HEADS)
    )
    return "\n".join(lines)


def as_json(rows: Sequence[Row], seconds: float) -> str:
    total = {head: sum(getattr(row, head) for row in rows) for head in _HEADS}
    found = {
        "summary": total,
        "seconds": round(seconds, 1),
        "rows": [dataclasses.asdict(row) for row in rows],
    }
    return json.dumps(found, indent=1) + "\n"


@contextmanager
def ground() -> Iterator[tuple[Path, Postgres]]:
    """A directory for all scenes, and a server for those of a fleet."""
    with Postgres() as server, tempfile.TemporaryDirectory(prefix="shipway-chaos-") as place:
        yield Path(place), server


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="rounds of kill -9")
    parser.add_argument("--lanes", type=int, default=2, help="scenes of each kind at once")
    parser.add_argument(
        "--only", default="", help="only faults whose name holds one of these words (a,b)"
    )
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path, help="write the table as JSON here, too")
    options = parser.parse_args()
    Crew.started = True  # the faults of a sample in make test are of processes that were forked
    began = time.monotonic()
    rows = Rows()
    if options.inside is not None:
        _inside(options.inside, rows)
    else:
        with ground() as (parent, server):
            all_kills(options.kills, options.lanes, options.only, rows, parent, server)
            all_faults(options.only, rows, parent, server)
    found = rows.all()
    sys.stdout.write(table(found) + "\n")
    if options.json:
        options.json.write_text(as_json(found, time.monotonic() - began))
    return int(not all(row.holds for row in found))


if __name__ == "__main__":
    sys.exit(main())
