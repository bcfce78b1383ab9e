"""The ledger of releases: JSON files that survive a crash at any moment, and who may write them."""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from shipway.errors import ConflictError, NotFoundError, PipelineError
from shipway.release.record import Release, ServiceState, check_service, is_release_id

_Record = TypeVar("_Record", Release, ServiceState)


def now() -> str:
    """The time as the wire writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def write_whole(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replace a file so that a crash leaves the old bytes or the new ones, never a part."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(path)
    _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(path: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold the lock file ``path``; waits for whoever holds it (they only write small files).

    ``shared`` is for work that takes longer: it says that somebody is at it, and excludes nobody.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


class ServiceLedger:
    """Everything that is on disk about one service: its state, its releases, its directories."""

    def __init__(self, home: Path, service: str) -> None:
        self.home = home
        self.service = check_service(service)
        self.directory = home / "services" / service
        self.releases = home / "releases" / service
        self.data = self.directory / "data"
        self.environments = self.directory / "environments"
        self.secrets = self.directory / "secrets.env"
        self.supervisor_file = self.directory / "supervisor.json"
        self.supervisor_lock = self.directory / "supervisor.lock"
        self.supervisor_log = self.directory / "supervisor.log"

    def create(self) -> None:
        """Make the directories; only the owner may look into a service's own."""
        for path in (self.home / "services", self.directory, self.data, self.environments):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.releases.mkdir(mode=0o700, parents=True, exist_ok=True)

    def release_directory(self, release: str) -> Path:
        if not is_release_id(release):
            raise NotFoundError(
                "there is no such release", hint="`shipway release list` shows them all"
            )
        return self.releases / release

    def deploying(self, release: str) -> Path:
        """The lock that clients share while they deploy the release: one may stand still in it."""
        directory = self.release_directory(release)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return directory / "deploy.lock"

    # -- the service's state ----------------------------------------------------------------------

    def state(self) -> ServiceState:
        data = _read(self.directory / "state.json")
        return ServiceState() if data is None else _decode(ServiceState, data, self.service)

    def change_state(self, **changes: Any) -> ServiceState:
        with locked(self.directory / "ledger.lock"):
            state = dataclasses.replace(self.state(), **changes)
            write_whole(self.directory / "state.json", _encode(dataclasses.asdict(state)))
            return state

    # -- its releases -----------------------------------------------------------------------------

    def ids(self) -> list[str]:
        if not self.releases.is_dir():
            return []
        return [path.parent.name for path in self.releases.glob("*/release.json")]

    def read(self, release: str) -> Release | None:
        data = _read(self.release_directory(release) / "release.json")
        return None if data is None else _decode(Release, data, release)

    def get(self, release: str) -> Release:
        """The record; raises NotFoundError."""
        found = self.read(release)
        if found is None:
            raise NotFoundError(
                f"there is no release {release} of {self.service}",
                hint="`shipway release list` shows them all",
            )
        return found

    def all(self) -> list[Release]:
        """Every release of the service, oldest first."""
        return sorted(
            (self.get(one) for one in self.ids()), key=lambda one: (one.created_at, one.id)
        )

    def begin(self, release: Release, **changes: Any) -> Release:
        """Note what is known of a release that is to be deployed; who has been live stays as it is.

        Several may deploy the same one at once, so all of it goes by the record as it stands.
        """
        directory = self.release_directory(release.id)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(self.directory / "ledger.lock"):
            known = self.read(release.id) or release
            if known.live_at is not None:
                return known
            known = dataclasses.replace(known, status=release.status, **changes)
            write_whole(directory / "release.json", _encode(known.to_dict()))
            return known

    def change(self, release: str, **changes: Any) -> Release:
        with locked(self.directory / "ledger.lock"):
            changed = dataclasses.replace(self.get(release), **changes)
            path = self.release_directory(release) / "release.json"
            write_whole(path, _encode(changed.to_dict()))
            return changed


class Ledger:
    """All services under one state directory."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def of(self, service: str) -> ServiceLedger:
        return ServiceLedger(self.home, service)

    def services(self) -> list[ServiceLedger]:
        root = self.home / "services"
        if not root.is_dir():
            return []
        return [self.of(path.name) for path in sorted(root.iterdir()) if path.is_dir()]

    def find(self, ref: str) -> tuple[ServiceLedger, Release]:
        """The release with this id or unique beginning of one; NotFoundError, ConflictError."""
        text = ref if ref.startswith("r-") else f"r-{ref}"
        found = [(one, id_) for one in self.services() for id_ in one.ids() if id_.startswith(text)]
        if not found or len(text) < len("r-") + 1:
            raise NotFoundError(
                "there is no release with this id", hint="`shipway release list` shows them all"
            )
        if len(found) > 1:
            raise ConflictError(
                "more than one release begins like this", hint="type more of its id"
            )
        service, identity = found[0]
        return service, service.get(identity)


def _encode(data: dict[str, Any]) -> bytes:
    return json.dumps(data, indent=1, sort_keys=True).encode() + b"\n"


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _decode(kind: type[_Record], data: bytes, name: str) -> _Record:
    try:
        return kind.from_dict(json.loads(data))
    except (ValueError, TypeError, KeyError) as error:
        raise PipelineError(
            f"the record of {name} in the ledger of releases cannot be read",
            hint="move its JSON file away and deploy again; nothing that runs is touched",
        ) from error
