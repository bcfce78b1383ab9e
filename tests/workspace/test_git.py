"""Hubs and workspaces: what a workspace can do to us, and what comes back from it."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gitcalls import git
from shipway.errors import AgentProtocolError, ConflictError, NotFoundError
from shipway.workspace.fence import Command, Fence
from shipway.workspace.git import Hub, Workspace

Repository = Callable[..., Path]


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    return Hub.create(tmp_path / "state" / "hub.git")


@pytest.fixture
def seeded(hub: Hub, git_repository: Repository) -> tuple[Hub, str]:
    repository = git_repository({"a.txt": "one\n", "dir/b.txt": "b\n"}, [{"a.txt": "two\n"}])
    commit = git(repository, "rev-parse", "HEAD")
    hub.seed(repository, commit)
    return hub, commit


def test_a_hub_is_made_again_and_again_without_harm(hub: Hub) -> None:
    """A start that is repeated after a kill finds the one that is there."""
    for _ in range(2):
        Hub.create(hub.path)
    told = git(hub.path, "config", "--get-all", "core.filemode")
    assert (told, git(hub.path, "config", "core.logAllRefUpdates")) == ("true", "false")


def files(root: Path) -> set[str]:
    return {
        str(path.relative_to(root))
        for path in root.rglob("*")
        if path.is_file() and ".git" not in path.parts
    }


# -- out and back -----------------------------------------------------------------------------


def test_a_change_comes_back_as_a_commit_of_ours(seeded: tuple[Hub, str], tmp_path: Path) -> None:
    hub, base = seeded
    space = hub.checkout(base, tmp_path / "work" / "a tree")
    assert files(space.path) == {"a.txt", "dir/b.txt"}
    (space.path / "a.txt").write_text("two\nthree\n")
    (space.path / "dir" / "b.txt").unlink()
    (space.path / "run.sh").write_text("#!/bin/sh\n")
    (space.path / "run.sh").chmod(0o755)
    capture = hub.capture(space, "feat: three\n\nShipway-Run: r1\n", base)
    assert (capture.base, capture.files, capture.insertions, capture.deletions) == (base, 3, 2, 1)
    assert hub.show(capture.commit, "a.txt") == b"two\nthree\n"
    assert hub.tree(capture.commit) == capture.tree
    assert b"new file mode 100755" in capture.diff
    assert b"+three" in capture.diff
    log = git(hub.path, "log", "-1", "--format=%an <%ae>|%cn|%s|%P", capture.commit)
    assert log == f"Shipway <shipway@localhost>|Shipway|feat: three|{base}"
    with pytest.raises(NotFoundError):
        hub.show(capture.commit, "dir/b.txt")


def test_nothing_changed_is_said(seeded: tuple[Hub, str], tmp_path: Path) -> None:
    hub, base = seeded
    space = hub.checkout(base, tmp_path / "w")
    os.utime(space.path / "a.txt")
    capture = hub.capture(space, "chore: nothing", base)
    assert (capture.changed, capture.commit, capture.diff) == (False, base, b"")


def test_a_project_can_start_from_nothing(hub: Hub, tmp_path: Path) -> None:
    space = hub.checkout(None, tmp_path / "w")
    (space.path / "new.py").write_text("x = 1\n")
    capture = hub.capture(space, "feat: new", None)
    assert (capture.base, capture.files) == (None, 1)
    assert hub.show(capture.commit, "new.py") == b"x = 1\n"
    assert git(hub.path, "rev-list", "--count", capture.commit) == "1"


def test_bytes_are_kept_whatever_attributes_say(
    hub: Hub, git_repository: Repository, tmp_path: Path
) -> None:
    files = {"lf.txt": b"a\nb\n", "id.txt": "$Id$\n", "odd.txt": b"\xff\xfe\x00"}
    repository = git_repository(files, [{".gitattributes": "* ident eol=crlf filter=run\n"}])
    base = git(repository, "rev-parse", "HEAD")
    hub.seed(repository, base)
    space = hub.checkout(base, tmp_path / "w")
    assert (space.path / "lf.txt").read_bytes() == b"a\nb\n"
    assert (space.path / "id.txt").read_bytes() == b"$Id$\n"
    assert not hub.capture(space, "chore: nothing", base).changed
    wide = "* text=auto eol=crlf ident working-tree-encoding=UTF-16\n"
    (space.path / ".gitattributes").write_text(wide)
    (space.path / "more.txt").write_bytes(b"x\r\n")
    assert hub.show(hub.capture(space, "m", base).commit, "more.txt") == b"x\r\n"


def test_names_of_any_bytes_and_ignored_files(seeded: tuple[Hub, str], tmp_path: Path) -> None:
    hub, base = seeded
    space = hub.checkout(base, tmp_path / "w")
    name = os.fsdecode(b"caf\xe9 \xff\n.txt")
    (space.path / name).write_text("odd\n")
    (space.path / ".gitignore").write_text("*.log\nbuild/\n")
    (space.path / "noise.log").write_text("noise\n")
    capture = hub.capture(space, "m", base)
    assert capture.files == 2
    assert hub.show(capture.commit, name) == b"odd\n"
    again = hub.checkout(capture.commit, tmp_path / "again")
    assert (again.path / name).read_text() == "odd\n"


def test_a_private_umask_does_not_lock_the_fence_out(
    hub: Hub, git_repository: Repository, tmp_path: Path, fence: Fence
) -> None:
    repository = git_repository({"a.txt": "one\n"})
    base = git(repository, "rev-parse", "HEAD")
    before = os.umask(0o077)
    try:
        hub.seed(repository, base)
        space = hub.checkout(base, tmp_path / "w")
        argv = ("git", "log", "--format=%s %d", "--stat")
        command = Command(argv, space.path, writable=(space.path,), readable=space.readable)
        done = fence.run(command)
    finally:
        os.umask(before)
    assert done.ok, done.output
    assert b"change 1  (HEAD -> work)" in done.output


# -- a workspace is not trusted ---------------------------------------------------------------


def test_nothing_of_the_workspaces_git_directory_has_an_effect(
    seeded: tuple[Hub, str], tmp_path: Path, fence: Fence
) -> None:
    hub, base = seeded
    space = hub.checkout(base, tmp_path / "w")
    proof = tmp_path / "proof"
    proof.mkdir(mode=0o777)
    attack = f"""
import os, subprocess
config = open(".git/config", "a")
config.write('''
[core]
  fsmonitor = "touch {proof}/fsmonitor"
  hooksPath = .git/evil
  worktree = /etc
[filter "run"]
  clean = "touch {proof}/clean; cat"
[diff]
  external = "touch {proof}/diff"
[alias]
  add = "!touch {proof}/alias"
''')
config.close()
os.makedirs(".git/evil")
for hook in ("pre-commit", "post-checkout", "reference-transaction", "post-index-change"):
    with open(".git/evil/" + hook, "w") as f:
        f.write("#!/bin/sh\\ntouch {proof}/hook\\n")
    os.chmod(".git/evil/" + hook, 0o755)
open(".gitattributes", "w").write("* filter=run diff=run\\n")
open(".git/HEAD", "w").write("ref: refs/heads/elsewhere\\n")
open(".git/objects/info/alternates", "w").write("/etc\\n")
open("a.txt", "w").write("honest\\n")
"""
    done = fence.run(
        Command(
            (sys.executable, "-c", attack),
            space.path,
            writable=(space.path,),
            readable=space.readable,
        )
    )
    assert done.ok, done.output
    capture = hub.capture(space, "m", base)
    assert hub.show(capture.commit, "a.txt") == b"honest\n"
    assert capture.files == 2
    assert list(proof.iterdir()) == []
    assert git(hub.path, "for-each-ref", "--format=%(refname)") == f"refs/shipway/{base}"


def test_the_hub_cannot_be_written_from_a_workspace(
    seeded: tuple[Hub, str], tmp_path: Path, fence: Fence
) -> None:
    hub, base = seeded
    space = hub.checkout(base, tmp_path / "w")
    before = {path: path.stat().st_mtime_ns for path in hub.path.rglob("*")}
    code = f"""
import pathlib
for name in ("objects/x", "objects/info/x", "HEAD", "refs/heads/x"):
    path = pathlib.Path({str(hub.path)!r}) / name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    except OSError:
        print("refused", name)
"""
    command = Command(
        (sys.executable, "-c", code), space.path, writable=(space.path,), readable=space.readable
    )
    done = fence.run(command)
    assert b"refused objects/x\nrefused objects/info/x\n" in done.output
    assert {path: path.stat().st_mtime_ns for path in hub.path.rglob("*")} == before


def _nested(space: Workspace) -> None:
    inner = space.path / "vendor" / "lib"
    inner.mkdir(parents=True)
    git(inner, "init", "--quiet", "--template=")
    (inner / "lost.txt").write_text("lost\n")


def test_a_repository_inside_the_repository_is_refused_unless_ignored(
    seeded: tuple[Hub, str], tmp_path: Path
) -> None:
    hub, base = seeded
    space = hub.checkout(base, tmp_path / "w")
    _nested(space)
    with pytest.raises(AgentProtocolError, match="vendor/lib") as caught:
        hub.capture(space, "m", base)
    assert "ignore the directory" in str(caught.value.hint)
    (space.path / ".gitignore").write_text("vendor/\n")
    assert hub.capture(space, "m", base).files == 1


@pytest.mark.parametrize("target", ["/etc/passwd", "../../outside", "here/../../x"])
def test_a_new_link_out_of_the_tree_is_refused(
    seeded: tuple[Hub, str], tmp_path: Path, target: str
) -> None:
    hub, base = seeded
    space = hub.checkout(base, tmp_path / "w")
    (space.path / "dir" / "link").symlink_to(target)
    with pytest.raises(AgentProtocolError, match="dir/link"):
        hub.capture(space, "m", base)


def test_links_inside_the_tree_and_old_links_are_kept(
    hub: Hub, git_repository: Repository, tmp_path: Path
) -> None:
    repository = git_repository({"a.txt": "one\n"})
    (repository / "old").symlink_to("/etc/hostname")
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--message", "a link")
    base = git(repository, "rev-parse", "HEAD")
    hub.seed(repository, base)
    space = hub.checkout(base, tmp_path / "w")
    (space.path / "dir").mkdir()
    (space.path / "dir" / "new").symlink_to("../a.txt")
    capture = hub.capture(space, "m", base)
    assert git(hub.path, "ls-tree", capture.commit, "dir/new").startswith("120000")


def test_a_huge_file_is_refused(seeded: tuple[Hub, str], tmp_path: Path) -> None:
    hub, base = seeded
    space = hub.checkout(base, tmp_path / "w")
    with (space.path / "big.bin").open("wb") as stream:
        stream.truncate(200 << 20)
    with pytest.raises(AgentProtocolError, match=r"100 MB: big\.bin"):
        hub.capture(space, "m", base)


def test_a_submodule_stays_as_it_was_and_may_not_move(
    hub: Hub, git_repository: Repository, tmp_path: Path
) -> None:
    inner = git_repository({"lib.py": "x = 1\n"}, name="inner")
    outer = git_repository({"a.txt": "one\n"}, name="outer")
    add = ("submodule", "--quiet", "add", str(inner), "lib")
    git(outer, "-c", "protocol.file.allow=always", *add)
    git(outer, "commit", "--quiet", "--message", "with a submodule")
    base = git(outer, "rev-parse", "HEAD")
    hub.seed(outer, base)
    space = hub.checkout(base, tmp_path / "w")
    assert list((space.path / "lib").iterdir()) == []
    (space.path / "a.txt").write_text("two\n")
    capture = hub.capture(space, "m", base)
    assert capture.files == 1
    assert git(hub.path, "ls-tree", capture.commit, "lib").startswith("160000")
    git(space.path / "lib", "init", "--quiet", "--template=")
    with pytest.raises(AgentProtocolError, match="lib"):
        hub.capture(space, "m", base)


def test_a_pipe_or_socket_in_the_tree_is_left_behind(
    seeded: tuple[Hub, str], tmp_path: Path
) -> None:
    hub, base = seeded
    space = hub.checkout(base, tmp_path / "w")
    os.mkfifo(space.path / "pipe")
    (space.path / "a.txt").write_text("three\n")
    assert stat.S_ISFIFO((space.path / "pipe").stat().st_mode)
    assert hub.capture(space, "m", base).files == 1


# -- the user's repository is only read --------------------------------------------------------


def test_seeding_leaves_the_repository_as_it_is(hub: Hub, git_repository: Repository) -> None:
    repository = git_repository({"a.txt": "one\n"})
    proof = repository.parent / "proof"
    git(repository, "config", "uploadpack.packObjectsHook", f"touch {proof}")
    git(repository, "config", "core.fsmonitor", f"touch {proof}")

    def state() -> dict[str, bytes]:
        return {
            str(path): path.read_bytes() for path in sorted(repository.rglob("*")) if path.is_file()
        }

    before = state()
    hub.seed(repository, git(repository, "rev-parse", "HEAD"))
    assert state() == before
    assert not proof.exists()


def test_a_repository_with_the_longer_hash(hub: Hub, tmp_path: Path) -> None:
    repository = tmp_path / "sha256"
    repository.mkdir()
    git(repository, "init", "--quiet", "--template=", "--object-format=sha256")
    (repository / "a.txt").write_text("one\n")
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--message", "first")
    base = git(repository, "rev-parse", "HEAD")
    hub.seed(repository, base)
    space = hub.checkout(base, tmp_path / "w")
    (space.path / "a.txt").write_text("two\n")
    assert len(hub.capture(space, "m", base).commit) == 64


# -- combining --------------------------------------------------------------------------------


@pytest.fixture
def diverged(hub: Hub, git_repository: Repository, tmp_path: Path) -> tuple[Hub, str, str, str]:
    """A hub with a base, the target's newer tip, and a change of our own on the base."""
    repository = git_repository({"a.txt": "1\n2\n3\n4\n5\n6\n7\n8\n9\n", "b.txt": "b\n"})
    base = git(repository, "rev-parse", "HEAD")
    (repository / "b.txt").write_text("b of the target\n")
    git(repository, "commit", "--quiet", "--all", "--message", "newer")
    onto = git(repository, "rev-parse", "HEAD")
    hub.seed(repository, onto)
    space = hub.checkout(base, tmp_path / "w")
    (space.path / "a.txt").write_text("1\n2\n3\n4\n5\n6\n7\n8\nnine\n")
    return hub, base, onto, hub.capture(space, "feat: nine", base).commit


@pytest.mark.parametrize(
    ("strategy", "parents"), [("merge", "onto commit"), ("squash", "onto"), ("rebase", "onto")]
)
def test_strategies_differ_in_history_and_agree_on_the_tree(
    diverged: tuple[Hub, str, str, str], strategy: str, parents: str
) -> None:
    hub, base, onto, commit = diverged
    made = hub.combine(
        onto=onto,
        base=base,
        commit=commit,
        strategy=strategy,
        message="feat: m\n\nShipway-Run: r\n",
    )
    names = {onto: "onto", commit: "commit"}
    found = git(hub.path, "log", "-1", "--format=%P", made).split()
    assert [names[one] for one in found] == parents.split()
    assert hub.show(made, "a.txt").endswith(b"nine\n")
    assert hub.show(made, "b.txt") == b"b of the target\n"
    assert "Shipway-Run: r" in git(hub.path, "log", "-1", "--format=%B", made)


def test_a_chain_of_commits_is_rebased_one_by_one(
    diverged: tuple[Hub, str, str, str], tmp_path: Path
) -> None:
    hub, base, onto, commit = diverged
    space = hub.checkout(commit, tmp_path / "w2")
    (space.path / "c.txt").write_text("c\n")
    second = hub.capture(space, "feat: c", commit).commit
    made = hub.combine(onto=onto, base=base, commit=second, strategy="rebase", message="feat: all")
    log = git(hub.path, "log", "--format=%s", f"{onto}..{made}")
    assert log.splitlines() == ["feat: all", "feat: nine"]
    assert hub.show(made, "c.txt") == b"c\n"


def test_fast_forward_is_the_commit_itself_or_refused(diverged: tuple[Hub, str, str, str]) -> None:
    hub, base, onto, commit = diverged
    given = {"base": base, "commit": commit, "strategy": "fast-forward", "message": "m"}
    assert hub.combine(onto=base, **given) == commit
    with pytest.raises(ConflictError, match="cannot be fast-forwarded"):
        hub.combine(onto=onto, **given)


@pytest.mark.parametrize("strategy", ["merge", "squash", "rebase"])
def test_a_conflict_names_each_file_and_both_sides(
    diverged: tuple[Hub, str, str, str], tmp_path: Path, strategy: str
) -> None:
    hub, base, onto, _ = diverged
    space = hub.checkout(base, tmp_path / "w2")
    (space.path / "b.txt").unlink()
    commit = hub.capture(space, "feat: no b", base).commit
    with pytest.raises(ConflictError) as caught:
        hub.combine(onto=onto, base=base, commit=commit, strategy=strategy, message="m")
    assert caught.value.details["files"] == [
        {"path": "b.txt", "target": "changed", "change": "deleted"}
    ]
    assert "b.txt (changed there, deleted here)" in caught.value.message
    assert onto[:12] in caught.value.message
    assert commit[:12] in caught.value.message


FULL = """
import os, subprocess, sys
from pathlib import Path
from shipway.errors import ResourceError
from shipway.workspace.git import Hub
place = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", place], check=True)
hub = Hub.create(place / "hub.git")
work = Path(sys.argv[2])
space = hub.checkout(None, work)
(work / "big").write_bytes(os.urandom(8 << 20))
try:
    hub.capture(space, "m", None)
except ResourceError as error:
    print(error.message, "|", error.hint)
"""


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    (tmp_path / "small").mkdir()
    argv = ["unshare", "--user", "--map-root-user", "--mount", sys.executable, "-c", FULL]
    done = subprocess.run(
        [*argv, str(tmp_path / "small"), str(tmp_path / "w")],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2] / "src")},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout == "the disk is full | make room, then `shipway run resume`\n", done.stderr
