"""The user's repository: refused with a remedy, or its branch moves and nothing else is touched."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gitcalls import ENVIRONMENT, git
from shipway.errors import ConflictError, OverloadError, RepositoryError
from shipway.workspace import publishing
from shipway.workspace.git import (
    Hub,
    create_repository,
    inspect,
    integrated,
    publish,
    settle,
    tip,
)

Repository = Callable[..., Path]


@pytest.fixture
def repository(git_repository: Repository) -> Path:
    return git_repository({"a.txt": "one\n", "dir/b.txt": "b\n"})


@pytest.fixture
def candidate(repository: Path, tmp_path: Path) -> tuple[Hub, str, str]:
    """A hub, the base, and a commit on it that changes, adds and deletes a file."""
    return _candidate(repository, tmp_path)


def _candidate(repository: Path, tmp_path: Path) -> tuple[Hub, str, str]:
    base = git(repository, "rev-parse", "main")
    hub = Hub.create(tmp_path / "hub.git")
    hub.seed(repository, base)
    space = hub.checkout(base, tmp_path / "work")
    (space.path / "a.txt").write_text("two\n")
    (space.path / "new.txt").write_text("new\n")
    (space.path / "dir" / "b.txt").unlink()
    return hub, base, hub.capture(space, "feat: x\n\nShipway-Run: run-1\n", base).commit


# -- looking ----------------------------------------------------------------------------------


def test_facts_of_a_repository(repository: Path) -> None:
    (repository / "dir").mkdir(exist_ok=True)
    facts = inspect(repository / "dir", None)
    assert (facts.top, facts.branch, facts.head) == (repository, "main", "main")
    assert (facts.bare, facts.dirty, facts.default_branch) == (False, False, "main")
    assert facts.commit == git(repository, "rev-parse", "HEAD")
    (repository / "a.txt").write_text("not committed\n")
    assert inspect(repository, None).dirty


def test_a_bare_repository_is_welcome(repository: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "--quiet", "--bare", str(repository), "bare.git")
    facts = inspect(tmp_path / "bare.git", "main")
    assert (facts.bare, facts.branch) == (True, "main")


def _shallow(repository: Path, place: Path) -> Path:
    git(repository, "commit", "--quiet", "--allow-empty", "--message", "second")
    git(place, "clone", "--quiet", "--depth=1", f"file://{repository}", "shallow")
    return place / "shallow"


def _partial(repository: Path, place: Path) -> Path:
    git(repository, "config", "uploadpack.allowFilter", "true")
    git(place, "clone", "--quiet", "--filter=blob:none", f"file://{repository}", "partial")
    return place / "partial"


def _empty(repository: Path, place: Path) -> Path:
    git(place, "init", "--quiet", "--template=", "empty")
    return place / "empty"


def _detached(repository: Path, place: Path) -> Path:
    git(repository, "checkout", "--quiet", "--detach")
    return repository


def _no_repository(repository: Path, place: Path) -> Path:
    (place / "plain").mkdir()
    return place / "plain"


def _merging(repository: Path, place: Path) -> Path:
    git(repository, "checkout", "--quiet", "-b", "other")
    (repository / "a.txt").write_text("other\n")
    git(repository, "commit", "--quiet", "--all", "--message", "other")
    git(repository, "checkout", "--quiet", "main")
    (repository / "a.txt").write_text("mine\n")
    git(repository, "commit", "--quiet", "--all", "--message", "mine")
    environment = os.environ | ENVIRONMENT
    merge = ["git", "-C", repository, "merge", "other"]
    subprocess.run(merge, env=environment, capture_output=True, check=False)
    return repository


def _missing(repository: Path, place: Path) -> Path:
    return place / "missing"


@pytest.mark.parametrize(
    ("make", "message", "hint"),
    [
        (_shallow, "shallow", "--unshallow"),
        (_partial, "partial clone", "full clone"),
        (_empty, "no commit", "first commit"),
        (_detached, "detached", "--target"),
        (_no_repository, "not a git repository", "git init"),
        (_merging, "a merge is in progress", "--abort"),
        (_missing, "there is no directory", "path of a git repository"),
    ],
)
def test_a_repository_that_cannot_be_used_is_refused_with_a_remedy(
    repository: Path,
    tmp_path: Path,
    make: Callable[[Path, Path], Path],
    message: str,
    hint: str,
) -> None:
    place = tmp_path / "place"
    place.mkdir()
    with pytest.raises(RepositoryError, match=message) as caught:
        inspect(make(repository, place), None)
    assert hint in str(caught.value.hint)


def test_a_branch_that_is_not_there_is_named(repository: Path) -> None:
    with pytest.raises(RepositoryError, match="no branch release") as caught:
        inspect(repository, "release")
    assert caught.value.hint == "branches there: main"
    git(repository, "checkout", "--quiet", "--detach")
    assert inspect(repository, "main").branch == "main"


def test_no_permission_is_said(
    as_ordinary_user: Callable[[str], subprocess.CompletedProcess[str]], public_tmp: Path
) -> None:
    done = as_ordinary_user("""
import os, subprocess, tempfile
from pathlib import Path
from shipway.errors import RepositoryError
from shipway.workspace.git import create_repository, inspect
place = Path(tempfile.mkdtemp())
env = os.environ | {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b",
                    "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"}
repo = place / "repo"
subprocess.run(["git", "init", "-q", "-b", "main", repo], check=True, env=env)
subprocess.run(["git", "-C", repo, "commit", "-q", "--allow-empty", "-m", "x"], check=True, env=env)
inspect(repo, None)
(repo / ".git" / "objects").chmod(0o500)
for number, mode in ((1, 0o700), (2, 0o000)):
    repo.chmod(mode)
    try:
        inspect(repo, None)
    except RepositoryError as error:
        print(error.message.partition(str(place))[0], "|", error.hint)
repo.chmod(0o700)
(repo / ".git" / "objects").chmod(0o700)
place.chmod(0o500)
try:
    create_repository(place / "new", "main")
except RepositoryError as error:
    print(error.message.partition(str(place))[0], "|", error.hint)
place.chmod(0o700)
""")
    lines = done.stdout.splitlines()
    assert [line.partition("|")[0].strip() for line in lines] == [
        "no permission to write to",
        "no permission to read",
        "no repository can be made at",
    ], done.stderr


def test_a_repository_of_somebody_else_is_refused(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Git has a switch that makes it take every repository for somebody else's."""
    wrapper = tmp_path / "bin" / "git"
    wrapper.parent.mkdir()
    real = shutil.which("git")
    wrapper.write_text(f'#!/bin/sh\nGIT_TEST_ASSUME_DIFFERENT_OWNER=1 exec {real} "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{wrapper.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path))  # whose git may have been told to trust everything
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    with pytest.raises(RepositoryError, match="belongs to another user") as caught:
        inspect(repository, None)
    assert "safe.directory" in str(caught.value.hint)


# -- publishing -------------------------------------------------------------------------------


def test_a_checked_out_clean_tree_moves_along(
    repository: Path, candidate: tuple[Hub, str, str]
) -> None:
    hub, base, new = candidate
    (repository / "untracked.txt").write_text("mine\n")
    publish(hub, repository, "main", new, base)
    assert git(repository, "rev-parse", "main") == new
    assert git(repository, "status", "--porcelain") == "?? untracked.txt"
    assert (repository / "a.txt").read_text() == "two\n"
    assert not (repository / "dir" / "b.txt").exists()
    assert git(repository, "fsck", "--no-dangling") == ""
    publish(hub, repository, "main", new, base)
    assert git(repository, "rev-parse", "main") == new


def _edited(repository: Path) -> str:
    (repository / "a.txt").write_text("my own\n")
    return "not committed"


def _staged(repository: Path) -> str:
    (repository / "a.txt").write_text("my own\n")
    git(repository, "add", "a.txt")
    return "not committed"


def _in_the_way(repository: Path) -> str:
    (repository / "new.txt").write_text("my own\n")
    return "in the way"


@pytest.mark.parametrize("disturb", [_edited, _staged, _in_the_way])
def test_a_dirty_tree_is_never_touched(
    repository: Path, candidate: tuple[Hub, str, str], disturb: Callable[[Path], str]
) -> None:
    hub, base, new = candidate
    message = disturb(repository)
    before = git(repository, "status", "--porcelain")
    with pytest.raises(RepositoryError, match=message) as caught:
        publish(hub, repository, "main", new, base)
    assert "shipway run resume" in str(caught.value.hint)
    assert git(repository, "rev-parse", "main") == base
    assert git(repository, "status", "--porcelain") == before
    own = "new.txt" if disturb is _in_the_way else "a.txt"
    assert (repository / own).read_text() == "my own\n"


def test_a_dirty_tree_on_another_branch_does_not_matter(
    repository: Path, candidate: tuple[Hub, str, str]
) -> None:
    hub, base, new = candidate
    git(repository, "checkout", "--quiet", "-b", "elsewhere")
    (repository / "a.txt").write_text("my own\n")
    publish(hub, repository, "main", new, base)
    assert git(repository, "rev-parse", "main", "elsewhere").split() == [new, base]
    assert (repository / "a.txt").read_text() == "my own\n"


def test_a_linked_work_tree_moves_along_or_refuses(
    repository: Path, candidate: tuple[Hub, str, str], tmp_path: Path
) -> None:
    hub, base, new = candidate
    git(repository, "checkout", "--quiet", "-b", "elsewhere")
    linked = tmp_path / "linked tree"
    git(repository, "worktree", "add", "--quiet", str(linked), "main")
    (linked / "a.txt").write_text("my own\n")
    with pytest.raises(RepositoryError, match="linked tree"):
        publish(hub, repository, "main", new, base)
    git(linked, "checkout", "--quiet", "--", "a.txt")
    publish(hub, repository, "main", new, base)
    assert (linked / "a.txt").read_text() == "two\n"
    assert git(linked, "status", "--porcelain") == ""
    assert (repository / "a.txt").read_text() == "one\n"


def test_a_bare_repository_gets_the_commit(repository: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "--quiet", "--bare", str(repository), "bare.git")
    bare = tmp_path / "bare.git"
    hub, base, new = _candidate(bare, tmp_path)
    publish(hub, bare, "main", new, base)
    assert git(bare, "rev-parse", "main") == new


def test_a_branch_that_moved_is_not_overwritten(
    repository: Path, candidate: tuple[Hub, str, str]
) -> None:
    hub, base, new = candidate
    git(repository, "commit", "--quiet", "--allow-empty", "--message", "somebody else")
    theirs = git(repository, "rev-parse", "main")
    with pytest.raises(ConflictError, match=f"moved meanwhile: it is at {theirs[:12]}"):
        publish(hub, repository, "main", new, base)
    assert git(repository, "rev-parse", "main") == theirs


def test_the_users_hooks_and_programs_are_not_run(
    repository: Path, candidate: tuple[Hub, str, str], tmp_path: Path
) -> None:
    hub, base, new = candidate
    proof = tmp_path / "proof"
    hooks = repository / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("reference-transaction", "post-checkout", "post-index-change", "pre-commit"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {proof}\n")
        (hooks / name).chmod(0o755)
    git(repository, "config", "core.fsmonitor", f"touch {proof}; false")
    git(repository, "config", "commit.gpgSign", "true")
    inspect(repository, None)
    publish(hub, repository, "main", new, base)
    assert not proof.exists()
    assert (repository / "a.txt").read_text() == "two\n"


def test_a_new_repository_shows_its_files(tmp_path: Path) -> None:
    hub = Hub.create(tmp_path / "hub.git")
    space = hub.checkout(None, tmp_path / "work")
    (space.path / "README.md").write_text("hello\n")
    made = hub.capture(space, "feat: start", None).commit
    place = tmp_path / "new place" / "service"
    create_repository(place, "main")
    create_repository(place, "main")  # as after an interruption
    publish(hub, place, "main", made, None)
    assert (place / "README.md").read_text() == "hello\n"
    assert git(place, "status", "--porcelain", "--branch") == "## main"
    with pytest.raises(RepositoryError, match="something"):
        create_repository(place, "main")


def test_a_tree_that_changes_at_the_last_moment_is_left_alone(
    repository: Path, candidate: tuple[Hub, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hub, base, new = candidate
    swap = publishing._swap

    def while_swapping(*given: object) -> None:
        swap(*given)
        (repository / "a.txt").write_text("my own\n")

    monkeypatch.setattr(publishing, "_swap", while_swapping)
    with pytest.raises(RepositoryError, match="changed while the branch was to move"):
        publish(hub, repository, "main", new, base)
    assert git(repository, "rev-parse", "main") == base
    assert (repository / "a.txt").read_text() == "my own\n"
    assert git(repository, "status", "--porcelain") == "M a.txt"


@pytest.fixture
def cut_off(
    repository: Path, candidate: tuple[Hub, str, str], monkeypatch: pytest.MonkeyPatch
) -> tuple[Hub, str, str]:
    """A publish that ended between moving the branch and bringing the work tree along."""
    hub, base, new = candidate

    def die(*given: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(publishing._WorkTree, "follow", die)
        with pytest.raises(KeyboardInterrupt):
            publish(hub, repository, "main", new, base)
    assert git(repository, "rev-parse", "main") == new
    assert git(repository, "status", "--porcelain") != ""
    return candidate


def test_an_interrupted_publish_is_completed(
    repository: Path, cut_off: tuple[Hub, str, str]
) -> None:
    hub, base, new = cut_off
    publish(hub, repository, "main", new, base)
    assert git(repository, "status", "--porcelain") == ""
    assert (repository / "a.txt").read_text() == "two\n"
    assert list((repository / ".git").glob("shipway*")) == []


def test_an_interrupted_publish_is_completed_by_the_next_run(
    repository: Path, cut_off: tuple[Hub, str, str], tmp_path: Path
) -> None:
    hub, _, new = cut_off
    space = hub.checkout(new, tmp_path / "next")
    (space.path / "next.txt").write_text("next\n")
    following = hub.capture(space, "feat: next", new).commit
    publish(hub, repository, "main", following, new)
    assert git(repository, "status", "--porcelain") == ""
    assert (repository / "next.txt").read_text() == "next\n"


def test_settling_leaves_alone_what_a_person_did(
    repository: Path, cut_off: tuple[Hub, str, str]
) -> None:
    (repository / "a.txt").write_text("my own\n")
    assert settle(repository) == [repository]
    assert (repository / "a.txt").read_text() == "my own\n"


def test_a_revert_that_is_about_to_be_committed_is_not_taken_for_ours(
    repository: Path, candidate: tuple[Hub, str, str]
) -> None:
    hub, base, new = candidate
    publish(hub, repository, "main", new, base)
    git(repository, "revert", "--no-commit", new)
    before = git(repository, "status", "--porcelain")
    publish(hub, repository, "main", new, base)
    assert settle(repository) == []
    assert git(repository, "status", "--porcelain") == before


def test_many_publish_at_once_and_none_is_lost(
    repository: Path, candidate: tuple[Hub, str, str], tmp_path: Path
) -> None:
    hub, base, _ = candidate
    done: list[str] = []

    def work(number: int) -> None:
        space = hub.checkout(base, tmp_path / f"many-{number}")
        (space.path / f"file-{number}.txt").write_text("x\n")
        commit = hub.capture(space, f"feat: {number}", base).commit
        given = {"base": base, "commit": commit, "strategy": "merge", "message": f"feat: {number}"}
        while True:
            onto = tip(repository, "main")
            if onto is not None and not hub.has(onto):
                hub.seed(repository, onto)
            try:
                publish(hub, repository, "main", hub.combine(onto=onto, **given), onto)
            except ConflictError:
                continue
            done.append(commit)
            return

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 4
    assert len(list(repository.glob("file-*.txt"))) == 4
    assert git(repository, "status", "--porcelain") == ""
    assert git(repository, "rev-list", "--count", "--first-parent", f"{base}..main") == "4"


@pytest.fixture
def somebody_stands_still(repository: Path) -> Iterator[None]:
    """Another process has begun to publish, and does not go on: it was stopped."""
    holder = os.open(repository / ".git", os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(holder, fcntl.LOCK_EX)
    yield
    os.close(holder)


@pytest.mark.usefixtures("somebody_stands_still")
def test_who_stands_still_keeps_nobody_from_a_branch_that_no_work_tree_has(
    repository: Path, candidate: tuple[Hub, str, str]
) -> None:
    hub, base, new = candidate
    git(repository, "checkout", "--quiet", "--detach")
    publish(hub, repository, "main", new, base)
    assert git(repository, "rev-parse", "main") == new
    assert settle(repository) == []
    with pytest.raises(ConflictError, match="moved meanwhile"):
        publish(hub, repository, "main", hub.commit(hub.tree(base), (base,), "late"), base)


@pytest.mark.usefixtures("somebody_stands_still")
def test_who_stands_still_is_waited_for_a_while_where_a_work_tree_has_to_follow(
    repository: Path, candidate: tuple[Hub, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hub, base, new = candidate
    monkeypatch.setattr(publishing, "_PATIENCE_S", 0.1)
    with pytest.raises(OverloadError, match="another process"):
        publish(hub, repository, "main", new, base)
    assert git(repository, "rev-parse", "main") == base


def test_a_run_is_found_by_its_trailer(repository: Path, candidate: tuple[Hub, str, str]) -> None:
    hub, base, new = candidate
    assert integrated(repository, "main", base, "Shipway-Run: run-1") is None
    publish(hub, repository, "main", new, base)
    git(repository, "commit", "--quiet", "--allow-empty", "--message", "later")
    assert integrated(repository, "main", base, "Shipway-Run: run-1") == new
    assert integrated(repository, "main", base, "Shipway-Run: run-10") is None
    assert integrated(repository, "none", None, "Shipway-Run: run-1") is None
    assert tip(repository, "none") is None
