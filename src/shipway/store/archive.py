"""A backup of database and files as one file: a tar with a list of digests at its end.

Everything streams: neither a file nor the list has to fit into memory. The list holds a line for
each member, and its last line counts them and holds the digest of the lines before it.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol

import orjson

from shipway.errors import ConfigurationError

FORMAT = 1
DATABASE = "database"
_HEAD, _LIST = "shipway-backup.json", "list.jsonl"
_CHUNK = 1 << 20
_KINDS = {tarfile.REGTYPE: "file", tarfile.DIRTYPE: "folder", tarfile.SYMTYPE: "link"}


@dataclass(frozen=True, slots=True)
class Member:
    """A file, folder or link; of a link ``target`` is what it points to."""

    name: str
    kind: str
    mode: int
    size: int
    modified: float
    target: str = ""


@dataclass(frozen=True, slots=True)
class Listed:
    """What an archive says of itself: where it was made, and what should be in it and is not."""

    head: dict[str, Any]
    files: int = 0
    artifacts: int = 0
    bytes: int = 0
    absent: list[str] = field(default_factory=list)


class Source(Protocol):
    """The bytes of a member."""

    def read(self, size: int = -1, /) -> bytes: ...


Take = Callable[[Member, Source], None]


class Archive:
    """Being written; ``absent`` grows by what should be in it and cannot be."""

    def __init__(self, file: IO[bytes], lines: IO[bytes], head: dict[str, Any]) -> None:
        self._tar = tarfile.open(  # noqa: SIM115 - closed by finish
            fileobj=file, mode="w|", format=tarfile.PAX_FORMAT, bufsize=_CHUNK
        )
        self._file, self._lines, self._digest = file, lines, hashlib.sha256()
        self._head = {"shipway": "backup", "format": FORMAT, **head}
        self._files = self._artifacts = self._bytes = 0
        self.absent: list[str] = []
        data = orjson.dumps(self._head) + b"\n"
        self._add(_info(_HEAD, len(data)), _Bytes(data))

    def add(self, name: str, path: Path) -> None:
        """A file as long as it is now, a folder, or a link; raises FileNotFoundError if it is gone."""
        found = path.lstat()
        if stat.S_ISREG(found.st_mode):
            with path.open("rb") as file:
                self._add_file(name, file)
        elif stat.S_ISDIR(found.st_mode):
            self._add(_info(name, 0, found, tarfile.DIRTYPE), None)
        elif stat.S_ISLNK(found.st_mode):
            link = _info(name, 0, found, tarfile.SYMTYPE)
            link.linkname = str(path.readlink())
            self._add(link, None)

    def finish(self) -> None:
        """Write the list; nothing is added afterwards."""
        end = {
            "files": self._files,
            "artifacts": self._artifacts,
            "bytes": self._bytes,
            "absent": self.absent,
            "sha256": self._digest.hexdigest(),
        }
        self._lines.write(orjson.dumps(end) + b"\n")
        size = self._lines.tell()
        self._lines.seek(0)
        self._tar.addfile(_info(_LIST, size), self._lines)
        self._tar.close()
        self._file.flush()

    def _add_file(self, name: str, file: IO[bytes]) -> None:
        found = os.fstat(file.fileno())
        source = _Measured(file, found.st_size)
        self._add(_info(name, found.st_size, found), source)
        if source.short:
            self.absent.append(f"the end of {name}, which was cut short meanwhile")

    def _add(self, info: tarfile.TarInfo, source: Any) -> None:
        measured = source if isinstance(source, _Measured) else _Measured(source, info.size)
        self._tar.addfile(info, measured if info.isreg() else None)
        _forget(self._tar)
        line = _line(_member(info), measured)
        self._digest.update(line)
        self._lines.write(line)
        if info.isreg() and info.name not in {_HEAD, DATABASE}:
            self._bytes += info.size
            is_artifact = info.name.startswith("artifacts/")
            self._artifacts += is_artifact
            self._files += not is_artifact


@contextmanager
def writing(target: Path, head: dict[str, Any]) -> Iterator[Archive]:
    """The caller finishes it."""
    with target.open("wb") as file, tempfile.TemporaryFile(dir=target.parent) as lines:
        yield Archive(file, lines, head)


def is_archive(source: Path) -> bool:
    with source.open("rb") as file:
        return file.read(len(_HEAD)) == _HEAD.encode()


def read(source: Path, take: Take | None = None) -> Listed:
    """Read all of an archive, and hand each member to ``take``.

    Raises ConfigurationError that names what is missing or bent. What was taken counts only when
    this returns.
    """
    try:
        with tempfile.TemporaryFile() as seen, tarfile.open(source, "r|", bufsize=_CHUNK) as tar:
            head: dict[str, Any] = {}
            while (info := tar.next()) is not None:
                _forget(tar)
                data = tar.extractfile(info) if info.isreg() else None
                if info.name == _LIST and data is not None:
                    return _compare(source, head, data, seen)
                member = _member(info)
                _refuse_outside(source, member)
                measured = _Measured(data, info.size)
                if info.name == _HEAD:
                    head = _read_head(source, measured)
                elif take is not None:
                    take(member, measured)
                seen.write(_line(member, measured))
    except (tarfile.TarError, EOFError, ValueError, KeyError, TypeError) as error:
        raise _unusable(source, "it is not a whole backup") from error
    raise _unusable(source, "its list of files is missing")


class _Measured:
    """Reads exactly so many bytes, zeros where they end early, and their digest."""

    def __init__(self, source: Source | None, size: int) -> None:
        self._source, self._left = source, size
        self._digest = hashlib.sha256()
        self.short = False

    def read(self, size: int = -1, /) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        if wanted == 0 or self._source is None:
            return b""
        data = self._source.read(wanted)
        if len(data) < wanted:
            self.short = True
            data += bytes(wanted - len(data))
        self._left -= wanted
        self._digest.update(data)
        return data

    def digest(self) -> str:
        """Of everything; what nobody read is read."""
        while self.read(_CHUNK):
            pass
        return self._digest.hexdigest()


class _Bytes:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, size: int = -1, /) -> bytes:
        size = len(self._data) if size < 0 else size
        found, self._data = self._data[:size], self._data[size:]
        return found


def _info(
    name: str, size: int, found: os.stat_result | None = None, kind: bytes = tarfile.REGTYPE
) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    info.mode = 0o600 if found is None else stat.S_IMODE(found.st_mode)
    if found is not None:
        # Logs are shown in the order of their times; whole seconds are cheaper for all else.
        info.mtime = found.st_mtime if name.endswith(".log") else int(found.st_mtime)
    return info


def _member(info: tarfile.TarInfo) -> Member:
    kind = _KINDS.get(info.type)
    if kind is None:
        raise ValueError(info.name)
    target = info.linkname if kind == "link" else ""
    return Member(info.name, kind, info.mode, info.size, float(info.mtime), target)


def _line(member: Member, source: _Measured) -> bytes:
    """File names may be any bytes; JSON may not."""
    what = source.digest() if member.kind == "file" else _plain(member.target)
    return orjson.dumps([_plain(member.name), member.kind, member.mode, member.size, what]) + b"\n"


def _forget(tar: tarfile.TarFile) -> None:
    """Else it would remember each member for as long as it is open."""
    members: list[tarfile.TarInfo] = vars(tar)["members"]
    members.clear()


def _plain(name: str) -> str:
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _read_head(source: Path, measured: _Measured) -> dict[str, Any]:
    head: dict[str, Any] = orjson.loads(measured.read())
    if head["shipway"] != "backup" or head["format"] != FORMAT:
        raise _unusable(source, "it is in a format that this version does not read")
    return head


def _refuse_outside(source: Path, member: Member) -> None:
    parts = member.name.split("/")
    if member.name.startswith("/") or "" in parts or "." in parts or ".." in parts:
        raise _unusable(source, "it names a file outside the state directory")


def _compare(source: Path, head: dict[str, Any], data: IO[bytes], seen: IO[bytes]) -> Listed:
    """The list at the end, line by line beside what was found."""
    if not head:
        raise _unusable(source, "it does not say what it is")
    seen.seek(0)
    digest, end = hashlib.sha256(), None
    for line in data:
        said = orjson.loads(line)
        if isinstance(said, dict):
            end = said
            break
        digest.update(line)
        found = seen.readline()
        if found != line:
            name = said[0]
            is_other = not found or orjson.loads(found)[0] != name
            raise _unusable(source, f"{name} is {'missing' if is_other else 'altered'}")
    if end is None or end["sha256"] != digest.hexdigest() or seen.readline():
        raise _unusable(source, "its list of files is not the one that was written")
    return Listed(head, end["files"], end["artifacts"], end["bytes"], list(end["absent"]))


def _unusable(source: Path, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"{source} cannot be restored: {why}", hint="take another backup of the same state"
    )
