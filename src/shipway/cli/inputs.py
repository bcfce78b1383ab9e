"""What a person hands in on the command line: read, measured and checked before anything starts."""

from __future__ import annotations

import difflib
import math
import os
import re
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from shipway.errors import UsageError

if TYPE_CHECKING:
    from shipway.engine.commands import Maker

MEGABYTE = 1024 * 1024
REQUIREMENT_LIMIT = 1 * MEGABYTE
SPECIFICATION_LIMIT = 16 * MEGABYTE
PATCH_LIMIT = 64 * MEGABYTE

_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s?)?")
_ANSWER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


class Given(NamedTuple):
    """Bytes that were handed in, and the name they go by."""

    data: bytes
    name: str


def read(source: str, option: str, limit: int) -> Given:
    """The bytes of a file, or of stdin for ``-``; raises UsageError that says what to do."""
    if source == "-":
        if sys.stdin.isatty():
            sys.stderr.write(f"reading {option} from the terminal; end it with Ctrl-D\n")
        return Given(_limited(sys.stdin.fileno(), "standard input", option, limit), "stdin")
    path = Path(source)
    try:
        number = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise _unreadable(path, option, error) from None
    except ValueError:
        raise UsageError(f"{option}: this is no name of a file", hint="check the path") from None
    try:
        return Given(_limited(number, f'"{path}"', option, limit), path.name)
    finally:
        os.close(number)


def _limited(number: int, what: str, option: str, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    try:
        while part := os.read(number, MEGABYTE):
            parts.append(part)
            size += len(part)
            if size > limit:
                raise UsageError(
                    f"{option}: {what} is too big (more than {limit // MEGABYTE} MB)",
                    hint="hand in only the part that is needed",
                )
    except IsADirectoryError:
        raise UsageError(f"{option}: {what} is a directory", hint="name a file inside it") from None
    except OSError as error:
        raise UsageError(
            f"{option}: {what} cannot be read: {os.strerror(error.errno or 0).lower()}",
            hint="check the file",
        ) from None
    if not size:
        raise UsageError(f"{option}: {what} is empty", hint="check that it is the right one")
    return b"".join(parts)


def _unreadable(path: Path, option: str, error: OSError) -> UsageError:
    reason = os.strerror(error.errno or 0).lower()
    if not isinstance(error, FileNotFoundError):
        return UsageError(f'{option}: cannot read "{path}": {reason}', hint="check who may read it")
    near = similar_path(path)
    hint = (
        f'did you mean "{near}"?'
        if near
        else f"check the path; a relative one starts in {Path.cwd()}"
    )
    return UsageError(f'{option}: no such file "{path}"', hint=hint)


def similar_path(path: Path) -> Path | None:
    """Something that is there and is named nearly so."""
    folder = path.parent
    try:
        names = [entry.name for entry in os.scandir(folder)]
    except OSError:
        return None
    near = difflib.get_close_matches(path.name, names, n=1, cutoff=0.5)
    return folder / near[0] if near else None


def requirement(text: str) -> Given:
    """``TEXT``, ``@FILE`` or ``-``; it must be UTF-8 text with something in it."""
    option = "--requirement"
    if text == "-" or text.startswith("@"):
        given = read(text.removeprefix("@"), option, REQUIREMENT_LIMIT)
    else:
        given = Given(text.encode("utf-8", "surrogateescape"), "requirement.md")
    try:
        words = given.data.decode("utf-8")
    except UnicodeDecodeError:
        raise UsageError(f"{option}: this is not UTF-8 text", hint="save it as UTF-8") from None
    if "\0" in words:
        raise UsageError(f"{option}: this is not text", hint="hand in text or Markdown")
    if not words.strip():
        raise UsageError(
            f"{option} is empty", hint='say what is needed: --requirement "Fix the rounding"'
        )
    return given


def directory(text: str, option: str) -> Path:
    """A directory that is there, as an absolute path."""
    path = Path(text)
    if path.is_dir():
        return path.resolve()
    if path.exists():
        raise UsageError(f'{option}: "{path}" is not a directory', hint="name the directory")
    near = similar_path(path)
    raise UsageError(
        f'{option}: no such directory "{path}"',
        hint=f'did you mean "{near}"?' if near else "check the path",
    )


def new_directory(text: str, option: str) -> Path:
    """A directory to make or to fill: absent, empty, or a git repository already."""
    path = Path(text).absolute()
    if not path.exists():
        parent = next(folder for folder in path.parents if folder.exists())
        if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
            raise UsageError(f'{option}: cannot write in "{parent}"', hint="choose another place")
        return path
    if not path.is_dir():
        raise UsageError(f'{option}: "{path}" is not a directory', hint="choose another name")
    if not os.access(path, os.W_OK | os.X_OK):
        raise UsageError(f'{option}: cannot write in "{path}"', hint="choose another place")
    if any(path.iterdir()) and not (path / ".git").exists():
        raise UsageError(
            f'{option}: "{path}" is not empty and not a git repository',
            hint="choose a new or an empty directory",
        )
    return path


def answers(pairs: Sequence[str]) -> dict[str, str]:
    """``ID=VALUE`` pairs; the same id twice is a mistake, not a choice."""
    found: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not _ANSWER.fullmatch(key):
            raise UsageError("--answer wants ID=VALUE", hint="for example --answer paging=cursor")
        if key in found:
            raise UsageError(f'--answer gives "{key}" twice', hint="give it once")
        found[key] = value
    return found


KINDS = ("command", "acp", "model")
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/@-]{0,127}")


def makers(pairs: Sequence[str]) -> tuple[Maker, ...]:
    """Who each ``implement=KIND:VALUE`` says makes the change, in the order in which they try."""
    found = tuple(map(_maker, pairs))
    if len(set(found)) < len(found):
        raise UsageError(
            "--agent names the same agent twice", hint="each tries again by itself; name others"
        )
    return found


def _maker(pair: str) -> Maker:
    slot, equals, choice = pair.partition("=")
    kind, colon, text = choice.partition(":")
    if not equals or slot != "implement" or not colon or kind not in KINDS:
        raise UsageError(
            "--agent wants implement=command:CMD, implement=acp:CMD or implement=model:NAME",
            hint="for example --agent implement='command:my-agent --headless'",
        )
    from shipway.engine.commands import Maker

    if kind == "model":
        if not _MODEL.fullmatch(text):
            raise UsageError(
                "--agent: this is no name of a model",
                hint="for example --agent implement=model:gpt-5",
            )
        return Maker("model", model=text)
    return Maker("acp" if kind == "acp" else "command", _command(text))


def _command(text: str) -> tuple[str, ...]:
    try:
        argv = tuple(shlex.split(text))
    except ValueError as error:
        raise UsageError(
            f"--agent: the command cannot be read: {str(error).lower()}", hint="check its quotes"
        ) from None
    if not argv:
        raise UsageError("--agent: the command is empty", hint="name the program to run")
    program = argv[0]
    # A relative path is looked up in the workspace, which is not there yet.
    if ("/" not in program or program.startswith("/")) and shutil.which(program) is None:
        raise UsageError(
            f'--agent: there is no program "{program}" to run',
            hint="check its name, or give the whole path",
        )
    return argv


def seconds(text: str, option: str = "--timeout") -> float:
    """``90``, ``90s``, ``5m``, ``1h30m`` as seconds; always more than nothing."""
    match = _DURATION.fullmatch(text.strip())
    parts = match.groups(default="0") if match and text.strip() else ("0", "0", "0")
    total = float(parts[0]) * 3600 + float(parts[1]) * 60 + float(parts[2])
    if not total or not math.isfinite(total):
        raise UsageError(f"{option} wants a time above zero", hint="for example 90s, 5m or 1h30m")
    return total
