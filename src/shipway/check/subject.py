"""What is compared: finds base and head in a user's repository, and reads them without touching it."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from shipway.errors import CommandError, RepositoryError, UsageError, ValidationError
from shipway.workspace.git import Hub
from shipway.workspace.gitcommand import git, text
from shipway.workspace.repository import git_directory

BASE, HEAD = "refs/shipway/base", "refs/shipway/head"
_DEFAULTS = ("main", "master", "trunk", "develop")

_PLACES = ("refs/remotes/origin", "refs/heads")
_REMOTE = "refs/remotes/origin/HEAD"


class _Ref(NamedTuple):
    """What a symbolic ref leads to, and the upstream of a branch; "" is none."""

    target: str = ""
    upstream: str = ""


@dataclass(frozen=True, slots=True)
class Revised:
    """One side: its commit in our own repository, its tree, and what it is in words."""

    commit: str
    tree: str
    said: str


@dataclass(frozen=True, slots=True)
class Subject:
    """Base and head, in a bare repository of ours that borrows the user's objects.

    ``message`` is what the head's own commits say, newest first; ``notes`` is what a person should
    know about how it was read.
    """

    top: Path
    store: Path
    base: Revised
    head: Revised
    message: str
    notes: tuple[str, ...]

    def into(self, path: Path) -> Hub:
        """A hub with both commits and nothing else: no history, and no tie to the repository."""
        hub = Hub.create(path, object_format=_format(self.store))
        git(
            "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--depth=1",
            f"file://{self.store}", f"+{BASE}:{BASE}", f"+{HEAD}:{HEAD}",
            git_dir=hub.path,
        )  # fmt: skip
        return hub

    def paths(self) -> list[str]:
        """The changed files of the head, and those that are gone."""
        listed = git(
            "diff-tree", "-r", "-z", "--name-only", "--no-renames",
            self.base.commit, self.head.commit, git_dir=self.store,
        ).stdout  # fmt: skip
        return [os.fsdecode(path) for path in listed.split(b"\0") if path]

    def committed(self) -> datetime:
        """When the base was committed."""
        said = git("log", "-1", "--format=%ct", self.base.commit, git_dir=self.store)
        return datetime.fromtimestamp(int(text(said)), UTC)

    def read(self, path: str) -> bytes | None:
        """A file of the base, None when it has none there."""
        done = git(
            "cat-file", "blob", f"{self.base.commit}:{path}", git_dir=self.store, expect=(0, 128)
        )
        return done.stdout if done.returncode == 0 else None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person asked to be compared; all None is the working tree with its natural base.

    ``head`` is a branch, a commit or a range ``A..B``; ``patch`` is applied to the base.
    """

    base: str | None = None
    head: str | None = None
    patch: bytes | None = None


def find(repository: Path, wanted: Wanted, place: Path) -> Subject:
    """Both sides, written to a repository of ours in ``place``, which must not exist.

    Raises RepositoryError or UsageError with a hint for everything that cannot be compared.
    """
    return _Finder(repository, place).find(wanted)


def between(hub: Hub, base: str, head: str, place: Path) -> Subject:
    """Two commits of a hub of ours, in a repository that borrows from it; ``place`` must not exist."""
    store = _borrowing(hub.path, place, _format(hub.path))
    _name(store, base, head)
    sides = [
        Revised(commit, hub.tree(commit), f"{word} ({commit[:10]})")
        for word, commit in (("the base", base), ("the candidate", head))
    ]
    return Subject(hub.path, store, sides[0], sides[1], message="", notes=())


def _borrowing(source: Path, place: Path, object_format: str) -> Path:
    """A bare repository that borrows the objects of another: only here do we write."""
    Hub.create(place, object_format=object_format)
    (place / "objects" / "info").mkdir(exist_ok=True)
    (place / "objects" / "info" / "alternates").write_bytes(os.fsencode(source / "objects") + b"\n")
    return place.resolve()


def _name(store: Path, base: str, head: str) -> None:
    """Both sides by the names that they are fetched by."""
    refs = f"update {BASE} {base}\nupdate {HEAD} {head}\n"
    git("update-ref", "--stdin", git_dir=store, stdin=refs.encode())


class _Finder:
    def __init__(self, repository: Path, place: Path) -> None:
        self.git_dir = git_directory(repository)
        said = git(
            "rev-parse", "--is-inside-work-tree", "--show-object-format",
            "--path-format=absolute", "--git-common-dir", cwd=repository,
        )  # fmt: skip
        inside, self.format, common = text(said).split("\n", 2)
        # A git directory that is not called bare has no files to show either.
        self.bare = inside != "true"
        self.common = Path(common)
        self.top = (
            self.git_dir
            if self.bare
            else Path(text(git("rev-parse", "--show-toplevel", cwd=repository)))
        )
        self.trees: dict[str, str] = {}
        self.notes: list[str] = []
        self.current = self._refuse()
        self.store = _borrowing(self.common, place, self.format)

    def find(self, wanted: Wanted) -> Subject:
        start, head = wanted.base, wanted.head
        if head is not None and ".." in head:
            start, head = self._range(wanted, head)
        tip = self._commit(head) if head else self.current
        if wanted.patch is not None:
            base = self._given(start, tip) if start else (tip, "HEAD")
            return self._subject(base, self._patched(base[0], wanted.patch), "")
        if head is not None or self.bare:
            base = self._given(start, tip) if start else self._natural(tip, head)
            made = (tip, self._tree(tip), f"{head or 'HEAD'} ({tip[:10]})")
            return self._subject(base, made, self._messages(base[0], tip))
        base = self._given(start, tip) if start else self._natural(tip, None)
        return self._subject(base, self._working_tree(tip), self._messages(base[0], tip))

    # -- the user's repository ----------------------------------------------------------------

    def _refuse(self) -> str:
        """The commit that HEAD names, of a repository that can be worked with."""
        if (self.common / "shallow").exists():
            raise RepositoryError(
                "the repository is shallow: its history is cut off, so no base can be found",
                hint="git fetch --unshallow (in GitHub Actions: checkout with fetch-depth: 0)",
            )
        has = git(
            "rev-parse", "-q", "--verify", "HEAD^{commit}", git_dir=self.git_dir, expect=(0, 1, 128)
        )
        if has.returncode:
            raise RepositoryError(
                "the repository has no commits, so there is nothing to compare with",
                hint="make a first commit, then check what comes after it",
            )
        if (self.top / ".gitmodules").is_file():
            self.notes.append(
                "submodules are not checked out: their directories are empty for the gates"
            )
        if self._has_pointers():
            self.notes.append(
                "files in Git LFS are pointers for the gates: what they stand for is not fetched"
            )
        return text(has)

    def _has_pointers(self) -> bool:
        attributes = self.top / ".gitattributes"
        return attributes.is_file() and b"filter=lfs" in attributes.read_bytes()

    def _range(self, wanted: Wanted, words: str) -> tuple[str, str]:
        if wanted.base is not None:
            raise UsageError(
                "a range has a base already", hint="give the range alone, or --base and one commit"
            )
        start, _, end = words.partition("...") if "..." in words else words.partition("..")
        return start or "HEAD", end or "HEAD"

    def _commit(self, revision: str) -> str:
        if revision.startswith("-"):
            raise UsageError(f"{revision} is no revision", hint="name a branch, a tag or a commit")
        done = git(
            "rev-parse", "-q", "--verify", "--end-of-options", f"{revision}^{{commit}}",
            git_dir=self.git_dir, expect=(0, 1, 128),
        )  # fmt: skip
        if done.returncode:
            raise RepositoryError(
                f"the repository has no commit {revision}",
                hint="name a branch, a tag or a commit that is here; git fetch may bring it",
            )
        return text(done)

    def _tree(self, commit: str) -> str:
        if commit not in self.trees:
            self.trees[commit] = text(git("rev-parse", f"{commit}^{{tree}}", git_dir=self.store))
        return self.trees[commit]

    # -- the base -----------------------------------------------------------------------------

    def _given(self, start: str, tip: str) -> tuple[str, str]:
        """The named base, or where the head left it when it has moved on since."""
        asked = self._commit(start)
        fork = self._merge_base(asked, tip)
        if fork is None or fork == asked:
            return asked, start
        return fork, f"where it left {start}"

    def _merge_base(self, one: str, other: str) -> str | None:
        done = git("merge-base", one, other, git_dir=self.git_dir, expect=(0, 1))
        return text(done) or None

    def _natural(self, tip: str, head: str | None) -> tuple[str, str]:
        """Where the head left the branch that it will go to; itself when there is no such branch."""
        for name in self._targets(head):
            fork = self._merge_base(self._commit(name), tip)
            if fork is not None:
                return (
                    fork,
                    f"where it left {name.removeprefix('refs/heads/').removeprefix('refs/remotes/')}",
                )
        return tip, "HEAD"

    def _targets(self, head: str | None) -> list[str]:
        """Branches that the head may go to, the likeliest first: all in one look at the refs."""
        current = text(git("symbolic-ref", "-q", "HEAD", git_dir=self.git_dir, expect=(0, 1)))
        places = [f"{place}/{name}" for place in _PLACES for name in _DEFAULTS]
        refs = self._refs([*places, _REMOTE, *([current] if current else [])])
        branch = head or current.removeprefix("refs/heads/")
        remote = refs.get(_REMOTE, _Ref()).target
        default = remote.removeprefix("refs/remotes/origin/") if remote else None
        names = [default] if default else list(_DEFAULTS)
        found = [remote] if remote else [f"refs/remotes/origin/{name}" for name in names]
        if branch not in names:
            found += [f"refs/heads/{name}" for name in names]
        if head is None and current in refs and refs[current].upstream:
            found.append(refs[current].upstream)
        missing = [name for name in found if name not in refs]
        refs |= self._refs(missing) if missing else {}
        return [name for name in found if name in refs]

    def _refs(self, names: list[str]) -> dict[str, _Ref]:
        """Those of the refs that are there and lead to something."""
        said = git(
            "for-each-ref", "--format=%(refname)%00%(symref)%00%(upstream)", *names,
            git_dir=self.git_dir,
        )  # fmt: skip
        rows = [line.split("\0") for line in os.fsdecode(said.stdout).splitlines()]
        return {name: _Ref(target, upstream) for name, target, upstream in rows if name in names}

    # -- the head -----------------------------------------------------------------------------

    def _working_tree(self, tip: str) -> tuple[str, str, str]:
        """The files as they lie there: the user's own git reads them into an index of ours."""
        index = self.store / "index"
        own = self.git_dir / "index"
        if own.is_file():
            # With its time: a file changed in the second in which the index was written looks
            # unchanged to a newer index, and git compares its content only because of that time.
            shutil.copy2(own, index)
        extra = {
            "GIT_INDEX_FILE": str(index),
            "GIT_OBJECT_DIRECTORY": str(self.store / "objects"),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(self.common / "objects"),
            "GIT_WORK_TREE": str(self.top),
        }
        try:
            git(
                "add",
                "--all",
                "--",
                ".",
                git_dir=self.git_dir,
                cwd=self.top,
                persons=True,
                extra=extra,
            )
            tree = text(git("write-tree", git_dir=self.git_dir, cwd=self.top, extra=extra))
        except CommandError as error:
            raise RepositoryError(
                f"the working tree cannot be read: {error.message}",
                hint="see `git status` there, or name a commit to check",
            ) from error
        if tree == self._tree(tip):
            return tip, tree, f"the working tree, which is {self._branch()} ({tip[:10]}) unchanged"
        self.notes.append("the working tree is checked as it is, with what is not committed")
        return (
            self._own_commit(tree, tip),
            tree,
            f"the working tree on {self._branch()} ({tip[:10]}), with what is not committed",
        )

    def _branch(self) -> str:
        done = git("symbolic-ref", "-q", "--short", "HEAD", git_dir=self.git_dir, expect=(0, 1))
        return text(done) or "a detached HEAD"

    def _patched(self, base: str, patch: bytes) -> tuple[str, str, str]:
        index = {"GIT_INDEX_FILE": str(self.store / "index")}
        git("read-tree", base, git_dir=self.store, extra=index)
        done = git(
            "apply", "--cached", "--whitespace=nowarn", "-",
            git_dir=self.store, stdin=patch, expect=(0, 1, 128), extra=index,
        )  # fmt: skip
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            raise ValidationError(
                f"the patch does not apply to {base[:10]}: {said[0] if said else 'unknown'}",
                hint="make it with `git diff` from the top of the repository, or name its --base",
            )
        tree = text(git("write-tree", git_dir=self.store, extra=index))
        return self._own_commit(tree, base), tree, f"the patch on {base[:10]}"

    def _own_commit(self, tree: str, parent: str) -> str:
        return text(git("commit-tree", "-p", parent, tree, git_dir=self.store, stdin=b"checked\n"))

    def _messages(self, base: str, tip: str) -> str:
        done = git(
            "log", "--no-merges", "--format=%B%x00", f"{base}..{tip}", "--", git_dir=self.git_dir
        )
        return done.stdout.decode("utf-8", "replace")

    def _subject(self, base: tuple[str, str], head: tuple[str, str, str], message: str) -> Subject:
        _name(self.store, base[0], head[0])
        return Subject(
            top=self.top,
            store=self.store,
            base=Revised(base[0], self._tree(base[0]), f"{base[1]} ({base[0][:10]})"),
            head=Revised(*head),
            message=message,
            notes=tuple(self.notes),
        )


def _format(git_dir: Path) -> str:
    return text(git("rev-parse", "--show-object-format", git_dir=git_dir))
