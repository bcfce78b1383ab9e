"""What of the state directory is in a backup beside the database, and how it comes back.

The database is copied first, and no file is removed by policy until the files are copied as well:
whatever it names was written before it. What is made anew is left out: workspaces of attempts,
locks, sockets, caches. So is what Shipway does not know how to copy: the data of deployed services.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from shipway.engine.housekeeping import standing_still
from shipway.engine.places import Places
from shipway.errors import ConfigurationError, ConflictError, ResourceError, UsageError
from shipway.release.restored import settle
from shipway.store import archive
from shipway.store.archive import Archive, Listed, Member, Source
from shipway.store.artifacts import ArtifactStore
from shipway.store.backup import copy_database, fresh_file, has_runs, refuse_if_in_use, restore
from shipway.store.check import lost_artifacts
from shipway.store.copies import Contents
from shipway.store.database import Database

#: Of a service; its data are its own.
_OF_A_SERVICE = {"state.json", "secrets.env", "environments"}
_TREES = ("runs", "releases", "services", "repositories")
_TOPS = ("artifacts", *_TREES)
_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Saved:
    """What a backup holds; ``listed`` is None when it is the database alone.

    ``without_data`` are services whose data are not in it; ``stopped`` those that came back.
    """

    contents: Contents
    listed: Listed | None = None
    without_data: tuple[str, ...] = ()
    stopped: tuple[str, ...] = ()


# Making one


def save(database: Database, places: Places, target: Path, *, portable: bool) -> Saved:
    """Database and files into a new file, which is read again before it counts.

    Raises ConflictError when there is such a file, ResourceError when it cannot be written.
    """
    if any(target.absolute().is_relative_to((places.home / top).absolute()) for top in _TOPS):
        raise UsageError(
            "the backup would lie among the files that it holds", hint="name another place"
        )
    head = {"made_at": time.time(), "home": str(places.home.absolute())}
    with (
        standing_still(places),
        fresh_file(target) as fresh,
        archive.writing(fresh, head) as made,
    ):
        copy = fresh.with_name(f"{fresh.name}.database")
        try:
            contents = copy_database(database, copy, portable=portable)
            made.add(archive.DATABASE, copy)
        finally:
            copy.unlink(missing_ok=True)
        _save_artifacts(database, places, made)
        for top in _TREES:
            _save_trees(places.home, top, made)
        made.finish()
        return Saved(contents, archive.read(fresh), tuple(_services_with_data(places)))


def _save_artifacts(database: Database, places: Places, made: Archive) -> None:
    store, bent = ArtifactStore(places.artifacts), set()
    for path, sound in store.each():
        if sound:
            made.add(f"artifacts/{path.parent.name}/{path.name}", path)
        else:
            bent.add(path.name)
    with database.reading() as connection:
        lost = list(lost_artifacts(connection, store, bent))
    made.absent += lost
    told = "\n".join(lost)
    made.absent += [
        f"an artifact that no run names was altered on disk (sha256 {digest})"
        for digest in sorted(bent)
        if digest not in told
    ]


def _save_trees(home: Path, top: str, made: Archive) -> None:
    """Each tree again while something of it goes away, as when git packs what lay open."""
    root = home / top
    for unit in sorted(one.name for one in root.iterdir()) if root.is_dir() else ():
        seen: set[str] = set()
        for left in reversed(range(_ROUNDS)):
            if not _save_tree(home, f"{top}/{unit}", made, seen):
                break
            if not left:
                made.absent.append(f"some of {top}/{unit}, which changed all the time")


def _save_tree(home: Path, unit: str, made: Archive, seen: set[str]) -> bool:
    """Whether something was gone before it could be copied."""
    vanished = False
    for name in _walk(home, unit):
        if name in seen:
            continue
        try:
            made.add(name, home / name)
            seen.add(name)
        except FileNotFoundError:
            vanished = True
    return vanished


def _walk(home: Path, name: str) -> Iterator[str]:
    """A tree in an order that suits git: refs first, then what lists them, objects at the end."""
    yield name
    try:
        found = sorted(os.scandir(home / name), key=lambda one: one.name)
    except (FileNotFoundError, NotADirectoryError):
        return
    inside = [one for one in found if not _left_out(f"{name}/{one.name}".split("/"))]
    folders = [one.name for one in inside if one.is_dir(follow_symlinks=False)]
    files = [one.name for one in inside if not one.is_dir(follow_symlinks=False)]
    for folder in folders:
        if folder != "objects":
            yield from _walk(home, f"{name}/{folder}")
    yield from (f"{name}/{file}" for file in files)
    if "objects" in folders:
        yield from _walk(home, f"{name}/objects")


def _left_out(parts: list[str]) -> bool:
    top, own, last = parts[0], parts[2:], parts[-1]
    match top:
        case "runs":
            of_hub = own[0] == "hub.git" and (last.endswith(".lock") or "index-" in own[1:2])
            return own[0] == "work" or of_hub
        case "repositories":
            return ".git" in own and last.endswith(".lock")
        case "services":
            return own[0] not in _OF_A_SERVICE or (len(own) > 1 and own[1].startswith("."))
        case _:
            return len(own) > 1 and (own[1] == "deploy.lock" or own[1].startswith("tree."))


def _services_with_data(places: Places) -> Iterator[str]:
    for folder in sorted(places.home.glob("services/*/data")):
        if any(folder.iterdir()):
            yield folder.parent.name


# Putting it back


def put_back(database: Database, places: Places, source: Path) -> Saved:
    """Fill an empty database and an empty state directory, once all of the backup was looked at.

    Raises ConflictError when there is something in the way, ConfigurationError for a file that is
    not a whole backup and names what is missing or bent.
    """
    if not source.is_file():
        raise ConfigurationError(f"there is no file {source}", hint="name the backup to restore")
    if not archive.is_archive(source):
        return Saved(restore(database, source))
    refuse_if_in_use(database)
    _refuse_if_occupied(places)
    listed = archive.read(source)
    places.restoring.touch()
    try:
        saved = _put_back(database, places, source, listed)
    except BaseException:
        if not has_runs(database):
            _clear(places)
            places.restoring.unlink()
        raise
    places.restoring.unlink()
    return saved


def _put_back(database: Database, places: Places, source: Path, listed: Listed) -> Saved:
    with tempfile.TemporaryDirectory(prefix="restore-", dir=places.home) as folder:
        copy = Path(folder) / archive.DATABASE
        placing = _Placing(places.home, copy)
        try:
            archive.read(source, placing.take)
            placing.finish()
        except OSError as error:
            raise ResourceError(
                f"the files could not be written: {error.strerror}", hint="free space; try again"
            ) from error
        stopped = settle(places.home, Path(listed.head["home"]))
        os.sync()
        contents = restore(database, copy)
    return Saved(contents, listed, stopped=tuple(stopped))


def _refuse_if_occupied(places: Places) -> None:
    """What an earlier restore left that was killed goes; all else stays, and is in the way."""
    if places.restoring.exists():
        _clear(places)
    for top in _TOPS:
        folder = places.home / top
        if folder.is_dir() and any(folder.iterdir()):
            raise ConflictError(
                f"there are files already: {folder}",
                hint="point SHIPWAY_HOME to a new place; nothing is overwritten",
            )


def _clear(places: Places) -> None:
    for top in _TOPS:
        shutil.rmtree(places.home / top, ignore_errors=True)


class _Placing:
    """Writes members where they belong. Links come last, so that nothing is written through one."""

    def __init__(self, home: Path, database: Path) -> None:
        self._home, self._database = home, database
        self._folders: list[Member] = []
        self._links: list[Member] = []

    def take(self, member: Member, source: Source) -> None:
        if member.name == archive.DATABASE:
            self._write(self._database, member, source)
        elif member.name.split("/")[0] not in _TOPS:
            raise ConfigurationError(
                "the backup holds a file that does not belong to a state directory",
                hint="name a backup that Shipway made",
            )
        elif member.kind == "folder":
            (self._home / member.name).mkdir(mode=0o700, parents=True, exist_ok=True)
            self._folders.append(member)
        elif member.kind == "link":
            self._links.append(member)
        else:
            self._write(self._home / member.name, member, source)

    def finish(self) -> None:
        for member in self._links:
            (self._home / member.name).symlink_to(member.target)
        for member in reversed(self._folders):
            (self._home / member.name).chmod(member.mode)

    @staticmethod
    def _write(path: Path, member: Member, source: Source) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with path.open("xb") as file:
            shutil.copyfileobj(source, file, 1 << 20)
        path.chmod(member.mode)
        if not member.name.startswith("artifacts/"):  # those count as young for whoever tidies
            os.utime(path, (member.modified, member.modified))
