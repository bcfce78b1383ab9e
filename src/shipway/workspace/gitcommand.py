"""Runs the git command line so that nothing but its arguments decides what it does."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from shipway.errors import CommandError, ResourceError
from shipway.resilience import deadline

NAME, EMAIL = "Shipway", "shipway@localhost"
_TIMEOUT_S = 900.0

# These win over the configuration of whatever repository is worked on: it must not be able to run
# programs, sign, call home, or collect garbage while objects of ours wait for their ref.
_FIXED = {
    "safe.directory": "*",
    "core.hooksPath": os.devnull,
    "core.fsmonitor": "false",
    "core.untrackedCache": "false",
    "core.filesRefLockTimeout": "10000",
    "core.pager": "cat",
    "core.askPass": "false",
    "credential.helper": "",
    "commit.gpgSign": "false",
    "tag.gpgSign": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "fetch.recurseSubmodules": "false",
    "submodule.recurse": "false",
    "protocol.version": "2",
    "protocol.allow": "never",
    "protocol.file.allow": "always",
    "merge.renames": "true",
    "merge.directoryRenames": "false",
}
# What the person who owns a work tree has set for it, such as filters, only counts for that tree.
_IGNORED = {"core.attributesFile": os.devnull, "core.excludesFile": os.devnull}
_GLOBAL = Path(__file__).with_name("git.config")


def environment(*, persons: bool = False, when: datetime | None = None) -> dict[str, str]:
    """A clean environment; ``persons`` keeps the user's own configuration, below ours."""
    settings = _FIXED if persons else _FIXED | _IGNORED
    moment = (when or datetime.now(UTC)).isoformat(timespec="seconds")
    chosen = {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C.UTF-8",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_EDITOR": "false",
        "GIT_TEMPLATE_DIR": "",
        "GIT_MERGE_AUTOEDIT": "no",
        "GIT_CONFIG_COUNT": str(len(settings)),
        "GIT_AUTHOR_NAME": NAME,
        "GIT_AUTHOR_EMAIL": EMAIL,
        "GIT_AUTHOR_DATE": moment,
        "GIT_COMMITTER_NAME": NAME,
        "GIT_COMMITTER_EMAIL": EMAIL,
        "GIT_COMMITTER_DATE": moment,
    }
    for number, (key, value) in enumerate(settings.items()):
        chosen |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    if persons:
        kept = ("HOME", "XDG_CONFIG_HOME", "TMPDIR")
        return chosen | {name: os.environ[name] for name in kept if name in os.environ}
    # The file says again what a second git needs, that the first one starts in another repository.
    return chosen | {
        "HOME": os.devnull,
        "XDG_CONFIG_HOME": os.devnull,
        "GIT_CONFIG_GLOBAL": str(_GLOBAL),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_ATTR_NOSYSTEM": "1",
    }


def git(
    *arguments: str | Path,
    git_dir: Path | None = None,
    cwd: Path | None = None,
    stdin: bytes | None = None,
    expect: Iterable[int] = (0,),
    persons: bool = False,
    when: datetime | None = None,
    extra: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Run git; raises CommandError for an exit code not in ``expect``, ResourceError on a full disk.

    Files are made readable for everybody whatever our own umask is: commands in the fence run as
    another user, and the directory above the hub keeps others out.
    """
    deadline.check("git")
    seconds = deadline.most(_TIMEOUT_S)
    where = [] if git_dir is None else [f"--git-dir={git_dir}"]
    try:
        done = subprocess.run(
            ["git", *where, *map(str, arguments)],
            input=stdin or b"",
            capture_output=True,
            check=False,
            cwd=cwd or git_dir,
            env=environment(persons=persons, when=when) | (extra or {}),
            umask=0o022,
            start_new_session=True,
            timeout=seconds,
        )
    except FileNotFoundError:
        raise CommandError(
            "git was not found, or the directory is gone", hint="install git 2.38 or newer"
        ) from None
    except subprocess.TimeoutExpired:
        if seconds < _TIMEOUT_S:
            raise deadline.over(f"git {arguments[0]}") from None
        raise CommandError(f"git {arguments[0]} did not end within {_TIMEOUT_S:.0f} s") from None
    if done.returncode not in expect:
        raise _failure(str(arguments[0]), done)
    return done


def _failure(verb: str, done: subprocess.CompletedProcess[bytes]) -> CommandError | ResourceError:
    said = done.stderr.decode(errors="replace").strip()
    if "No space left on device" in said or "Disk quota exceeded" in said:
        return ResourceError("the disk is full", hint="make room, then `shipway run resume`")
    last = said.splitlines()[-1] if said else f"exit code {done.returncode}"
    return CommandError(f"git {verb} failed: {last}", details={"stderr": said[-4000:]})


def line(repository: Path, *words: str) -> str:
    """The same for a person's shell: what to type to see what git said of the repository."""
    return shlex.join(["git", "-C", str(repository), *words])


def text(done: subprocess.CompletedProcess[bytes]) -> str:
    return os.fsdecode(done.stdout).strip()


def printable(path: bytes | str) -> str:
    """A file name as text that can be printed and sent, whatever bytes it is made of."""
    raw = os.fsencode(path) if isinstance(path, str) else path
    return raw.decode("utf-8", "backslashreplace")
