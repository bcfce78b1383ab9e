"""Turns the files of a workspace into a tree: what comes in, what stays behind, what is refused."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from shipway.errors import AgentProtocolError, ValidationError
from shipway.workspace.gitcommand import git, printable, text

LARGEST_FILE = 100 << 20  # bytes; more than that does not belong into a repository
_LINK, _SUBMODULE = "120000", "160000"


def write_tree(hub: Path, workspace: Path, base: str | None, extra: dict[str, str]) -> str:
    """Add all files to the index that ``extra`` names and write its tree to the hub."""
    if base is not None:
        git("read-tree", base, git_dir=hub, extra=extra)
    extra = extra | {"GIT_WORK_TREE": str(workspace)}
    _refuse(hub, workspace, extra)
    git("add", "--all", "--", ".", git_dir=hub, cwd=workspace, extra=extra)
    return text(git("write-tree", git_dir=hub, extra=extra))


def apply(hub: Path, base: str, patch: bytes, extra: dict[str, str]) -> str:
    """The tree of ``base`` with a patch applied to its index; raises ValidationError."""
    git("read-tree", base, git_dir=hub, extra=extra)
    done = git(
        "apply", "--cached", "--whitespace=nowarn", "-",
        git_dir=hub, stdin=patch, expect=(0, 1, 128), extra=extra,
    )  # fmt: skip
    if done.returncode:
        raise _does_not_apply(done.stderr.decode(errors="replace"))
    return text(git("write-tree", git_dir=hub, extra=extra))


def _does_not_apply(said: str) -> ValidationError:
    errors = [line.removeprefix("error: ") for line in said.splitlines()]
    places = [line for line in errors if line.startswith("patch failed: ")]
    named = [line.removeprefix("patch failed: ") for line in places]
    # git says for each file first where, then once more that; files with another fault stand alone.
    failed = {place.rpartition(":")[0] for place in named}
    others = [line for line in errors if line not in places and line.split(":")[0] not in failed]
    hint = "make it with `git diff` from the top of the repository, on the present target branch"
    if any("No valid patches" in line or "corrupt patch" in line for line in others):
        return ValidationError(
            "the patch cannot be read: " + others[0], hint=hint, details={"stderr": said[-4000:]}
        )
    return ValidationError(
        "the patch does not apply: " + "; ".join([*(f"at {place}" for place in named), *others]),
        hint=hint,
        details={"stderr": said[-4000:]},
    )


def _refuse(hub: Path, workspace: Path, extra: dict[str, str]) -> None:
    """Refuse before git looks: git would run a nested repository's own configuration."""
    nested, large = _suspects(workspace)
    for path in _not_ignored(hub, workspace, nested, extra):
        raise AgentProtocolError(
            f"a repository inside the repository: {printable(path)}",
            hint="its files would be lost: remove its .git, or ignore the directory",
        )
    for path in _not_ignored(hub, workspace, large, extra):
        if not _same_size_as_tracked(hub, workspace, path, extra):
            raise AgentProtocolError(
                f"a file of more than {LARGEST_FILE >> 20} MB: {printable(path)}",
                hint="ignore it, or keep it outside the repository",
            )


def _suspects(workspace: Path) -> tuple[list[str], list[str]]:
    """Directories with a ``.git`` of their own, and huge files, relative to the workspace."""
    nested, large = [], []
    for folder, entries in _folders(os.fspath(workspace)):
        inside = os.path.relpath(folder, workspace)
        for entry in entries:
            if entry.name.lower() == ".git":
                if inside != ".":
                    nested.append(inside)
            elif entry.is_file(follow_symlinks=False) and _size(entry) > LARGEST_FILE:
                large.append(os.path.relpath(entry.path, workspace))
    return nested, large


def _size(entry: os.DirEntry[str]) -> int:
    return entry.stat(follow_symlinks=False).st_size


def _folders(top: str) -> Iterator[tuple[str, list[os.DirEntry[str]]]]:
    waiting = [top]
    while waiting:
        folder = waiting.pop()
        with os.scandir(folder) as found:
            entries = list(found)
        yield folder, entries
        waiting += [
            entry.path
            for entry in entries
            if entry.is_dir(follow_symlinks=False) and entry.name.lower() != ".git"
        ]


def _not_ignored(
    hub: Path, workspace: Path, paths: list[str], extra: dict[str, str]
) -> Iterable[str]:
    if not paths:
        return []
    asked = b"\0".join(os.fsencode(path) for path in paths)
    done = git(
        "check-ignore", "--no-index", "-z", "--stdin",
        git_dir=hub, cwd=workspace, stdin=asked, expect=(0, 1), extra=extra,
    )  # fmt: skip
    ignored = set(done.stdout.split(b"\0"))
    return [path for path in paths if os.fsencode(path) not in ignored]


def _same_size_as_tracked(hub: Path, workspace: Path, path: str, extra: dict[str, str]) -> bool:
    done = git("cat-file", "-s", f":{path}", git_dir=hub, expect=(0, 128), extra=extra)
    size = (workspace / path).lstat().st_size
    return done.returncode == 0 and int(done.stdout) == size


def refuse_links_out(hub: Path, base: str, tree: str) -> None:
    """Raises AgentProtocolError for a new link out of the tree, or a changed submodule.

    A link that the base had already is the repository's own affair.
    """
    raw = git("diff-tree", "-r", "-z", "--no-renames", "--raw", base, tree, git_dir=hub).stdout
    fields = raw.split(b"\0")
    for facts, path in zip(fields[::2], fields[1::2], strict=False):
        _, mode, _, digest, _ = facts.decode().split()
        if mode == _SUBMODULE:
            raise AgentProtocolError(
                f"a submodule was added or moved: {printable(path)}",
                hint="Shipway cannot verify the commit it points to; change it by hand",
            )
        if mode == _LINK:
            target = git("cat-file", "blob", digest, git_dir=hub).stdout
            if _leaves(os.fsdecode(path), os.fsdecode(target)):
                raise AgentProtocolError(
                    f"a link that leaves the repository: {printable(path)}",
                    hint="use a relative link to a file of the repository",
                )


def _leaves(path: str, target: str) -> bool:
    """Whether a link can lead outside, whatever other links are on its way.

    A ``..`` is harmless only at the start: after another link it goes up from where that leads.
    """
    parts = [part for part in target.split("/") if part not in {"", "."}]
    ups = next((number for number, part in enumerate(parts) if part != ".."), len(parts))
    depth = len(PurePosixPath(path).parts) - 1
    return target.startswith("/") or ".." in parts[ups:] or ups > depth


def count(hub: Path, base: str, commit: str) -> tuple[int, int, int]:
    """Files, inserted lines, deleted lines; binary files count as files only."""
    raw = git("diff-tree", "-r", "-z", "--no-renames", "--numstat", base, commit, git_dir=hub)
    rows = [row.split(b"\t", 2) for row in raw.stdout.split(b"\0") if row]
    numbers = [(int(more), int(fewer)) for more, fewer, _ in rows if more != b"-"]
    return len(rows), sum(more for more, _ in numbers), sum(fewer for _, fewer in numbers)
