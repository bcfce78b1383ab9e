"""Where flags are kept, behind one shape; here as a file that several processes may write."""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pydantic import ValidationError

from shipway.errors import ConfigurationError, ConflictError
from shipway.flags.flag import Flag


@dataclass(frozen=True, slots=True)
class Change:
    """One line of a flag's history; ``flag`` is what it became."""

    at: float
    by: str
    why: str
    flag: Flag


@dataclass(frozen=True, slots=True)
class Kept:
    """What was found, and the keys of flags that this version cannot read."""

    flags: Mapping[str, Flag]
    unreadable: tuple[str, ...] = ()


class Keeping(Protocol):
    """Every method may be called from any thread, and raises when the place is out of reach."""

    @property
    def place(self) -> str:
        """Where it is, for people."""
        ...

    def mark(self) -> object:
        """Differs from the last one whenever something changed; cheap enough to ask all the time."""
        ...

    def load(self) -> Kept: ...

    def put(self, flag: Flag, by: str, why: str) -> Flag:
        """Keep the next version of a flag; raises ConflictError when there is another one already."""
        ...

    def history(self, key: str) -> list[Change]:
        """Newest first."""
        ...


class FileKeeping:
    """A JSON file and, beside it, one line for each change; several processes may write."""

    def __init__(self, path: Path, now: Callable[[], float]) -> None:
        self._path = path
        self._now = now

    @property
    def place(self) -> str:
        return str(self._path)

    def mark(self) -> object:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def load(self) -> Kept:
        return read_all(self._documents())

    def put(self, flag: Flag, by: str, why: str) -> Flag:
        with self._alone():
            documents = self._documents()
            kept = documents.get(flag.key)
            _no_other(flag, kept.get("version", 0) if isinstance(kept, dict) else 0)
            after = flag.model_copy(update={"version": flag.version + 1})
            documents[flag.key] = after.model_dump(mode="json")
            line = {"at": self._now(), "by": by, "why": why, "flag": documents[flag.key]}
            with self._history.open("a", encoding="utf-8") as book:
                book.write(json.dumps(line) + "\n")
            write_all(self._path, documents)
        return after

    def history(self, key: str) -> list[Change]:
        try:
            lines = self._history.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        found = [json.loads(line) for line in lines]
        return [
            Change(one["at"], one["by"], one["why"], Flag.model_validate(one["flag"]))
            for one in reversed(found)
            if one["flag"]["key"] == key
        ]

    @property
    def _history(self) -> Path:
        return self._path.with_suffix(".history.jsonl")

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _documents(self) -> dict[str, Any]:
        return documents_of(self._path)


def documents_of(path: Path) -> dict[str, Any]:
    """The flags of a file as they stand there; none when there is no file."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        raise ConfigurationError(
            f"the flags in {path} are no JSON", hint="repair the file, or restore it"
        ) from None
    flags = found.get("flags") if isinstance(found, dict) else None
    if not isinstance(flags, dict):
        raise ConfigurationError(
            f"{path} holds no flags", hint='it should be {"flags": {"key": {...}}}'
        )
    return flags


def write_all(path: Path, documents: Mapping[str, Any]) -> None:
    """The whole file at once: who reads meanwhile sees the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump({"flags": documents}, file, indent=2, sort_keys=True)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    Path(name).replace(path)


def read_all(documents: Mapping[str, Any]) -> Kept:
    """One flag that cannot be read takes nothing away from the others."""
    flags, unreadable = {}, []
    for key, document in documents.items():
        try:
            flag = Flag.model_validate(document)
        except ValidationError:
            unreadable.append(key)
            continue
        flags[flag.key] = flag
    return Kept(flags, tuple(sorted(unreadable)))


def _no_other(flag: Flag, kept: int) -> None:
    if flag.version != kept:
        raise changed_meanwhile(flag.key)


def changed_meanwhile(key: str) -> ConflictError:
    return ConflictError(
        f"the flag {key} was changed by somebody else meanwhile",
        hint=f'look at "shipway flag get {key}", then try again',
    )
