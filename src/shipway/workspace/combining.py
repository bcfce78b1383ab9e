"""Brings a commit onto a branch's tip by one of four strategies, in the object store alone."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import TYPE_CHECKING

from shipway.errors import ConflictError
from shipway.workspace.gitcommand import git, line, printable, text

if TYPE_CHECKING:
    from shipway.workspace.hub import Hub

_STEP = "combine"
_TAIL = 2000
_STAGES = {"1": "base", "2": "target", "3": "change"}


def combine(
    hub: Hub,
    onto: str | None,
    base: str | None,
    commit: str,
    strategy: str,
    message: str,
    when: datetime | None,
) -> str:
    """See ``Hub.combine``."""
    if onto is None:
        return hub.commit(hub.tree(commit), (), message, when=when)
    if strategy == "fast-forward":
        return _fast_forward(hub, onto, commit)
    if strategy == "rebase":
        return _rebase(hub, onto, base, commit, message, when)
    tree = _merged(hub, onto, commit, onto, commit)
    parents = (onto, commit) if strategy == "merge" else (onto,)
    return hub.commit(tree, parents, message, when=when)


def _fast_forward(hub: Hub, onto: str, commit: str) -> str:
    done = git("merge-base", "--is-ancestor", onto, commit, git_dir=hub.path, expect=(0, 1))
    if done.returncode:
        raise ConflictError(
            f"the target branch moved to {onto[:12]}: it cannot be fast-forwarded",
            hint="run again on the new tip, or use --strategy merge, squash or rebase",
            details={
                "target": onto,
                "change": commit,
                "step": _STEP,
                "reproduce": line(hub.path, "merge-base", "--is-ancestor", onto, commit),
            },
        )
    return commit


def _rebase(
    hub: Hub, onto: str, base: str | None, commit: str, message: str, when: datetime | None
) -> str:
    """Each commit of the change again on the tip; the last one gets the message."""
    span = [commit] if base is None else [f"{base}..{commit}"]
    listed = text(
        git("rev-list", "--reverse", "--topo-order", "--first-parent", *span, git_dir=hub.path)
    ).split()
    tip = onto
    for each in listed:
        parent = text(
            git("rev-parse", "-q", "--verify", f"{each}^", git_dir=hub.path, expect=(0, 1))
        )
        # Merging wants a common ancestor: the tip's tree, as if it had grown from the parent.
        stand_in = hub.commit(hub.tree(tip), (parent,) if parent else (), "stand-in", when=when)
        tree = _merged(hub, stand_in, each, onto, commit)
        tip = hub.commit(
            tree, (tip,), message if each == commit else _message(hub, each), when=when
        )
    return tip


def _message(hub: Hub, commit: str) -> str:
    return git("log", "-1", "--format=%B", commit, git_dir=hub.path).stdout.decode(errors="replace")


def _merged(hub: Hub, ours: str, theirs: str, onto: str, commit: str) -> str:
    """The tree of a merge; ``onto`` and ``commit`` are what a conflict names."""
    done = git(
        "merge-tree", "--write-tree", "-z", "--no-messages", ours, theirs,
        git_dir=hub.path, expect=(0, 1, 128),
    )  # fmt: skip
    if done.returncode == 0:
        return done.stdout.rstrip(b"\0\n").decode()
    if done.returncode == 128:
        raise ConflictError(
            f"{commit[:12]} and the target branch at {onto[:12]} have no common history",
            hint="run again on the present tip of the target branch",
            details=_seen(hub, ours, theirs),
        )
    raise _conflict(done.stdout, onto, commit, _seen(hub, ours, theirs))


def _seen(hub: Hub, ours: str, theirs: str) -> dict[str, str]:
    """The step, what git says of this merge, and the command that makes git say it again."""
    words = ("merge-tree", "--write-tree", ours, theirs)
    done = git(*words, git_dir=hub.path, expect=(0, 1, 128))
    said = (done.stdout + done.stderr).decode(errors="replace")[-_TAIL:]
    return {"step": _STEP, "log_tail": said.strip(), "reproduce": line(hub.path, *words)}


def _conflict(raw: bytes, onto: str, commit: str, seen: dict[str, str]) -> ConflictError:
    sides: dict[str, set[str]] = defaultdict(set)
    for entry in raw.split(b"\0")[1:]:
        if entry:
            facts, path = entry.split(b"\t", 1)
            sides[printable(path)].add(_STAGES[facts.decode().split()[2]])
    files = [{"path": path, **_what(found)} for path, found in sorted(sides.items())]
    named = "; ".join(
        f"{one['path']} ({one['target']} there, {one['change']} here)" for one in files
    )
    return ConflictError(
        f"the target branch at {onto[:12]} and the change {commit[:12]} conflict in "
        f"{len(files)} file{'' if len(files) == 1 else 's'}: {named}",
        hint="bring the change onto the present tip of the target branch, then run again",
        details={"target": onto, "change": commit, "files": files, **seen},
    )


def _what(found: set[str]) -> dict[str, str]:
    """What each side did with a file, from which versions of it take part in the conflict."""
    verb = "changed" if "base" in found else "added"
    return {side: verb if side in found else "deleted" for side in ("target", "change")}
