"""Files of runs, addressed by the sha256 of their bytes and never changed once written."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from shipway.contracts.model import ArtifactRef
from shipway.errors import NotFoundError, ResourceError

_SHA256_HEX = 64


class ArtifactStore:
    """A directory of read-only files named by digest; writing the same bytes twice is one file."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, data: bytes, name: str, media_type: str) -> ArtifactRef:
        """Keep ``data``; durable when this returns. Raises ResourceError when the disk is full."""
        digest = hashlib.sha256(data).hexdigest()
        target = self._place(digest)
        if target.exists():
            os.utime(target)  # young again: whoever tidies goes by that
        else:
            self._write(target, data)
        return ArtifactRef(name=name, sha256=digest, size=len(data), media_type=media_type)

    def put_file(self, path: Path, name: str, media_type: str) -> ArtifactRef:
        return self.put(path.read_bytes(), name, media_type)

    def read(self, ref: ArtifactRef) -> bytes:
        """The bytes, checked against the digest; raises NotFoundError if gone or altered."""
        try:
            data = self._place(ref.sha256).read_bytes()
        except FileNotFoundError:
            raise NotFoundError(f"the artifact {ref.name} is gone") from None
        if hashlib.sha256(data).hexdigest() != ref.sha256:
            raise NotFoundError(f"the artifact {ref.name} was altered on disk")
        return data

    def path(self, ref: ArtifactRef) -> Path:
        return self._place(ref.sha256)

    def verify(self, ref: ArtifactRef) -> bool:
        """Whether it exists with the size and digest that it claims."""
        path = self._place(ref.sha256)
        try:
            if path.stat().st_size != ref.size:
                return False
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == ref.sha256
        except OSError:
            return False

    def has(self, ref: ArtifactRef) -> bool:
        """Whether there is one as long as it should be; its bytes are not looked at."""
        try:
            return self._place(ref.sha256).stat().st_size == ref.size
        except FileNotFoundError:
            return False

    def each(self) -> Iterator[tuple[Path, bool]]:
        """Every file, and whether its bytes are what its name says."""
        for path in sorted(self._root.glob("*/*")):
            if len(path.name) == _SHA256_HEX:
                with path.open("rb") as file:
                    yield path, hashlib.file_digest(file, "sha256").hexdigest() == path.name

    def older_than(self, before: float) -> Iterator[Path]:
        """Files that nobody has written since ``before``."""
        for path in sorted(self._root.glob("*/*")):
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < before:
                    yield path

    def _place(self, digest: str) -> Path:
        return self._root / digest[:2] / digest

    def _write(self, target: Path, data: bytes) -> None:
        try:
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle, temporary = tempfile.mkstemp(dir=target.parent)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                Path(temporary).chmod(0o400)
                Path(temporary).rename(target)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise
        except OSError as error:
            raise ResourceError(
                f"an artifact could not be written: {error.strerror}",
                hint="free space in the state directory; the run goes on with the next command",
            ) from error


def named_in(value: Any) -> Iterator[ArtifactRef]:
    """Every artifact that plain data names, wherever it stands."""
    if isinstance(value, Mapping):
        if set(value) == {"name", "sha256", "size", "media_type"}:
            yield ArtifactRef.model_validate(dict(value))
            return
        value = value.values()
    elif not isinstance(value, list | tuple):
        return
    for item in value:
        yield from named_in(item)
