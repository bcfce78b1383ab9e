"""Releases as everybody else sees them: deploy, list, view, stop, roll back, heal.

This is the client's side. What runs is held by one supervisor per service, a process of its own
(``supervisor``), so that it outlives every command; what must survive stands in the ``ledger``.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from shipway.contracts.service_file import ServiceFile
from shipway.errors import (
    AgentTimeoutError,
    ConfigurationError,
    ConflictError,
    NotFoundError,
    PipelineError,
    ResourceError,
    ServiceUnhealthyError,
    ShipwayError,
    UsageError,
)
from shipway.release import control, environment, ledger, processes, secrets_file
from shipway.release.ledger import Ledger, ServiceLedger, now
from shipway.release.record import Release, ServiceState, Status, Timing, release_id

Say = Callable[[str], None]
Found = list[Release]
_START_SECONDS = 20.0
_GONE_SECONDS = 45.0
_ROOT = Path(__file__).resolve().parents[2]


class Built(Protocol):
    """An environment that can run a release."""

    @property
    def path(self) -> Path: ...


class Builds(Protocol):
    """What builds environments from requirement files (``workspace.environments``)."""

    def build(
        self,
        files: Sequence[Path],
        *,
        say: Say | None = None,
        cancel: threading.Event | None = None,
    ) -> Built: ...


@dataclass(frozen=True, slots=True)
class Candidate:
    """What is to be deployed: ``fill`` writes the tree of ``commit`` into an empty directory.

    ``secrets`` are the settings that get a made-up value unless they have one. ``port`` 0: the
    one that the service has, or any. The same service, run and commit are the same release.
    """

    service: str
    run: str
    commit: str
    tree: str
    fill: Callable[[Path], None]
    port: int = 0
    secrets: Mapping[str, secrets_file.Kind] = field(default_factory=dict)
    timing: Timing = field(default_factory=Timing)


@dataclass(frozen=True, slots=True)
class Healed:
    """A service whose supervisor had died: what was found, and what runs again (if anything)."""

    service: str
    release: str | None
    message: str
    restored: bool


class Releases:
    """All releases under one state directory. Safe to use from several processes at once."""

    def __init__(self, home: Path, environments: Builds | None = None, *, keep: int = 5) -> None:
        """``keep``: how many releases of a service can be returned to; of older ones the record stays.

        Without ``environments`` only services that need none can be deployed.
        """
        self.home = home.absolute()
        self._ledger = Ledger(self.home)
        self._environments = environments
        self._keep = keep

    # -- looking ----------------------------------------------------------------------------------

    def list(self) -> Found:
        """Every release of every service that the ledger knows, newest first."""
        found = [one for service in self._ledger.services() for one in service.all()]
        return sorted(found, key=lambda one: (one.created_at, one.id), reverse=True)

    def view(self, ref: str) -> Release:
        """One release by its id or the unique beginning of it; NotFoundError, ConflictError."""
        return self._ledger.find(ref)[1]

    def live(self, service: str) -> Release | None:
        """The release that takes the traffic of ``service`` now."""
        at = self._ledger.of(service)
        live = at.state().live
        return at.get(live) if live is not None and supervised(at) else None

    def state(self, service: str) -> ServiceState:
        return self._ledger.of(service).state()

    def log(self, ref: str) -> bytes:
        """What the release wrote, its newest part."""
        service, release = self._ledger.find(ref)
        path = service.release_directory(release.id) / "service.log"
        return path.read_bytes() if path.exists() else b""

    def supervisor_log(self, service: str) -> str:
        """What the service's supervisor wrote, its newest part; empty before there was one."""
        path = self._ledger.of(service).supervisor_log
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def tree_path(self, ref: str) -> Path:
        """Where the files of the release are; old ones are removed."""
        service, release = self._ledger.find(ref)
        return service.release_directory(release.id) / "tree"

    def secrets_path(self, service: str) -> Path:
        """The file with the service's secrets, readable by its owner only."""
        return self._ledger.of(service).secrets

    # -- changing ---------------------------------------------------------------------------------

    def deploy(
        self,
        candidate: Candidate,
        *,
        say: Say | None = None,
        cancel: threading.Event | None = None,
    ) -> Release:
        """Make the candidate live, or leave everything as it is and say why.

        Repeating a deploy that has happened changes nothing and returns its record. Raises
        ServiceUnhealthyError (with the end of the log in ``details``), ConflictError for a port
        that cannot be had, ConfigurationError for a tree that does not say how to start.
        """
        at = self._ledger.of(candidate.service)
        at.create()
        identity = release_id(candidate.service, candidate.run, candidate.commit)
        with ledger.locked(at.deploying(identity), shared=True):
            return self._deploy(at, identity, candidate, say or _silent, cancel)

    def _deploy(
        self,
        at: ServiceLedger,
        identity: str,
        candidate: Candidate,
        tell: Say,
        cancel: threading.Event | None,
    ) -> Release:
        known = at.read(identity)
        if known is not None and known.live_at is not None:
            return known
        self._check_port(at, candidate.port)
        release = at.begin(_new(identity, candidate))
        if release.live_at is not None:
            return release
        try:
            self._prepare(at, release, candidate, tell, cancel)
            at.change_state(timing=candidate.timing)
            request = {"op": "deploy", "release": identity}
            patience = candidate.timing.healthy_within + candidate.timing.drain + 60
            answer = self._ask(at, request, candidate.port, tell, cancel, patience)
        except (ShipwayError, OSError) as error:
            self._note_failure(at, identity, error)
            raise
        self._prune(at)
        return Release.from_dict(answer)

    def rollback(self, service: str, *, say: Say | None = None) -> Release:
        """Return to the recorded last good release before the live one.

        A stopped service comes back with its last good release. NotFoundError without any.
        """
        at = self._known(service)
        state = at.state()
        if not state.line:
            raise NotFoundError(
                f"{service} has no good release to return to", hint="deploy one first"
            )
        if state.stopped:
            at.change_state(stopped=False, reason=None)
            return Release.from_dict(self._ask(at, {"op": "restore"}, 0, say, None, 120))
        return Release.from_dict(self._ask(at, {"op": "rollback"}, 0, say, None, 120))

    def stop(self, ref: str | None = None, *, all: bool = False) -> Found:  # noqa: A002
        """Stop a service (its name), or a release; with ``all`` and no name whatever is deployed.

        Afterwards no process, socket or pid file is left; the records stay, as stopped. Returns
        what was stopped; raises NotFoundError.
        """
        if ref is None:
            if not all:
                raise UsageError("say what to stop: a release, a service, or everything")
            stopped = [one for at in self._ledger.services() for one in self._stop_service(at)]
            return sorted(stopped, key=lambda one: one.created_at)
        for service in self._ledger.services():
            if service.service == ref:
                return self._stop_service(service, only=service.state().live)
        at, release = self._ledger.find(ref)
        if at.state().live == release.id:
            return self._stop_service(at, only=release.id)
        if release.status is Status.STARTING and supervised(at):
            control.call(at.directory, {"op": "abort", "release": release.id})
        line = tuple(one for one in at.state().line if one != release.id)
        at.change_state(line=line)
        return [at.change(release.id, status=Status.STOPPED, pid=None)]

    def heal(self, *, say: Say | None = None) -> Sequence[Healed]:
        """Find services whose supervisor died, clear up behind it and restore the last good release.

        Cheap when all is well: one lock is tried per service.
        """
        return [
            healed
            for at in self._ledger.services()
            if not supervised(at) and (healed := self._heal(at, say)) is not None
        ]

    # -- parts of deploy --------------------------------------------------------------------------

    @staticmethod
    def _check_port(at: ServiceLedger, port: int) -> None:
        """A service that runs keeps its port."""
        state = at.state()
        if port and state.live is not None and state.port != port:
            raise ConflictError(
                f"{at.service} is live on port {state.port}, not on {port}",
                hint=f"leave the port out, or stop it first: shipway release stop {state.live}",
            )

    def _prepare(
        self,
        at: ServiceLedger,
        release: Release,
        candidate: Candidate,
        say: Say,
        cancel: threading.Event | None,
    ) -> None:
        """Tree, environment, secrets: everything that the start needs, each made once and whole."""
        tree = at.release_directory(release.id) / "tree"
        say("writing the release's files")
        _fill(tree, candidate.fill)
        described = _describe(tree)
        python = self._environment(at, tree, described, say, cancel)
        wanted = {
            name: kind for name, kind in candidate.secrets.items() if name in described.environment
        }
        with ledger.locked(at.directory / "secrets.lock"):
            made = secrets_file.complete(at.secrets, wanted)
        if made:
            say(f"made {', '.join(made)}; see {at.secrets}")
        at.begin(
            release,
            start=tuple(described.start),
            health_path=described.health,
            environment=tuple(described.environment),
            python=str(python),
        )

    def _environment(
        self,
        at: ServiceLedger,
        tree: Path,
        described: ServiceFile,
        say: Say,
        cancel: threading.Event | None,
    ) -> Path:
        names = described.requirements
        if names is None:
            names = [one for one in ("requirements.txt",) if (tree / one).is_file()]
        files = [_inside(tree, name) for name in names]
        if not files:
            return Path(getattr(sys, "_base_executable", "") or sys.executable)
        if self._environments is None:
            raise ConfigurationError(
                "this release needs an environment, and nothing here can build one",
                hint="deploy it with `shipway run`",
            )
        say("building the release's environment")
        built = self._environments.build(files, say=say, cancel=cancel)
        return environment.keep(built.path, at.environments)

    @staticmethod
    def _note_failure(at: ServiceLedger, identity: str, error: Exception) -> None:
        release = at.get(identity)
        if release.status is Status.STARTING and not isinstance(error, control.UnreachableError):
            reason = error.message if isinstance(error, ShipwayError) else str(error)
            at.change(identity, status=Status.FAILED, reason=reason, ended_at=now())

    def _prune(self, at: ServiceLedger) -> None:
        """Keep the trees of the newest releases and of every one that can still be returned to."""
        line = set(at.state().line[-self._keep :])
        for old in at.all()[: -self._keep]:
            if old.id not in line and old.status not in {Status.LIVE, Status.STARTING}:
                shutil.rmtree(at.release_directory(old.id) / "tree", ignore_errors=True)
        kept = tuple(one for one in at.state().line if one in line)
        if kept != at.state().line:
            at.change_state(line=kept)
        known = at.all()
        if any(one.status is Status.STARTING for one in known):
            return  # it may be about to use an environment that its record does not name yet
        trees = [one for one in known if (at.release_directory(one.id) / "tree").exists()]
        environment.drop_unused(at.environments, {Path(one.python) for one in trees})

    # -- the supervisor ---------------------------------------------------------------------------

    def _ask(
        self,
        at: ServiceLedger,
        request: dict[str, Any],
        port: int,
        say: Say | None,
        cancel: threading.Event | None,
        patience: float,
    ) -> dict[str, Any]:
        """Hand a request to the service's supervisor, which is started when there is none."""
        for _ in range(3):  # it may be just leaving, or be killed: every request can be repeated
            self._ensure(at, port)
            try:
                return control.call(at.directory, request, say=say, cancel=cancel, timeout=patience)
            except control.UnreachableError:
                _wait_gone(at, 2.0)
        raise ServiceUnhealthyError(
            f"the supervisor of {at.service} does not stay up",
            hint=f"read the end of {at.supervisor_log}",
        )

    def _ensure(self, at: ServiceLedger, port: int) -> None:
        with ledger.locked(at.directory / "client.lock"):
            if supervised(at):
                return
            processes.end_marked(at.releases)
            _start(self.home, at, port)

    def _heal(self, at: ServiceLedger, say: Say | None) -> Healed | None:
        """What a dead supervisor left is ended; a deploy that it did not finish is recorded as failed."""
        with ledger.locked(at.directory / "client.lock"):
            if supervised(at):
                return None
            processes.end_marked(at.releases)
            _clear(at)
            for release in at.all():
                if release.status is Status.STARTING and not _held(
                    at.deploying(release.id), fcntl.LOCK_EX
                ):
                    reason = "the deploy was interrupted"
                    at.change(
                        release.id, status=Status.FAILED, pid=None, ended_at=now(), reason=reason
                    )
        live = at.state().live
        if live is None:
            return None
        return self._restore(at, live, say)

    def _restore(self, at: ServiceLedger, live: str, say: Say | None) -> Healed:
        found = f"the supervisor of {at.service} had died"
        try:
            restored = Release.from_dict(self._ask(at, {"op": "restore"}, 0, say, None, 120))
        except ShipwayError as error:
            message = f"{found}, and {live} could not be restored: {error.message}"
            return Healed(at.service, None, message, restored=False)
        if restored.id == live:
            message = f"{found}; {live} is live again on {restored.url}"
        else:
            message = f"{found}; {live} did not start, {restored.id} is live on {restored.url}"
        return Healed(at.service, restored.id, message, restored=True)

    def _stop_service(self, at: ServiceLedger, only: str | None = None) -> Found:
        live = at.state().live
        holder = _holder(at)
        if supervised(at):
            # Unreachable: it is leaving already, or hangs. What follows waits, then ends it.
            with contextlib.suppress(control.UnreachableError, AgentTimeoutError):
                control.call(at.directory, {"op": "stop"}, timeout=_GONE_SECONDS)
            if not _wait_gone(at, _GONE_SECONDS, holder) and holder is not None:
                processes.signal_exactly(*holder, signal.SIGKILL)
                _wait_gone(at, 5.0, holder)
        with ledger.locked(at.directory / "client.lock"):
            if supervised(at):
                raise PipelineError(
                    f"the supervisor of {at.service} cannot be stopped",
                    hint=f"read the end of {at.supervisor_log}",
                )
            processes.end_marked(at.releases)
            _clear(at)
            at.change_state(stopped=True)
        concerned = [
            one
            for one in at.all()
            if (one.id == live if only else one.status in _RUNNABLE or one.id == live)
        ]
        return [
            at.change(one.id, status=Status.STOPPED, pid=None, reason="stopped on request")
            for one in concerned
        ]

    def _known(self, service: str) -> ServiceLedger:
        at = self._ledger.of(service)
        if not at.directory.is_dir():
            raise NotFoundError(
                f"there is no service {service}", hint="`shipway release list` shows them all"
            )
        return at


_RUNNABLE = frozenset({Status.STARTING, Status.LIVE, Status.STANDBY})


def supervised(at: ServiceLedger) -> bool:
    """Whether a supervisor lives: it holds its lock until the kernel takes it away."""
    return _held(at.supervisor_lock)


def _held(lock: Path, test: int = fcntl.LOCK_SH) -> bool:
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, test | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)


def _wait_gone(at: ServiceLedger, seconds: float, holder: tuple[int, int] | None = None) -> bool:
    """Wait until the lock is free and the process that ``holder`` names is no more."""
    deadline = time.monotonic() + seconds
    while supervised(at) or (holder and processes.start_time(holder[0]) == holder[1]):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def _start(home: Path, at: ServiceLedger, port: int) -> None:
    """Start a supervisor in the background; raises ConflictError when its port cannot be had."""
    state = at.state()
    wanted = port or state.port
    words = [
        sys.executable,
        "-s",
        "-P",
        "-m",
        "shipway.release.supervisor",
        str(home),
        at.service,
        str(wanted),
    ]
    variables = {**os.environ, "PYTHONPATH": str(_ROOT)}
    try:
        done = subprocess.run(
            words,
            env=variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_START_SECONDS,
            check=False,
        )
        answer = json.loads(done.stdout.splitlines()[-1])
    except (subprocess.TimeoutExpired, ValueError, IndexError) as error:
        raise ResourceError(
            f"the supervisor of {at.service} could not be started",
            hint=f"read the end of {at.supervisor_log}",
        ) from error
    if "error" in answer:
        raise ConflictError(answer["error"]["message"], hint=answer["error"]["hint"])


def _holder(at: ServiceLedger) -> tuple[int, int] | None:
    """Pid and start time of the supervisor that wrote the file, in this boot; together they are unique."""
    try:
        known = json.loads(at.supervisor_file.read_bytes())
        pid, began = int(known["pid"]), int(known["began"])
    except (OSError, ValueError, KeyError):
        return None
    return (pid, began) if known.get("boot") == processes.boot() else None


def _clear(at: ServiceLedger) -> None:
    """Remove what a dead supervisor left; the caller holds the client's lock."""
    at.supervisor_file.unlink(missing_ok=True)
    (at.directory / control.SOCKET).unlink(missing_ok=True)


def _fill(tree: Path, fill: Callable[[Path], None]) -> None:
    if tree.is_dir():
        return
    fresh = Path(tempfile.mkdtemp(prefix="tree.", dir=tree.parent))
    try:
        fill(fresh)
        fresh.rename(tree)
    except OSError:
        if not tree.is_dir():  # else somebody else who deploys it was quicker
            raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _describe(tree: Path) -> ServiceFile:
    path = _inside(tree, ServiceFile.PATH)
    if not path.is_file():
        raise ConfigurationError(
            f"the tree has no {ServiceFile.PATH}, which says how the service is started",
            hint="add one; the smallest: start: [python, -m, package]",
        )
    return ServiceFile.parse(path.read_bytes())


def _inside(tree: Path, name: str) -> Path:
    """A path in the tree, not outside it by a symbolic link."""
    path = tree / name
    if not path.resolve().is_relative_to(tree.resolve()):
        raise ConfigurationError(
            f"{ServiceFile.PATH} names a file outside the tree", hint="keep its paths inside"
        )
    return path


def _new(identity: str, candidate: Candidate) -> Release:
    return Release(
        id=identity,
        service=candidate.service,
        run=candidate.run,
        commit=candidate.commit,
        tree=candidate.tree,
        status=Status.STARTING,
        created_at=now(),
    )


def _silent(_: str) -> None:
    """Nobody watches."""
