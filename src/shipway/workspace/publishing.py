"""Moving a user's branch: by compare-and-swap, with its work trees, and nothing lost on the way."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from shipway.errors import (
    CommandError,
    ConflictError,
    OverloadError,
    RepositoryError,
    ShipwayError,
)
from shipway.workspace.gitcommand import git, text
from shipway.workspace.hub import Hub
from shipway.workspace.repository import branches, tip

_AGAIN = "then `shipway run resume`"
_PATIENCE_S = 60.0
_LOOK_EVERY = 0.02


def create_repository(path: Path, branch: str) -> None:
    """An empty repository, or the one that an interrupted attempt made already.

    Raises RepositoryError when something else is there.
    """
    if path.exists() and (not path.is_dir() or _is_taken(path)):
        raise RepositoryError(
            f"there is something at {path} already", hint="choose an empty directory"
        )
    try:
        path.mkdir(parents=True, exist_ok=True)
        git("init", "--quiet", "--template=", f"--initial-branch={branch}", path)
    except (PermissionError, CommandError) as error:
        raise RepositoryError(
            f"no repository can be made at {path}", hint="choose a directory that you may write to"
        ) from error


def _is_taken(path: Path) -> bool:
    names = {entry.name for entry in path.iterdir()}
    return bool(names - {".git"}) or (".git" in names and bool(list(branches(path / ".git"))))


def publish(hub: Hub, repository: Path, target: str, new: str, expected: str | None) -> None:
    """Move a branch from ``expected`` to ``new``, and the work trees that have it checked out.

    Raises ConflictError when the branch is not at ``expected`` any more, RepositoryError when a
    work tree with it is not clean; nothing has changed then. If ``new`` is there already, it is
    only seen to that the work trees follow.
    """
    _take_objects(hub, repository, new)
    if not _is_checked_out(repository, target):
        # No work tree has to follow, and compare-and-swap needs no lock: whoever stands still
        # in the middle of this keeps nobody waiting.
        if not _is_there(repository, target, new, expected):
            _refuse_rebases(repository, target)
            _swap(repository, target, new, expected)
        return
    with _exclusive(repository) as journal:
        _recover(repository, journal)
        if not _is_there(repository, target, new, expected):
            _move(repository, journal, target, new, expected)


def _is_there(repository: Path, target: str, new: str, expected: str | None) -> bool:
    """Whether the branch is at ``new`` already; raises ConflictError unless it is at ``expected``."""
    now = tip(repository, target)
    if now not in {new, expected}:
        raise _moved(target, now)
    return now == new


def _is_checked_out(repository: Path, target: str) -> bool:
    return any(tree.branch == f"refs/heads/{target}" for tree in _work_trees(repository))


def _refuse_rebases(repository: Path, target: str) -> None:
    for tree in _work_trees(repository):
        tree.refuse_if_rebasing(f"refs/heads/{target}")


def _move(repository: Path, journal: Path, target: str, new: str, expected: str | None) -> None:
    ref = f"refs/heads/{target}"
    before = expected or _empty_tree(repository)
    _refuse_rebases(repository, target)
    trees = [tree for tree in _work_trees(repository) if tree.branch == ref]
    for tree in trees:
        tree.refuse_if_unclean(before, new)
    _write_journal(journal, {"target": target, "before": before, "new": new})
    try:
        _swap(repository, target, new, expected)
        _follow_or_go_back(repository, trees, target, new, expected)
    except ShipwayError:
        journal.unlink()  # told in full: nothing is left half done
        raise
    journal.unlink()


def _follow_or_go_back(
    repository: Path, trees: list[_WorkTree], target: str, new: str, expected: str | None
) -> None:
    before = expected or _empty_tree(repository)
    for number, tree in enumerate(trees):
        try:
            tree.follow(before, new)
        except CommandError as error:
            _swap(repository, target, expected, new)
            for moved in trees[:number]:
                moved.follow(new, before)
            raise RepositoryError(
                f"the work tree {tree.path} changed while the branch was to move; "
                "it was left alone",
                hint=f"commit or stash what is there, {_AGAIN}",
            ) from error


def settle(repository: Path) -> list[Path]:
    """Bring along work trees that a publish left behind when it was cut off; idempotent.

    Returns those that somebody has changed meanwhile: they were left alone.
    """
    if not any(tree.branch for tree in _work_trees(repository)):
        return []
    with _exclusive(repository) as journal:
        return _recover(repository, journal)


def _recover(repository: Path, journal: Path) -> list[Path]:
    """Finish what the journal says was begun. Without a journal a work tree is a person's affair:
    an index that equals an older commit may well be a revert that they are about to commit."""
    try:
        begun = json.loads(journal.read_bytes())
    except FileNotFoundError:
        return []
    left = []
    ref, before, new = f"refs/heads/{begun['target']}", begun["before"], begun["new"]
    for tree in _work_trees(repository):
        if tree.branch != ref or tip(repository, begun["target"]) != new or tree.index_is(new):
            continue
        if tree.has_changes() or not tree.index_is(before):
            left.append(tree.path)
        else:
            tree.follow(before, new)
    journal.unlink()
    return left


def _write_journal(journal: Path, begun: dict[str, str]) -> None:
    partial = journal.with_suffix(".partial")
    with partial.open("w") as stream:
        stream.write(json.dumps(begun))
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(journal)


@contextlib.contextmanager
def _exclusive(repository: Path) -> Iterator[Path]:
    """One publish at a time in a repository; the kernel lets go when the process dies.

    Yields where the journal is kept: in the repository, so that any later run can finish it.
    """
    asked = git("rev-parse", "--path-format=absolute", "--git-common-dir", cwd=repository)
    common = Path(text(asked))
    handle = os.open(common, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _wait_for(handle)
        yield common / "shipway-publish.json"
    finally:
        os.close(handle)


def _wait_for(handle: int) -> None:
    """Raises OverloadError when whoever has the lock keeps it for too long: it may stand still."""
    give_up = time.monotonic() + _PATIENCE_S
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > give_up:
                raise OverloadError(
                    "another process has been publishing into this repository for a minute",
                    hint="see that it does not stand still, " + _AGAIN,
                ) from None
            time.sleep(_LOOK_EVERY)
        else:
            return


@dataclass(frozen=True, slots=True)
class _WorkTree:
    """A checkout of the user's. Their own configuration, such as filters, counts in it."""

    path: Path
    branch: str | None

    def refuse_if_rebasing(self, ref: str) -> None:
        git_dir = Path(text(git("rev-parse", "--absolute-git-dir", cwd=self.path)))
        for folder in ("rebase-merge", "rebase-apply"):
            head = git_dir / folder / "head-name"
            if head.is_file() and head.read_text().strip() == ref:
                raise RepositoryError(
                    f"the target branch is being rebased in {self.path}",
                    hint=f"finish or abort the rebase, {_AGAIN}",
                )
        if self.branch == ref and (git_dir / "MERGE_HEAD").exists():
            raise RepositoryError(
                f"a merge is in progress in {self.path}",
                hint=f"finish or abort the merge, {_AGAIN}",
            )

    def refuse_if_unclean(self, before: str, new: str) -> None:
        if self.has_changes() or not self.index_is(before):
            raise RepositoryError(
                f"{self.path} has the target branch checked out, with changes that are not committed",
                hint=f"commit or stash them, {_AGAIN}",
            )
        if self._read_tree("--dry-run", before, new, expect=(0, 128)).returncode:
            raise RepositoryError(
                f"files in {self.path} that git does not know are in the way of the new commit",
                hint=f"move them away, {_AGAIN}",
            )

    def follow(self, before: str, new: str) -> None:
        """Change files and index from one commit to another; raises CommandError, all or nothing."""
        self._read_tree(before, new)

    def has_changes(self) -> bool:
        """Whether files differ from the index; refreshes what git remembers of them first."""
        self._git("update-index", "-q", "--refresh", expect=(0, 1))
        changed = self._git("diff-files", "--quiet", "--ignore-submodules=all", expect=(0, 1))
        return changed.returncode != 0

    def index_is(self, commit: str) -> bool:
        if not text(self._git("ls-files", "--stage")):
            return commit == _empty_tree(self.path)
        if commit == _empty_tree(self.path):
            return False
        arguments = ("diff-index", "--cached", "--quiet", "--ignore-submodules=all", commit)
        return self._git(*arguments, expect=(0, 1)).returncode == 0

    def _read_tree(
        self, *arguments: str, expect: tuple[int, ...] = (0,)
    ) -> subprocess.CompletedProcess[bytes]:
        return self._git("read-tree", "-m", "-u", *arguments, expect=expect)

    def _git(
        self, *arguments: str, expect: tuple[int, ...] = (0,)
    ) -> subprocess.CompletedProcess[bytes]:
        return git(*arguments, cwd=self.path, persons=True, expect=expect)


def _work_trees(repository: Path) -> Iterator[_WorkTree]:
    listed = git("worktree", "list", "--porcelain", "-z", cwd=repository).stdout
    for block in listed.split(b"\0\0"):
        words = [line.partition(b" ") for line in block.split(b"\0") if line]
        facts = {key: value for key, _, value in words}
        if b"worktree" not in facts or b"bare" in facts or b"prunable" in facts:
            continue
        branch = os.fsdecode(facts[b"branch"]) if b"branch" in facts else None
        yield _WorkTree(Path(os.fsdecode(facts[b"worktree"])), branch)


def _empty_tree(repository: Path) -> str:
    return text(git("hash-object", "-t", "tree", "-w", "--stdin", cwd=repository))


def _take_objects(hub: Hub, repository: Path, commit: str) -> None:
    git(
        "fetch",
        "--quiet",
        "--no-tags",
        "--no-write-fetch-head",
        "--no-auto-maintenance",
        str(hub.path.resolve()),
        commit,
        cwd=repository,
    )


def _swap(repository: Path, target: str, new: str | None, expected: str | None) -> None:
    """Compare-and-swap of a branch; None is a branch that is not there."""
    zero = "0" * len(new or expected or "")
    done = git(
        "update-ref", "--no-deref", "-m", "shipway: integrate",
        f"refs/heads/{target}", new or zero, expected or zero,
        cwd=repository, expect=(0, 1, 128),
    )  # fmt: skip
    if done.returncode == 0:
        return
    now = tip(repository, target)
    if now != expected:
        raise _moved(target, now)
    raise RepositoryError(
        f"the branch {target} cannot be moved: {done.stderr.decode(errors='replace').strip()}",
        hint=f"see that nothing else holds the repository, {_AGAIN}",
    )


def _moved(target: str, now: str | None) -> ConflictError:
    return ConflictError(
        f"the branch {target} moved meanwhile: it is at {now[:12] if now else 'no commit'}",
        hint="run again on the new tip",
        details={"target": target, "now": now},
    )
