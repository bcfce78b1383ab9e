"""A user's repository: what state it is in, and how its branch moves without losing anything."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from shipway.errors import CommandError, ConflictError, RepositoryError
from shipway.workspace.gitcommand import git, text
from shipway.workspace.hub import Hub

_OPERATIONS = {
    "MERGE_HEAD": "merge",
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
}
_AGAIN = "then `shipway run resume`"


@dataclass(frozen=True, slots=True)
class RepositoryFacts:
    """``branch`` is the one to work for and ``commit`` its tip; ``dirty`` says that there is more
    in the work tree than is committed, which Shipway does not use."""

    top: Path
    git_dir: Path
    bare: bool
    head: str | None
    branch: str
    commit: str
    dirty: bool
    default_branch: str


# -- looking ----------------------------------------------------------------------------------


def inspect(repository: Path, target: str | None) -> RepositoryFacts:
    """What Shipway needs to know before it works on a repository.

    Raises RepositoryError, with a hint, for a path that is no repository or not permitted, one
    that is shallow, partial or empty, in the middle of a merge or rebase, or without the branch.
    """
    git_dir = _git_dir(repository)
    common = Path(text(_ask(git_dir, "rev-parse", "--path-format=absolute", "--git-common-dir")))
    bare = text(_ask(git_dir, "rev-parse", "--is-bare-repository")) == "true"
    top = git_dir if bare else Path(text(git("rev-parse", "--show-toplevel", cwd=repository)))
    _refuse_unusable(git_dir, common)
    head = _head_branch(git_dir)
    branch = _branch(git_dir, head, target)
    status = ("status", "--porcelain", "--ignore-submodules=all")
    return RepositoryFacts(
        top=top,
        git_dir=git_dir,
        bare=bare,
        head=head,
        branch=branch,
        commit=text(_ask(git_dir, "rev-parse", f"refs/heads/{branch}^{{commit}}")),
        dirty=not bare and bool(git(*status, cwd=top, persons=True).stdout),
        default_branch=_default_branch(git_dir) or branch,
    )


def _ask(git_dir: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return git(*arguments, git_dir=git_dir)


def _git_dir(repository: Path) -> Path:
    """Find it as the user's own git would, with the owner check that our own git has switched off."""
    try:
        if not repository.is_dir():
            raise RepositoryError(
                f"there is no directory {repository}", hint="give the path of a git repository"
            )
        os.listdir(repository)  # noqa: PTH208 - asks for the permission, not for the names
    except PermissionError:
        raise RepositoryError(
            f"no permission to read {repository}", hint="run as a user who may read and write it"
        ) from None
    done = git(
        "rev-parse", "--absolute-git-dir",
        cwd=repository, persons=True, expect=(0, 128),
        extra={"GIT_CONFIG_COUNT": "0"},
    )  # fmt: skip
    if done.returncode == 0:
        return Path(text(done))
    said = done.stderr.decode(errors="replace")
    if "dubious ownership" in said:
        raise RepositoryError(
            f"{repository} belongs to another user",
            hint=f"if you trust it: git config --global --add safe.directory {repository}",
        )
    if "not a git repository" in said:
        raise RepositoryError(
            f"{repository} is not a git repository",
            hint="give the path of one, or make it one: git init, git add, git commit",
        )
    raise RepositoryError(
        f"{repository} cannot be read as a git repository: {said.strip().splitlines()[-1]}",
        hint="see `git status` there",
    )


def _refuse_unusable(git_dir: Path, common: Path) -> None:
    for mark, operation in _OPERATIONS.items():
        if (git_dir / mark).exists():
            raise RepositoryError(
                f"a {operation} is in progress in the repository",
                hint=f"finish it or give it up: git {operation} --continue or --abort",
            )
    if (common / "shallow").exists():
        raise RepositoryError(
            "the repository is shallow: its history is cut off", hint="git fetch --unshallow"
        )
    partial = git(
        "config", "--get-regexp", r"^remote\..*\.promisor$", git_dir=git_dir, expect=(0, 1)
    )
    if partial.stdout:
        raise RepositoryError(
            "the repository is a partial clone: some of its files are not there",
            hint="make a full clone of it",
        )
    for place in (common, common / "objects", common / "refs" / "heads"):
        if not os.access(place, os.R_OK | os.W_OK | os.X_OK):
            raise RepositoryError(
                f"no permission to write to {place}",
                hint="run as a user who may, or choose a clone of your own",
            )


def _head_branch(git_dir: Path) -> str | None:
    done = git("symbolic-ref", "-q", "HEAD", git_dir=git_dir, expect=(0, 1))
    return text(done).removeprefix("refs/heads/") or None


def _branch(git_dir: Path, head: str | None, target: str | None) -> str:
    branches = list(_branches(git_dir))
    if not branches and not target:
        raise RepositoryError(
            "the repository is empty: it has no commit", hint="make a first commit"
        )
    if target is None and head is None:
        raise RepositoryError(
            "HEAD is detached, so there is no branch to come back to", hint="name it with --target"
        )
    branch = target or head or ""
    if branch not in branches:
        some = ", ".join(branches[:8]) or "none, it has no commit"
        raise RepositoryError(
            f"the repository has no branch {branch}", hint=f"branches there: {some}"
        )
    return branch


def _branches(git_dir: Path) -> Iterator[str]:
    done = git("for-each-ref", "--format=%(refname)", "refs/heads/", git_dir=git_dir)
    for name in text(done).splitlines():
        yield name.removeprefix("refs/heads/")


def _default_branch(git_dir: Path) -> str | None:
    remote = "refs/remotes/origin/"
    done = git("symbolic-ref", "-q", f"{remote}HEAD", git_dir=git_dir, expect=(0, 1))
    if done.returncode == 0:
        return text(done).removeprefix(remote)
    branches = set(_branches(git_dir))
    return next((name for name in ("main", "master", "trunk") if name in branches), None)


def tip(repository: Path, target: str) -> str | None:
    """Where a branch is now, None when it is not there."""
    done = git(
        "rev-parse", "-q", "--verify", f"refs/heads/{target}^{{commit}}",
        cwd=repository, expect=(0, 1, 128),
    )  # fmt: skip
    return text(done) or None


def integrated(repository: Path, target: str, base: str | None, trailer: str) -> str | None:
    """The commit on the branch's first-parent line since ``base`` that carries this trailer."""
    if tip(repository, target) is None:
        return None
    key, _, value = trailer.partition(": ")
    since = [f"^{base}"] if base else []
    log = git(
        "log", "--first-parent", f"--format=%H %(trailers:key={key},valueonly,separator=%x20)",
        f"refs/heads/{target}", *since, "--",
        cwd=repository,
    )  # fmt: skip
    for line in log.stdout.decode(errors="replace").splitlines():
        commit, *values = line.split()
        if value in values:
            return commit
    return None


# -- moving -----------------------------------------------------------------------------------


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
    return bool(names - {".git"}) or (".git" in names and bool(list(_branches(path / ".git"))))


def publish(hub: Hub, repository: Path, target: str, new: str, expected: str | None) -> None:
    """Move a branch from ``expected`` to ``new``, and the work trees that have it checked out.

    Raises ConflictError when the branch is not at ``expected`` any more, RepositoryError when a
    work tree with it is not clean; nothing has changed then. If ``new`` is there already, it is
    only seen to that the work trees follow.
    """
    ref = f"refs/heads/{target}"
    _take_objects(hub, repository, new)
    now = tip(repository, target)
    if now == new:
        settle(repository, target)
        return
    if now != expected:
        raise _moved(target, now)
    trees = [tree for tree in _work_trees(repository) if tree.branch == ref]
    before = expected or _empty_tree(repository)
    for tree in _work_trees(repository):
        tree.refuse_if_rebasing(ref)
    for tree in trees:
        tree.refuse_if_unclean(before, new)
    _swap(repository, target, new, expected)
    for tree in trees:
        try:
            tree.follow(before, new)
        except CommandError as error:
            _swap(repository, target, expected, new)
            raise RepositoryError(
                f"the work tree {tree.path} changed while the branch was to move; it was left alone",
                hint=f"commit or stash what is there, {_AGAIN}",
            ) from error


def settle(repository: Path, target: str) -> list[Path]:
    """Bring along work trees that an interrupted publish left behind; idempotent.

    Such a tree still has the files and the index of an earlier commit of the branch. Returns the
    work trees that are neither at the tip nor at such a commit: they were left alone.
    """
    ref, now = f"refs/heads/{target}", tip(repository, target)
    left = []
    for tree in _work_trees(repository):
        if tree.branch != ref or now is None or tree.index_is(now):
            continue
        before = tree.commit_of_index(now)
        if before is None or tree.has_changes():
            left.append(tree.path)
        else:
            tree.follow(before, now)
    return left


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

    def commit_of_index(self, now: str) -> str | None:
        empty = _empty_tree(self.path)
        if self.index_is(empty):
            return empty
        recent = text(git("rev-list", "--first-parent", "-n", "50", now, cwd=self.path)).split()
        return next((commit for commit in recent[1:] if self.index_is(commit)), None)

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
