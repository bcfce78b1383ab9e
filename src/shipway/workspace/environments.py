"""Python environments for gates and candidates: built once in a fence, kept by digest, never moved."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from shipway.errors import CommandError, DependencyError, ResourceError, ShipwayError
from shipway.workspace import dated, interpreters, pipsettings, requirements
from shipway.workspace.fence import Command, Fence, Finished, Limits
from shipway.workspace.requirements import Requirements

_KIND = "venv-1"
_LIMITS = Limits(seconds=900, disk_mb=8192, file_mb=4096, processes=256, tmp_mb=2048)
# Old sources may be built for long: then what is there today has to do.
_DATED = Limits(seconds=300, disk_mb=8192, file_mb=4096, processes=256, tmp_mb=2048)
_POLL_S = 0.1
_UNUSED_S = 30 * 24 * 3600.0
_ASK = """
import sys, sysconfig
from importlib.metadata import PackageNotFoundError, version
print(sys.implementation.cache_tag, sys.version.replace("\\n", " "), sysconfig.get_platform())
try:
    print(version("pip").partition(".")[0])
except PackageNotFoundError:
    print(0)
print(sys.version_info[0])
print(sys.version_info[1])
"""
_PIP_THAT_INSTALLS_ELSEWHERE = 23  # knows --python: the environment needs no pip of its own

_FETCHED = re.compile(r"^(?:Collecting |Processing .*?/(?=[^/ ]+\.(?:whl|gz|zip)\b))(?P<name>\S+)")

if TYPE_CHECKING:
    from shipway.resilience.guard import Guard

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment at its place for good. In a fence it is readable and cannot change."""

    path: Path
    digest: str

    @property
    def python(self) -> Path:
        return self.bin("python")

    def bin(self, name: str) -> Path:
        """The place of a program of the environment, whether or not it is there."""
        return self.path / "bin" / name


class Environments:
    """Environments below a cache directory, shared by all processes on this machine.

    A finished one has a file beside it that says so, which nothing inside a fence can write: a
    build that was cut off is recognised by that, and done again.
    """

    def __init__(self, cache: Path, fence: Fence, python: Path) -> None:
        self._root = cache / "environments"
        self._downloads = cache / "pip"
        self._fence = fence
        self._python = python
        self._guard: Guard | None = None
        self._lock = threading.Lock()
        self._facts: str | None = None
        self._version = (0, 0)
        self._has_pip = False
        self._ours: Environments | None = None

    @property
    def ours(self) -> Environments:
        """With the Python that Shipway itself was given: what its own tools are pinned for."""
        return self._ours or self

    def build(
        self,
        files: Sequence[Path],
        *,
        before: str | None = None,
        say: Say | None = None,
        cancel: threading.Event | None = None,
    ) -> Environment:
        """An environment with all that the files ask for; from the cache when it was built before.

        With ``before``, a day, packages are taken as they were then. Raises CommandError with the
        end of the installer's output when it cannot be built, ResourceError on a full disk,
        RepositoryError or UnimplementedError for files that cannot be followed.
        """
        wanted = [requirements.read(path) for path in files]
        digest = self._digest(wanted, before)
        environment = Environment(self._root / digest[:24], digest)
        done = environment.path.with_suffix(".ready")
        if self._is_ready(environment, done):
            return environment
        self._root.mkdir(parents=True, exist_ok=True)
        with _lock(environment.path.with_suffix(".lock"), say, cancel):
            if not self._is_ready(environment, done):
                self._drop_unused()
                done.unlink(missing_ok=True)
                _remove(environment.path)
                self._make(environment, wanted, before, say, cancel)
                done.write_text(f"{digest}\n")
        return environment

    def suiting(self, requires: str, committed: datetime) -> Environments:
        """The same, but with the Python that a project at an old commit was written for.

        ``requires`` is the project's own word on Pythons. Without another one here it is ours.
        """
        self._ask()
        old = dated.is_old(committed, datetime.now(UTC))
        if not old and interpreters.allows(requires, self._version):
            return self
        there = {one.version: one for one in interpreters.found(self._python)}
        version = interpreters.suiting(
            self._version, there, requires, committed if old else None
        )  # fmt: skip
        if version == self._version or version not in there:
            return self
        found = Environments(self._root.parent, self._fence, there[version].path)
        found._ours = self.ours
        return found

    def others(self, requires: str, before: str | None) -> list[Other]:
        """With the newest and the oldest other Python that ``requires`` lets in, newest first.

        None that came out after the day ``before``, and each with the packages of a day when there
        were any for it.
        """
        self._ask()
        there = {one.version: one for one in interpreters.found(self._python)}
        chosen = interpreters.others(self._version, there, requires, before)
        found = []
        for version in chosen:
            other = Environments(self._root.parent, self._fence, there[version].path)
            other._ours = self.ours
            day = None if before is None else dated.ripe(before, version, datetime.now(UTC))
            found.append(Other(f"{version[0]}.{version[1]}", other, day))
        return found

    def day(self, committed: datetime) -> str | None:
        """The day whose packages a commit was written for; None when today's will do."""
        now = datetime.now(UTC)
        if not dated.is_old(committed, now):
            return None  # nobody has to be asked
        self._ask()
        return dated.day(committed, self._version, now)

    def _ask(self) -> str:
        """What our Python says of itself."""
        if self._facts is None:
            asked = subprocess.run(
                [self._python, "-I", "-c", _ASK],
                capture_output=True, check=False, text=True, timeout=30,
            )  # fmt: skip
            if asked.returncode:
                raise CommandError(
                    f"{self._python} does not run",
                    hint="set SHIPWAY_PYTHON to a Python 3.11 or newer",
                )
            facts, pip, major, minor = asked.stdout.splitlines()
            self._version = int(major), int(minor)
            self._has_pip = int(pip) >= _PIP_THAT_INSTALLS_ELSEWHERE
            self._facts = facts
        return self._facts

    def _digest(self, wanted: list[Requirements], before: str | None) -> str:
        parts = [_KIND, self._ask(), *([] if before is None else [before, "compiled"])]
        parts += [text for one in wanted for text in (one.text, one.constraints)]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    def _is_ready(self, environment: Environment, done: Path) -> bool:
        if not done.is_file() or not environment.python.exists():
            return False
        with contextlib.suppress(OSError):  # only tells how long ago it was used
            os.utime(done)
        return True

    # -- building -----------------------------------------------------------------------------

    def _make(
        self,
        environment: Environment,
        wanted: list[Requirements],
        before: str | None,
        say: Say | None,
        cancel: threading.Event | None,
    ) -> None:
        tell = say or (lambda _line: None)
        path = environment.path
        path.mkdir(mode=0o755)
        path.chmod(0o755)
        tell("creating a Python environment")
        bare = ["--without-pip"] if self._has_pip else []
        self._run([str(self._python), "-m", "venv", *bare, str(path)], environment, tell, cancel)
        # Files with hashes first, on their own: pip takes them for all files of a call or for none.
        for hashed in (True, False):
            group = [one for one in wanted if one.hashed is hashed and one.text]
            if group and before is not None and not hashed:
                self._install_dated(environment, group, before, tell, cancel)
            elif group:
                self._install(environment, group, tell, cancel)
        shutil.rmtree(path / ".shipway")

    def _install(
        self,
        environment: Environment,
        group: list[Requirements],
        tell: Say,
        cancel: threading.Event | None,
    ) -> None:
        inputs = environment.path / ".shipway"
        argv = [str(environment.python), "-m", "pip"]
        if self._has_pip:
            argv = [str(self._python), "-m", "pip", "--python", str(environment.python)]
        argv += ["install", "--progress-bar", "off", "--no-warn-script-location"]
        argv += ["--require-hashes"] if group[0].hashed else []
        for number, one in enumerate(group):
            argv += ["-r", str(_written(inputs / f"{number}.txt", one.text))]
            if one.constraints:
                argv += ["-c", str(_written(inputs / f"{number}-constraints.txt", one.constraints))]
        self._run(argv, environment, tell, cancel, cached=group[0].hashed)

    def _install_dated(
        self,
        environment: Environment,
        group: list[Requirements],
        before: str,
        tell: Say,
        cancel: threading.Event | None,
    ) -> None:
        """By an installer that knows when each package came out; nothing of it is kept."""
        installer = self.build([dated.LOCK], say=tell, cancel=cancel)
        inputs = environment.path / ".shipway"
        inputs.mkdir(exist_ok=True)
        files = [
            dated.Files(
                _written(inputs / f"{number}.txt", one.text),
                _written(inputs / f"{number}-constraints.txt", one.constraints)
                if one.constraints
                else None,
            )
            for number, one in enumerate(group)
        ]
        tell(f"installing packages as they were on {before}")
        argv = dated.command(installer.bin("uv"), environment.python, files, before)
        configuration = pipsettings.configuration()
        variables = dated.environment(inputs, pipsettings.environment(), configuration)
        self._fenced(argv, environment, variables, configuration, tell, cancel, limits=_DATED)

    def _run(
        self,
        argv: list[str],
        environment: Environment,
        tell: Say,
        cancel: threading.Event | None,
        *,
        cached: bool = False,
    ) -> None:
        """One step in the fence. Downloads are only kept where hashes say what they must be."""
        configuration = pipsettings.configuration()
        variables = pipsettings.environment()
        inputs = environment.path / ".shipway"
        inputs.mkdir(exist_ok=True)
        variables["PIP_CONFIG_FILE"] = str(_written(inputs / "pip.conf", configuration))
        if cached:
            self._downloads.mkdir(parents=True, exist_ok=True)
            variables["PIP_CACHE_DIR"] = str(self._downloads)
        else:
            variables["PIP_NO_CACHE_DIR"] = "1"
        self._fenced(argv, environment, variables, configuration, tell, cancel, cached=cached)

    def _fenced(
        self,
        argv: list[str],
        environment: Environment,
        variables: dict[str, str],
        configuration: str,
        tell: Say,
        cancel: threading.Event | None,
        *,
        cached: bool = False,
        limits: Limits = _LIMITS,
    ) -> None:
        command = Command(
            tuple(argv),
            environment.path,
            writable=(environment.path, self._downloads) if cached else (environment.path,),
            readable=tuple(pipsettings.readable(variables, configuration)),
            env=variables,
            network=True,
            limits=limits,
        )

        def install() -> None:
            done = self._fence.run(
                command, cancel=cancel, on_line=lambda line: _progress(line, tell)
            )
            if not done.ok:
                raise _failure(done)

        self._index().call_blocking(install, repeatable=True)

    def _index(self) -> Guard:
        """How packages are asked for; loaded when something is built, which most commands do not."""
        from shipway.resilience.ports import guard

        with self._lock:
            if self._guard is None:
                self._guard = guard("packages")
        return self._guard

    def _drop_unused(self) -> None:
        """Remove environments that nobody asked for in a month."""
        oldest = time.time() - _UNUSED_S
        for done in self._root.glob("*.ready"):
            if done.stat().st_mtime < oldest:
                done.unlink(missing_ok=True)
                _remove(done.with_suffix(""))


@dataclass(frozen=True, slots=True)
class Other:
    """Environments with another Python; ``day`` is the one whose packages go with it."""

    version: str
    environments: Environments
    day: str | None


def _written(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path


def _remove(path: Path) -> None:
    """Remove a directory at once for all who look, then its files at leisure."""
    if path.exists():
        gone = path.with_name(f"{path.name}.gone-{os.getpid()}-{time.monotonic_ns()}")
        path.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)


@contextlib.contextmanager
def _lock(path: Path, say: Say | None, cancel: threading.Event | None) -> Iterator[None]:
    """Held by one process at a time; the kernel lets go of it when that process dies."""
    with path.open("a") as handle:
        told = False
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if cancel is not None and cancel.is_set():
                    raise CommandError("building the environment was cancelled") from None
                if say is not None and not told:
                    say("waiting for another run that builds the same environment")
                    told = True
                time.sleep(_POLL_S)
        yield


def _progress(line: str, tell: Say) -> None:
    found = _FETCHED.match(line)
    if found:
        tell(f"fetching {found['name']}")
    elif line.startswith("Installing collected packages"):
        tell("installing packages")


#: How pip and uv say that nobody answered, or not now.
_NOBODY = re.compile(
    r"NewConnectionError|ConnectTimeoutError|ReadTimeoutError|ProtocolError|ProxyError"
    r"|Read timed out|Connection (?:refused|reset|aborted)|error sending request"
    r"|Max retries exceeded|HTTP error (?:429|5\d\d)|\b(?:429|5\d\d) (?:Server|Client) Error|dns error",
    re.IGNORECASE,
)


def _failure(done: Finished) -> ShipwayError:
    tail = done.tail()
    if "No space left on device" in tail:
        return ResourceError("the disk is full while an environment is built", hint="make room")
    said = [
        line
        for line in map(str.strip, tail.splitlines())
        if line.startswith(("ERROR:", "error:", "╰─▶"))
    ]
    reason = f"the command {done.why()}"
    if said:
        reason = said[-1].removeprefix("ERROR:").removeprefix("error:").removeprefix("╰─▶").strip()
    if not done.cancelled and _NOBODY.search(tail):
        return DependencyError(
            "the Python environment cannot be built: packages cannot be fetched now",
            hint="see that pip reaches its index from here: pip download --no-deps pip",
            details={"log_tail": tail},
        )
    return CommandError(
        f"the Python environment cannot be built: {reason}",
        hint="see that pip can install these requirements here: pip install -r FILE",
        details={"log_tail": tail},
    )
