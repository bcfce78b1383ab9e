"""A backup holds the database and the files that belong to it, each looked at, also while all moves."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from scripted import House, WorkResult

from servers import Postgres
from shipway.config import Settings, load_settings
from shipway.domain.states import RunStatus
from shipway.engine.housekeeping import DAY, Housekeeping, is_still
from shipway.engine.keeper import Keeper
from shipway.errors import ConfigurationError, ConflictError, UsageError
from shipway.secrets import Secret
from shipway.workspace.hub import Hub


@pytest.fixture
def small(settings: Settings) -> Iterator[House]:
    """On SQLite: what is tested does not depend on the database."""
    made = House(settings.model_copy(update={"keep_newest_runs": 1}))
    yield made
    made.close()


@pytest.fixture
def elsewhere(tmp_path: Path, postgres_server: Postgres) -> Iterator[Callable[..., Settings]]:
    """Settings of a new place with an empty database of a kind."""
    urls: list[str] = []

    def make(kind: str = "sqlite") -> Settings:
        home = tmp_path / f"elsewhere-{kind}"
        home.mkdir()
        if kind == "postgresql":
            urls.append(postgres_server.create())
        return load_settings(home=home, database_url=Secret(urls[-1]) if urls else None)

    yield make
    for url in urls:
        postgres_server.drop(url)


def backup(house: House, file: Path):
    keeper = Keeper(house.settings)
    try:
        return keeper.backup(file, portable=False)[1]
    finally:
        keeper.close()


def restore(settings: Settings, file: Path):
    keeper = Keeper(settings)
    try:
        return keeper.restore(file)
    finally:
        keeper.close()


def fill(house: House) -> str:
    """A run that ended, with what lies in its folder, and a repository that we made."""
    house.engine()
    run = house.submit()
    house.until(run)
    places, hub = house.places, Hub.create(house.places.hub(run))
    made = hub.checkout(None, places.work(run, "1"))
    (made.path / "scratch").write_text("passing")
    commit = hub.capture(made, "first", None).commit
    ref = ["git", "-C", hub.path, "update-ref", "refs/shipway/first", commit]
    subprocess.run(ref, check=True)
    (hub.path / "refs" / "shipway" / "second.lock").touch()
    places.log(run, "plan", 1).parent.mkdir(parents=True, exist_ok=True)
    for number, stage in enumerate(("scaffold", "plan")):
        path = places.log(run, stage, 1)
        path.write_text(f"{stage} said\n")
        os.utime(path, (1000.25 + number / 2, 1000.25 + number / 2))
    places.evidence(run).write_text('{"a": 1}')
    shop = places.home / "repositories" / "shop"
    (shop / ".git").mkdir(parents=True)
    (shop / ".git" / "index.lock").touch()
    (shop / "poetry.lock").write_text("locked")
    (shop / "link").symlink_to("poetry.lock")
    return run


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_what_is_restored_serves_what_was_backed_up_and_goes_on(
    house: House, elsewhere, tmp_path: Path, kind: str
) -> None:
    run, begun, may_end = fill(house), threading.Event(), threading.Event()

    def wait(request, desk) -> WorkResult:
        begun.set()
        may_end.wait(30)
        return WorkResult()

    house.agent.script["e2e"] = wait
    under_way = house.submit()
    assert begun.wait(20)
    file = tmp_path / "made" / "file"
    saved = backup(house, file)
    may_end.set()
    assert saved.listed is not None
    assert (saved.listed.artifacts, saved.listed.absent) == (1, [])
    assert file.stat().st_mode & 0o777 == 0o600

    settings = elsewhere(kind)
    assert restore(settings, file).listed == saved.listed
    there = House(settings)
    found, before = there.queries.run(run), house.queries.run(run)
    assert (found.stages, found.artifacts) == (before.stages, before.artifacts)
    assert there.artifacts.read(found.requirement) == b"do it"
    assert there.queries.log(run) == house.queries.log(run) == b"scaffold said\nplan said\n"
    assert there.queries.evidence(run) == b'{"a": 1}'
    shown = subprocess.run(
        ["git", "-C", there.places.hub(run), "log", "--format=%s", "refs/shipway/first"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout == "first\n"
    assert not there.places.work(run).exists()
    assert (settings.home / "repositories" / "shop" / "link").read_text() == "locked"
    assert not {one.name for one in settings.home.rglob("*.lock")} & {"index.lock", "second.lock"}
    there.engine()
    assert there.until(under_way).summary.status is RunStatus.SUCCEEDED
    there.close()
    with pytest.raises(ConflictError, match="has runs already"):
        restore(settings, file)


def test_a_missing_and_a_bent_artifact_are_named_and_all_else_is_kept(
    small: House, elsewhere, tmp_path: Path
) -> None:
    small.engine()
    gone = small.artifacts.put(b"gone", "change.patch", "text/x-diff")
    bent = small.artifacts.put(b"bent", "plan.md", "text/markdown")
    nobodys = small.artifacts.put(b"nobody's", "x", "text/plain")
    run = small.submit(
        values={"change": gone.model_dump(mode="json"), "more": [bent.model_dump(mode="json")]}
    )
    small.until(run)
    small.artifacts.path(gone).unlink()
    for ref in (bent, nobodys):
        small.artifacts.path(ref).chmod(0o600)
        small.artifacts.path(ref).write_bytes(b"x" * ref.size)
    saved = backup(small, tmp_path / "file")
    assert saved.listed is not None
    assert saved.listed.artifacts == 1
    assert saved.listed.absent == [
        f"change.patch of run 1 is gone (sha256 {gone.sha256})",
        f"plan.md of run 1 was altered on disk (sha256 {bent.sha256})",
        f"an artifact that no run names was altered on disk (sha256 {nobodys.sha256})",
    ]
    settings = elsewhere()
    restored = restore(settings, tmp_path / "file")
    assert restored.listed == saved.listed


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A backup, and the run in it."""
    place = tmp_path_factory.mktemp("whole")
    house = House(load_settings(home=place))
    run = fill(house)
    backup(house, place / "file")
    house.close()
    return place / "file", run


def rewritten(source: Path, target: Path, change: Callable[[tarfile.TarInfo, bytes], object]):
    """The archive again, with each member as ``change`` makes it; None leaves it out."""
    with tarfile.open(source) as old, tarfile.open(target, "w") as new:
        for info in old.getmembers():
            file = old.extractfile(info) if info.isreg() else None
            data = b"" if file is None else file.read()
            found = change(info, data)
            if found is not None:
                info, data = found  # type: ignore[misc]  # noqa: PLW2901
                info.size = len(data)
                new.addfile(info, io.BytesIO(data))


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        ("bent", "artifacts/.* is altered"),
        ("missing", "artifacts/.* is missing"),
        ("link", "is altered"),
        ("outside", "outside the state directory"),
        ("shorter list", "list of files"),
        ("cut", "cannot be restored"),
        ("no list", "list of files is missing"),
    ],
)
def test_a_file_that_was_harmed_is_refused_with_what_is_wrong_and_nothing_is_written(
    whole: tuple[Path, str], elsewhere, tmp_path: Path, harm: str, says: str
) -> None:
    harmed = tmp_path / "harmed"

    def change(info: tarfile.TarInfo, data: bytes):
        is_artifact = info.name.startswith("artifacts/")
        if (harm, is_artifact) == ("bent", True):
            data = bytes(len(data))
        if (harm, is_artifact) == ("missing", True) or (harm, info.name) == (
            "no list",
            "list.jsonl",
        ):
            return None
        if harm == "link" and info.issym():
            info.linkname = "/etc/passwd"
        if harm == "outside" and is_artifact:
            info.name = "runs/../../there"
        if harm == "shorter list" and info.name == "list.jsonl":
            lines = data.splitlines(keepends=True)
            data = b"".join([*lines[:-2], lines[-1]])
        return info, data

    if harm == "cut":
        harmed.write_bytes(whole[0].read_bytes()[:-30000])
    else:
        rewritten(whole[0], harmed, change)
    settings = elsewhere()
    with pytest.raises(ConfigurationError, match=says):
        restore(settings, harmed)
    assert {one.name for one in settings.home.iterdir()} <= {"engine.lock"}


def test_files_that_are_in_the_way_stay_and_an_interrupted_restore_begins_anew(
    whole: tuple[Path, str], small: House, elsewhere
) -> None:
    file, run = whole
    settings = elsewhere()
    own = settings.home / "artifacts" / "ab" / "mine"
    own.parent.mkdir(parents=True)
    own.write_text("mine")
    with pytest.raises(ConflictError, match="files already"):
        restore(settings, file)
    assert own.read_text() == "mine"
    (settings.home / "restoring").touch()  # as a restore leaves it that was killed
    restore(settings, file)
    assert not own.exists()
    assert not (settings.home / "restoring").exists()
    assert (settings.home / "runs" / run / "evidence.json").exists()
    with pytest.raises(UsageError, match="among the files"):
        backup(small, small.places.home / "repositories" / "file")


def test_nothing_is_removed_while_a_backup_counts_on_it(
    small: House, elsewhere, tmp_path: Path
) -> None:
    run = fill(small)
    os.utime(small.artifacts.path(small.queries.run(run).requirement), (1, 1))
    words = [sys.executable, "-m", "shipway", "db", "backup", str(tmp_path / "file"), "--json"]
    making = subprocess.Popen(words, stdout=subprocess.PIPE)
    try:
        give_up = time.monotonic() + 60
        while not is_still(small.places):
            assert time.monotonic() < give_up
            time.sleep(0.001)
        making.send_signal(signal.SIGSTOP)
        assert is_still(small.places), "it ended before it could be stopped"
        late = Housekeeping(
            small.settings, small.database, small.artifacts, lambda: time.time() + 200 * DAY
        )
        assert (late.plan().artifacts, late.plan().folders) == (1, 1)
        assert list(late.files()) == []
        keeper = Keeper(small.settings)
        with pytest.raises(ConflictError, match="a backup is being made"):
            keeper.prune()
        keeper.close()
        making.send_signal(signal.SIGCONT)
        making.communicate(timeout=60)
    finally:
        making.kill()
        making.wait()
    assert making.returncode == 0
    assert sum(step.artifacts for step in late.files()) == 1
    saved = restore(elsewhere(), tmp_path / "file")
    assert saved.listed is not None
    assert (saved.listed.artifacts, saved.listed.absent) == (1, [])


def test_large_files_are_streamed(small: House, elsewhere, tmp_path: Path) -> None:
    run = fill(small)
    with small.places.patch(run).open("wb") as file:
        file.truncate(64 << 20)
    settings = elsewhere()
    tracemalloc.start()
    backup(small, tmp_path / "file")
    restore(settings, tmp_path / "file")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (settings.home / "runs" / run / "change.patch").stat().st_size == 64 << 20
    assert peak < 16 << 20
