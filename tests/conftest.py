"""What every test may use: a private home, a desk, repositories, the real command, no leftovers."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
import structlog
from pydantic import BaseModel

from nursery import COMMANDS, mothers
from shipway.agents.agent import Desk
from shipway.config import Settings
from shipway.contracts.envelope import Task
from shipway.engine.places import Places
from shipway.errors import BudgetError
from shipway.store.artifacts import ArtifactStore
from shipway.store.opening import prepare

ROOT = Path(__file__).resolve().parent.parent
WHEN = "2026-01-02T03:04:05+00:00"

#: Real PostgreSQL and Redis for whoever asks: ``postgres_url``, ``redis_url``.
pytest_plugins = ("servers",)


# -- one place for state, never the user's own ------------------------------------------------


@pytest.fixture(scope="session", autouse=True)
def _no_state_of_the_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or writes the state of the person who runs it; built environments are shared."""
    with pytest.MonkeyPatch.context() as patch:
        cache = os.environ.get("SHIPWAY_CACHE") or str(ROOT / ".cache" / "shipway")
        for name in [name for name in os.environ if name.startswith("SHIPWAY_")]:
            patch.delenv(name)
        patch.setenv("SHIPWAY_CACHE", cache)
        patch.setenv("SHIPWAY_CONFIG", os.devnull)
        patch.setenv("SHIPWAY_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _interrupts_are_heard() -> None:
    """A test run that was started in the background ignores Ctrl-C, and so would what it starts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(scope="session")
def _tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with Shipway's tables and nothing in them: a copy of it is made in a moment."""
    path = Places(tmp_path_factory.mktemp("tables")).database
    prepare(path).close()
    return path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, _tables: Path) -> Path:
    """A private state directory, also for commands that the test starts.

    It has its tables, which every process that finds none takes half a second to make.
    """
    path = tmp_path / "home"
    path.mkdir(mode=0o700)
    shutil.copy(_tables, Places(path).database)
    monkeypatch.setenv("SHIPWAY_HOME", str(path))
    return path


@pytest.fixture
def settings(home: Path) -> Settings:
    return Settings(home=home, cache=Path(os.environ["SHIPWAY_CACHE"]))


# -- an agent's desk --------------------------------------------------------------------------


@pytest.fixture
def artifacts(settings: Settings) -> ArtifactStore:
    """The store that a system on this home uses."""
    return ArtifactStore(Places(settings.home).artifacts)


@pytest.fixture
def make_desk(tmp_path: Path, settings: Settings, artifacts: ArtifactStore) -> Callable[..., Desk]:
    """Builds desks: ``make_desk("plan", request)``; the same hub and artifacts for all of a test.

    ``request`` is the contract's request model or a JSON object; any field of Task or Desk can be
    given by name (``attempt=2``, ``cancel=event``, ``say=lines.append``). The hub's path is free:
    who needs a hub creates it there.
    """
    count = 0

    def make(capability: str, request: BaseModel | Mapping[str, Any], **given: Any) -> Desk:
        nonlocal count
        count += 1
        work = tmp_path / "work" / str(count)
        work.mkdir(parents=True)
        body = request.model_dump(mode="json") if isinstance(request, BaseModel) else dict(request)
        stage, attempt = given.pop("stage", capability), given.pop("attempt", 1)
        run = given.pop("run", "run-under-test")
        task = Task(
            capability=capability,
            version=1,
            run=run,
            stage=stage,
            attempt=attempt,
            token=given.pop("token", count),
            agent=given.pop("agent", "default"),
            key=f"{run}/{stage}/{attempt}",
            traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            deadline=given.pop("deadline", None),
            request=body,
        )
        desk: dict[str, Any] = {
            "task": task,
            "artifacts": artifacts,
            "work": work,
            "hub": Places(settings.home).hub(run),
            "home": settings.home,
            "log": structlog.get_logger().bind(run=run, stage=stage, attempt=attempt),
            "say": lambda _line: None,
            "cancel": threading.Event(),
            "settings": settings,
            "budget": NoBudget(),
        }
        return GivenDesk(**(desk | given))

    return make


@dataclass(frozen=True)
class GivenDesk:
    """A desk on which everything lies already."""

    task: Task
    artifacts: ArtifactStore
    work: Path
    hub: Path
    home: Path
    log: Any
    say: Callable[[str], None]
    cancel: threading.Event
    settings: Settings
    budget: Any
    confirm: Callable[[], None] = lambda: None


class NoBudget:
    """A run that may spend nothing: most agents ask no model."""

    def left(self):
        return 0

    def reserve(self, model, most):
        raise BudgetError("there is no budget here")

    def settle(self, ticket, cost, tokens_in, tokens_out):
        raise AssertionError("nothing was reserved")


# -- repositories and the command -------------------------------------------------------------


def git(repository: Path, *arguments: str) -> str:
    """Run git as the tests' own author at a fixed time; nothing of the user's configuration counts."""
    environment = os.environ | {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "Ada",
        "GIT_AUTHOR_EMAIL": "ada@example.com",
        "GIT_AUTHOR_DATE": WHEN,
        "GIT_COMMITTER_NAME": "Ada",
        "GIT_COMMITTER_EMAIL": "ada@example.com",
        "GIT_COMMITTER_DATE": WHEN,
    }
    done = subprocess.run(
        ["git", "-C", str(repository), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, f"git {' '.join(arguments)}: {done.stderr}"
    return done.stdout.strip()


def write_tree(root: Path, files: Mapping[str, str | bytes | None]) -> None:
    """Write files below a directory; None removes one."""
    for name, content in files.items():
        path = root / name
        if content is None:
            path.unlink()
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


@pytest.fixture
def git_repository(tmp_path: Path) -> Callable[..., Path]:
    """Builds repositories: ``git_repository({"a.py": "..."}, [{"a.py": "second"}], name="shop")``.

    The first argument is the first commit, each further mapping of ``history`` one more on top.
    """

    def build(
        files: Mapping[str, str | bytes],
        history: Sequence[Mapping[str, str | bytes | None]] = (),
        *,
        name: str = "repository",
        branch: str = "main",
    ) -> Path:
        root = tmp_path / name
        root.mkdir(parents=True)
        git(root, "init", "--quiet", "--template=", f"--initial-branch={branch}")
        for number, change in enumerate((files, *history), start=1):
            write_tree(root, change)
            git(root, "add", "--all")
            git(root, "commit", "--quiet", "--allow-empty", "--message", f"change {number}")
        return root

    return build


@pytest.fixture
def shipway(home: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the command as a user would, in a process of its own: ``shipway("run", "list")``."""

    def run(
        *arguments: str, timeout: float = 90.0, env: Mapping[str, str] | None = None, **given: Any
    ) -> subprocess.CompletedProcess[str]:
        around = os.environ | {"PYTHONPATH": str(ROOT / "src")} | dict(env or {})
        return COMMANDS.run(["-m", "shipway", *arguments], env=around, timeout=timeout, **given)

    return run


# -- nothing may be left running --------------------------------------------------------------


def _is_ours(process: psutil.Process, marks: Sequence[str]) -> bool:
    """Whether a process works below one of the test's directories, whoever its parent is now."""
    try:
        words = [process.cwd(), *process.cmdline(), *process.environ().values()]
    except psutil.Error:
        return False
    return any(f"{mark}/" in word or word.endswith(mark) for word in words for mark in marks)


def _left_behind(before: set[psutil.Process], marks: Sequence[str]) -> list[psutil.Process]:
    me = psutil.Process()
    kept = {*before, me, *me.parents()}
    found = {process for process in me.children(recursive=True) if process not in kept}
    if marks:
        found |= {p for p in psutil.process_iter() if p not in kept and _is_ours(p, marks)}
    import servers  # the plugin above, which pytest wants to be the first to import

    found -= servers.processes()
    found = {process for process in found if process.pid not in mothers}
    return [process for process in found if _is_alive(process)]


def _is_alive(process: psutil.Process) -> bool:
    try:
        if "multiprocessing.resource_tracker" in process.cmdline():
            return False
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


@pytest.fixture(autouse=True)
def _nothing_left_running(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test that leaves a process behind fails, names it, and has it killed."""
    before = set(psutil.Process().children(recursive=True))
    yield
    marks = [str(request.node.funcargs["tmp_path"])] if "tmp_path" in request.fixturenames else []
    deadline = time.monotonic() + 3.0
    while (left := _left_behind(before, marks)) and time.monotonic() < deadline:
        time.sleep(0.05)
    names = []
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            names.append(f"{process.pid}: {' '.join(process.cmdline())[:200]}")
            process.kill()
    assert not names, f"left running: {names}"
