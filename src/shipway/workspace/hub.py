"""The hub: a run's own bare repository, which workspaces are cloned from and results come back to."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from shipway.errors import NotFoundError, RepositoryError
from shipway.workspace import combining, contents
from shipway.workspace.gitcommand import EMAIL, NAME, git, text

Strategy = Literal["merge", "squash", "rebase", "fast-forward"]

_BRANCH = "refs/heads/work"
# Files are checked out and read back as the bytes they are: no line ends, keywords or filters.
_ATTRIBUTES = "* -text -ident -filter !eol !working-tree-encoding\n"
_NO_LOG = "[core]\n\tlogAllRefUpdates = false\n"
_HASH_HEX = {"sha1": 40, "sha256": 64}


@dataclass(frozen=True, slots=True)
class Workspace:
    """A throw-away clone. ``readable`` must be readable for git to work in it inside a fence."""

    path: Path
    commit: str | None
    readable: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Capture:
    """What a workspace's files became: a commit of ours, or the base itself if nothing changed."""

    base: str | None
    commit: str
    tree: str
    files: int
    insertions: int
    deletions: int
    diff: bytes

    @property
    def changed(self) -> bool:
        return self.files > 0


class Hub:
    """Ours alone: no command is ever run with it writable. Objects only ever come in."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, path: Path, *, object_format: str = "sha1") -> Hub:
        """A new hub, or the one that is there already: a repeated start is no fault."""
        path.parent.mkdir(parents=True, exist_ok=True)
        git("init", "--quiet", "--bare", "--template=", f"--object-format={object_format}", path)
        (path / "info").mkdir(exist_ok=True)
        (path / "info" / "attributes").write_text(_ATTRIBUTES)
        # By hand, since each ask of git costs milliseconds; git refuses a value that is there twice.
        config = path / "config"
        said = config.read_text().replace("filemode = false", "filemode = true")
        config.write_text(said if _NO_LOG in said else said + _NO_LOG)
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> Hub:
        """Raises NotFoundError when there is no hub."""
        if not (path / "HEAD").is_file():
            raise NotFoundError(f"the run's repository is gone: {path}")
        return cls(path)

    def seed(self, repository: Path, commit: str) -> None:
        """Take a commit and its history from a user's repository, which is only read.

        Raises RepositoryError when an object is missing there.
        """
        form = text(git("rev-parse", "--show-object-format", cwd=repository))
        if len(self._empty_tree()) != _HASH_HEX[form]:
            shutil.rmtree(self.path)
            Hub.create(self.path, object_format=form)
        done = git(
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-write-fetch-head",
            "--no-auto-maintenance",
            git("rev-parse", "--absolute-git-dir", cwd=repository).stdout.decode().strip(),
            f"+{commit}:refs/shipway/{commit}",
            git_dir=self.path,
            expect=(0, 1, 128),
        )
        if done.returncode:
            last = done.stderr.decode(errors="replace").strip().splitlines()
            raise RepositoryError(
                f"the history of {commit[:12]} cannot be read: {last[-1] if last else 'unknown'}",
                hint="run `git fsck` in the repository; a partial clone must be completed first",
            )

    def committed(self, commit: str) -> datetime:
        """When a commit was made, by its committer's clock."""
        said = git("log", "-1", "--format=%ct", commit, git_dir=self.path)
        return datetime.fromtimestamp(int(text(said)), UTC)

    def checkout(self, commit: str | None, into: Path) -> Workspace:
        """A throw-away clone at a commit, with refs, configuration and hooks of its own.

        ``into`` must not exist or be empty; None checks out nothing.
        """
        into.mkdir(parents=True, exist_ok=True)
        into.chmod(0o755)
        into = into.resolve()
        own = into / ".git"
        form = "sha1" if len(self._empty_tree()) == _HASH_HEX["sha1"] else "sha256"
        git("init", "--quiet", "--template=", f"--object-format={form}", into)
        for name in ("objects/info", "info"):
            (own / name).mkdir(parents=True, exist_ok=True)
        objects = self.path.resolve() / "objects"
        (own / "objects" / "info" / "alternates").write_text(f"{objects}\n")
        (own / "info" / "attributes").write_text(_ATTRIBUTES)
        settings = {"user.name": NAME, "user.email": EMAIL, "gc.auto": "0"}
        for key, value in settings.items():
            git("config", key, value, git_dir=own)
        git("symbolic-ref", "HEAD", _BRANCH, git_dir=own)
        if commit is not None:
            git("update-ref", _BRANCH, commit, git_dir=own)
            git("read-tree", "-m", "-u", commit, git_dir=own, extra={"GIT_WORK_TREE": str(into)})
        return Workspace(into, commit, (objects,))

    def capture(
        self, workspace: Workspace, message: str, base: str | None, *, when: datetime | None = None
    ) -> Capture:
        """Read a workspace's files with a git of ours and make them a commit on top of ``base``.

        Nothing below the workspace's ``.git`` is read. What counts is what git would add:
        ignored files stay behind, executable bits and links are kept, names may be any bytes.
        Raises AgentProtocolError for what must not come in: repositories inside the repository,
        links that leave it, single files of more than 100 MB.
        """
        with self._index() as extra:
            tree = contents.write_tree(self.path, workspace.path, base, extra)
        return self._captured(tree, message, base, when)

    def apply(
        self, base: str, patch: bytes, message: str, *, when: datetime | None = None
    ) -> Capture:
        """A patch as a commit on top of ``base``, in the object store alone.

        Raises ValidationError that says which file and line it does not fit, all or nothing.
        """
        with self._index() as extra:
            tree = contents.apply(self.path, base, patch, extra)
        return self._captured(tree, message, base, when)

    def _captured(
        self, tree: str, message: str, base: str | None, when: datetime | None
    ) -> Capture:
        before = base or self._empty_tree()
        if tree == (self.tree(base) if base else before):
            commit = base or self.commit(tree, (), message, when=when)
            return Capture(base, commit, tree, 0, 0, 0, b"")
        contents.refuse_links_out(self.path, before, tree)
        commit = self.commit(tree, (base,) if base else (), message, when=when)
        files, insertions, deletions = contents.count(self.path, before, commit)
        return Capture(base, commit, tree, files, insertions, deletions, self.diff(base, commit))

    def commit(
        self, tree: str, parents: tuple[str, ...], message: str, *, when: datetime | None = None
    ) -> str:
        """A commit by Shipway; no ref moves."""
        flags = [flag for parent in parents for flag in ("-p", parent)]
        return text(
            git("commit-tree", *flags, tree, git_dir=self.path, stdin=message.encode(), when=when)
        )

    def diff(self, base: str | None, commit: str) -> bytes:
        """The patch from one commit to another, with binary files; None is the empty tree."""
        return git(
            "diff-tree",
            "-p",
            "--binary",
            "--full-index",
            "--no-ext-diff",
            "--no-textconv",
            "--no-color",
            base or self._empty_tree(),
            commit,
            git_dir=self.path,
        ).stdout

    def changed(self, base: str, commit: str) -> list[tuple[str, bytes, bytes]]:
        """Status letter, path on the base and path on the commit of every changed file."""
        raw = git(
            "diff-tree", "-r", "-z", "-M", "--name-status", base, commit, git_dir=self.path
        ).stdout
        fields = iter(raw.split(b"\0"))
        found = []
        for status in fields:
            if status:
                before = next(fields)
                after = next(fields) if status[:1] in b"RC" else before
                found.append((status.decode(), before, after))
        return found

    def patch(self, base: str, commit: str) -> bytes:
        """The patch without lines around changes, its files in the order of ``changed``."""
        return git(
            "diff-tree", "-p", "-r", "-M", "-U0", "--no-ext-diff", "--no-textconv", "--no-color",
            base, commit, git_dir=self.path,
        ).stdout  # fmt: skip

    def compose(self, onto: str, take: Mapping[str, str | None]) -> str:
        """A commit with the tree of ``onto``, but each path of ``take`` as another commit has it.

        None, or a commit without the path, leaves the path out.
        """
        zero = "0" * len(self._empty_tree())
        lines = []
        for path, commit in take.items():
            entry = b"" if commit is None else self._entry(commit, path)
            lines.append(entry or f"0 {zero}\t".encode() + os.fsencode(path))
        with self._index() as extra:
            git("read-tree", onto, git_dir=self.path, extra=extra)
            git(
                "update-index", "-z", "--index-info",
                git_dir=self.path, stdin=b"".join(line + b"\0" for line in lines), extra=extra,
            )  # fmt: skip
            tree = text(git("write-tree", git_dir=self.path, extra=extra))
        return self.commit(tree, (onto,), "composed of two trees")

    def _entry(self, commit: str, path: str) -> bytes:
        """A path as ``ls-tree`` tells it; empty when the commit has no such file."""
        listed = git(
            "--literal-pathspecs", "ls-tree", "-z", "--full-tree", commit, "--", path,
            git_dir=self.path,
        ).stdout.rstrip(b"\0")  # fmt: skip
        return listed if listed.split(b"\t")[-1] == os.fsencode(path) else b""

    def tree(self, commit: str) -> str:
        return self._resolve(f"{commit}^{{tree}}")

    def has(self, commit: str) -> bool:
        done = git("cat-file", "-e", f"{commit}^{{commit}}", git_dir=self.path, expect=(0, 1, 128))
        return done.returncode == 0

    def show(self, commit: str, path: str) -> bytes:
        """A file's bytes; raises NotFoundError when the commit has no such file."""
        done = git("cat-file", "blob", f"{commit}:{path}", git_dir=self.path, expect=(0, 128))
        if done.returncode:
            raise NotFoundError(f"{commit[:12]} has no file {path}")
        return done.stdout

    def combine(
        self,
        *,
        onto: str | None,
        base: str | None,
        commit: str,
        strategy: Strategy,
        message: str,
        when: datetime | None = None,
    ) -> str:
        """The commit that a branch at ``onto`` would move to; no ref moves, nothing is checked out.

        With fast-forward that is ``commit`` itself. Raises ConflictError that names each file and
        both sides.
        """
        return combining.combine(self, onto, base, commit, strategy, message, when)

    # -- inside -------------------------------------------------------------------------------

    def _resolve(self, revision: str) -> str:
        done = git("rev-parse", "--verify", "-q", revision, git_dir=self.path, expect=(0, 1, 128))
        if done.returncode:
            raise NotFoundError(f"the run's repository has no {revision}")
        return text(done)

    def _empty_tree(self) -> str:
        return text(git("hash-object", "-t", "tree", "-w", "--stdin", git_dir=self.path))

    @contextmanager
    def _index(self) -> Iterator[dict[str, str]]:
        """An index of our own, outside every workspace."""
        with tempfile.TemporaryDirectory(prefix="index-", dir=self.path) as folder:
            yield {"GIT_INDEX_FILE": str(Path(folder) / uuid.uuid4().hex)}
