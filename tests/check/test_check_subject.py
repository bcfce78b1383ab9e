"""What is compared: working tree, branch, range and patch, and everything that cannot be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from checked import write

from gitcalls import git
from shipway.check.subject import Subject, Wanted, find
from shipway.errors import RepositoryError, UsageError, ValidationError
from shipway.gates.changes import between


@pytest.fixture
def look(tmp_path: Path):
    count = 0

    def find_in(repository: Path, **wanted: object) -> Subject:
        nonlocal count
        count += 1
        return find(repository, Wanted(**wanted), tmp_path / f"subject-{count}.git")

    return find_in


def changed(subject: Subject) -> set[str]:
    return set(subject.paths())


def test_the_working_tree_is_taken_as_it_is_and_the_repository_is_only_read(
    look, git_repository
) -> None:
    repository = git_repository({"a.py": "1\n", "gone.py": "1\n", ".gitignore": "*.log\n"})
    write(repository, {"a.py": "2\n", "new.py": "1\n", "x.log": "noise", "gone.py": None})
    git(repository, "add", "a.py")
    before = {p: p.read_bytes() for p in (repository / ".git").rglob("*") if p.is_file()}
    subject = look(repository)
    assert changed(subject) == {"a.py", "new.py", "gone.py"}
    assert "not committed" in subject.head.said
    assert any("as it is" in note for note in subject.notes)
    assert {p: p.read_bytes() for p in (repository / ".git").rglob("*") if p.is_file()} == before


def test_what_the_user_ignores_for_himself_stays_out(look, git_repository) -> None:
    repository = git_repository({"a.py": "1\n"})
    (repository / ".git" / "info").mkdir(exist_ok=True)
    (repository / ".git" / "info" / "exclude").write_text("private/\n")
    write(repository, {"private/x.py": "1\n", "b.py": "1\n"})
    assert changed(look(repository)) == {"b.py"}


def test_a_branch_is_compared_with_where_it_left_the_default_branch(look, git_repository) -> None:
    repository = git_repository({"a.py": "1\n"})
    git(repository, "checkout", "-q", "-b", "feature")
    write(repository, {"b.py": "1\n"})
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "feat: b")
    git(repository, "checkout", "-q", "main")
    write(repository, {"c.py": "1\n"})
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "c")
    subject = look(repository, head="feature")
    assert changed(subject) == {"b.py"}
    assert "main" in subject.base.said
    assert subject.message.strip("\0\n") == "feat: b"
    assert changed(look(repository, head="main...feature")) == {"b.py"}
    assert changed(look(repository, head="feature", base="main")) == {"b.py"}
    git(repository, "checkout", "-q", "feature")
    assert changed(look(repository)) == {"b.py"}


def test_a_merge_commit_and_a_rename_are_compared_like_any_other(look, git_repository) -> None:
    lines = "".join(f"{n}\n" for n in range(30))
    repository = git_repository({"a.txt": lines})
    git(repository, "checkout", "-q", "-b", "feature")
    git(repository, "mv", "a.txt", "b.txt")
    git(repository, "commit", "-qm", "rename")
    git(repository, "checkout", "-q", "main")
    git(repository, "commit", "-q", "--allow-empty", "-m", "other")
    git(repository, "merge", "-q", "--no-ff", "-m", "merged", "feature")
    subject = look(repository, base="HEAD~1")
    hub = subject.into(subject.store.parent / "hub.git")
    (change,) = between(hub, subject.base.commit, subject.head.commit)
    assert (change.kind, change.before, change.path) == ("renamed", "a.txt", "b.txt")


def test_a_patch_is_laid_on_the_base_alone(look, git_repository) -> None:
    repository = git_repository({"a.py": "1\n"})
    write(repository, {"a.py": "2\n"})
    patch = (git(repository, "diff") + "\n").encode()
    write(repository, {"a.py": "3\n"})
    subject = look(repository, patch=patch)
    hub = subject.into(subject.store.parent / "hub.git")
    assert hub.show(subject.head.commit, "a.py") == b"2\n"
    with pytest.raises(ValidationError, match="does not apply"):
        look(repository, patch=patch.replace(b"-1", b"-9"))


def test_names_that_are_no_text_binary_files_and_links_come_along(look, git_repository) -> None:
    repository = git_repository({"a.py": "1\n"})
    (Path(os.fsdecode(os.fsencode(repository) + b"/caf\xe9.py"))).write_bytes(b"\xff\n")
    (repository / "blob.bin").write_bytes(bytes(range(256)) * 40)
    (repository / "out").symlink_to("/etc/passwd")
    subject = look(repository)
    hub = subject.into(subject.store.parent / "hub.git")
    found = {one.path: one for one in between(hub, subject.base.commit, subject.head.commit)}
    assert found["blob.bin"].binary
    assert os.fsdecode(b"caf\xe9.py") in found
    assert "out" in found


@pytest.mark.parametrize(
    ("break_it", "wanted", "word"),
    [
        (lambda _r: None, {"base": "nowhere"}, "no commit nowhere"),
        (lambda _r: None, {"head": "-x"}, "no revision"),
        (lambda _r: None, {"head": "a..b", "base": "c"}, "a range has a base"),
        (lambda r: (r / ".git/shallow").write_text(git(r, "rev-parse", "HEAD")), {}, "shallow"),
    ],
)
def test_what_cannot_be_compared_says_why_and_what_to_do(
    look, git_repository, break_it, wanted, word
) -> None:
    repository = git_repository({"a.py": "1\n"})
    break_it(repository)
    with pytest.raises((RepositoryError, UsageError), match=word) as refused:
        look(repository, **wanted)
    assert refused.value.hint


def test_no_repository_and_no_commits_are_refused(look, tmp_path) -> None:
    with pytest.raises(RepositoryError, match="not a git repository"):
        look(tmp_path)
    git(tmp_path, "init", "-q", str(tmp_path / "empty"))
    with pytest.raises(RepositoryError, match="no commits"):
        look(tmp_path / "empty")


def test_a_change_in_the_second_of_the_commit_is_not_overlooked(look, git_repository) -> None:
    """Same size, same time: git tells only by the content, and only if the index is as old."""
    repository = git_repository({"a.py": "1\n"})
    git(repository, "config", "core.trustctime", "false")
    then = 1_700_000_000
    os.utime(repository / "a.py", (then, then))
    git(repository, "update-index", "--really-refresh")
    os.utime(repository / ".git" / "index", (then, then))
    write(repository, {"a.py": "2\n"})
    os.utime(repository / "a.py", (then, then))
    assert changed(look(repository)) == {"a.py"}
