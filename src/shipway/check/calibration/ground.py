"""A repository of ours that borrows a case's objects: trees are read, changed and committed in it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from shipway.errors import RepositoryError, ValidationError
from shipway.workspace.git import Hub
from shipway.workspace.gitcommand import git, text
from shipway.workspace.repository import git_directory


class Ground:
    """The case's repository is only read; everything new lies in ``path``."""

    def __init__(self, repository: Path, path: Path) -> None:
        source = git_directory(repository)
        shape = text(git("rev-parse", "--show-object-format", git_dir=source))
        common = text(
            git("rev-parse", "--path-format=absolute", "--git-common-dir", git_dir=source)
        )
        self.source = source
        self.path = Hub.create(path, object_format=shape).path.resolve()
        borrowed = self.path / "objects" / "info" / "alternates"
        borrowed.parent.mkdir(exist_ok=True)
        borrowed.write_bytes(os.fsencode(Path(common) / "objects") + b"\n")

    def commit(self, revision: str) -> str:
        """A revision of the case's repository as a commit id; raises RepositoryError."""
        done = git(
            "rev-parse", "-q", "--verify", "--end-of-options", f"{revision}^{{commit}}",
            git_dir=self.source, expect=(0, 1, 128),
        )  # fmt: skip
        if done.returncode:
            raise RepositoryError(
                f"the repository has no commit {revision}", hint="mend the case in the corpus"
            )
        return text(done)

    def stand(self, commit: str) -> None:
        """Let the repository be at a commit, as any that is checked is at one."""
        git("update-ref", "HEAD", commit, git_dir=self.path)

    def tree(self, commit: str) -> str:
        return text(git("rev-parse", f"{commit}^{{tree}}", git_dir=self.path))

    def committed(self, commit: str) -> datetime:
        """When a commit was made."""
        said = git("log", "-1", "--format=%ct", commit, git_dir=self.path)
        return datetime.fromtimestamp(int(text(said)), UTC)

    def message(self, base: str, head: str) -> str:
        """What the commits of a change say, for a copy of it."""
        done = git("log", "--no-merges", "--format=%B", f"{base}..{head}", git_dir=self.path)
        return done.stdout.decode("utf-8", "replace")

    def changed(self, base: str, head: str) -> list[tuple[str, str]]:
        """Each changed path with its letter: A, M, D or T; a rename is one of each."""
        raw = git(
            "diff-tree", "-r", "-z", "--no-renames", "--name-status", base, head, git_dir=self.path
        ).stdout
        fields = [os.fsdecode(one) for one in raw.split(b"\0") if one]
        return [(path, kind[:1]) for kind, path in zip(fields[::2], fields[1::2], strict=True)]

    def read(self, commit: str, path: str) -> bytes | None:
        """A file's bytes, None when the commit has no such file."""
        done = git("cat-file", "blob", f"{commit}:{path}", git_dir=self.path, expect=(0, 128))
        return done.stdout if done.returncode == 0 else None

    def lines(self, base: str, head: str, path: str) -> frozenset[int]:
        """The lines of the head's file that the change brought."""
        patch = git(
            "diff-tree", "-p", "-U0", "--no-renames", "--no-ext-diff", "--no-textconv",
            "--no-color", base, head, "--", path, git_dir=self.path,
        ).stdout.decode("utf-8", "replace")  # fmt: skip
        found: set[int] = set()
        for line in patch.splitlines():
            if line.startswith("@@"):
                start, _, count = line.split("+")[1].split(" ")[0].partition(",")
                found |= set(range(int(start), int(start) + int(count or "1")))
        return frozenset(found)

    def write(self, onto: str, files: Mapping[str, bytes | None], parent: str, said: str) -> str:
        """A commit on ``parent`` with the tree of ``onto``, but for these files; None removes one."""
        index = {"GIT_INDEX_FILE": str(self.path / "index.new")}
        git("read-tree", onto, git_dir=self.path, extra=index)
        lines = []
        for path, data in files.items():
            if data is None:
                lines.append(b"0 " + b"0" * len(parent) + b"\t" + os.fsencode(path))
                continue
            blob = text(git("hash-object", "-w", "--stdin", git_dir=self.path, stdin=data))
            mode = self._mode(onto, path)
            lines.append(f"{mode} {blob}\t".encode() + os.fsencode(path))
        git(
            "update-index", "-z", "--index-info", git_dir=self.path, extra=index,
            stdin=b"".join(line + b"\0" for line in lines),
        )  # fmt: skip
        return self._committed(index, parent, said)

    def apply(self, base: str, patch: bytes, said: str) -> str:
        """The patch as a commit on the base; raises ValidationError when it does not fit."""
        index = {"GIT_INDEX_FILE": str(self.path / "index.new")}
        git("read-tree", base, git_dir=self.path, extra=index)
        done = git(
            "apply", "--cached", "--whitespace=nowarn", "-",
            git_dir=self.path, stdin=patch, expect=(0, 1, 128), extra=index,
        )  # fmt: skip
        if done.returncode:
            raise ValidationError(
                "the patch of the case does not apply to its base",
                hint="make it with `git diff` from the top of the repository",
            )
        return self._committed(index, base, said)

    def _mode(self, commit: str, path: str) -> str:
        listed = git(
            "--literal-pathspecs", "ls-tree", "--full-tree", commit, "--", path, git_dir=self.path
        )
        return text(listed).split(" ")[0] or "100644"

    def _committed(self, index: dict[str, str], parent: str, said: str) -> str:
        tree = text(git("write-tree", git_dir=self.path, extra=index))
        made = git(
            "commit-tree", "-p", parent, tree, git_dir=self.path, stdin=said.encode() or b"change\n"
        )
        return text(made)
