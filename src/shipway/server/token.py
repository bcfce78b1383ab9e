"""The local token: made once, kept in a file that only its owner reads, compared in constant time."""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
import stat
from pathlib import Path

from shipway.errors import ConfigurationError
from shipway.secrets import Secret

_LENGTH = 43


def token_of(home: Path) -> Secret:
    """The token of a home, made if there is none; raises ConfigurationError if others may read it."""
    path = home / "token"
    with contextlib.suppress(FileExistsError):
        _make(path)
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise ConfigurationError(
            "the token can be read or changed by others",
            hint=f"remove {path}; the next start makes a new one",
        )
    text = path.read_text("ascii", errors="replace").strip()
    if len(text) < _LENGTH:
        raise ConfigurationError(
            "the token is too short to be one of ours",
            hint=f"remove {path}; the next start makes a new one",
        )
    return Secret(text)


def _make(path: Path) -> None:
    """Appears whole or not at all, also when two servers start at once."""
    fresh = path.with_name(f".token-{os.getpid()}-{secrets.token_hex(4)}")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(fresh, path)
    finally:
        fresh.unlink()


class TokenCheck:
    """Whether a request's Authorization header carries the token."""

    def __init__(self, token: Secret) -> None:
        self._wanted = b"Bearer " + token.reveal().encode()

    def __call__(self, header: bytes | None) -> bool:
        return header is not None and hmac.compare_digest(header, self._wanted)
