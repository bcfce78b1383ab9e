"""A user's repository as it is: its state, its branches, and what of ours is on them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from shipway.errors import RepositoryError
from shipway.workspace.gitcommand import git, text

_OPERATIONS = {
    "MERGE_HEAD": "merge",
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
}


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


def inspect(repository: Path, target: str | None) -> RepositoryFacts:
    """What Shipway needs to know before it works on a repository.

    Raises RepositoryError, with a hint, for a path that is no repository or not permitted, one
    that is shallow, partial or empty, in the middle of a merge or rebase, or without the branch.
    """
    git_dir = git_directory(repository)
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


def git_directory(repository: Path) -> Path:
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
    known = list(branches(git_dir))
    if not known and not target:
        raise RepositoryError(
            "the repository is empty: it has no commit", hint="make a first commit"
        )
    if target is None and head is None:
        raise RepositoryError(
            "HEAD is detached, so there is no branch to come back to", hint="name it with --target"
        )
    branch = target or head or ""
    if branch not in known:
        some = ", ".join(known[:8]) or "none, it has no commit"
        raise RepositoryError(
            f"the repository has no branch {branch}", hint=f"branches there: {some}"
        )
    return branch


def branches(git_dir: Path) -> Iterator[str]:
    """The names of all local branches."""
    done = git("for-each-ref", "--format=%(refname)", "refs/heads/", git_dir=git_dir)
    for name in text(done).splitlines():
        yield name.removeprefix("refs/heads/")


def _default_branch(git_dir: Path) -> str | None:
    remote = "refs/remotes/origin/"
    done = git("symbolic-ref", "-q", f"{remote}HEAD", git_dir=git_dir, expect=(0, 1))
    if done.returncode == 0:
        return text(done).removeprefix(remote)
    known = set(branches(git_dir))
    return next((name for name in ("main", "master", "trunk") if name in known), None)


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
