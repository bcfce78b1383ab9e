"""Verdicts of earlier checks, found again only when nothing that could change them is different."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from pydantic import TypeAdapter
from pydantic import ValidationError as ShapeError

import shipway
from shipway.contracts.evidence import GateEvidence, GateSelection
from shipway.contracts.model import ArtifactRef
from shipway.domain.gates import Verdict
from shipway.gates import toolchains

KEPT_S = 30 * 24 * 3600.0
MOST = 4000
# What a test may find on the machine beside its own environment, as far as it can be told quickly.
_SYSTEM = (
    "/usr/bin",
    "/usr/lib",
    "/usr/local/bin",
    "/var/lib/dpkg/status",
    "/lib/apk/db/installed",
)
_SELECTIONS = TypeAdapter(list[GateSelection])


class Verified(Protocol):
    """The part of the artifact store that is asked whether a log is still there."""

    def verify(self, ref: ArtifactRef) -> bool: ...


def key(*parts: object) -> str:
    """One digest of everything given; the order counts."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def surroundings(python: Path, fence: str) -> list[object]:
    """What is the same for all checks here: this program, its tools, Python, system and fence."""
    return [
        _program(),
        sys.version,
        _stamp(python.resolve()),
        list(os.uname()),
        os.geteuid(),
        len(os.sched_getaffinity(0)),
        fence,
        [_stamp(Path(place)) for place in (*_SYSTEM, *os.environ.get("PATH", "").split(":"))],
        [_stamp(place) for place in toolchains.watched()],
    ]


@functools.cache
def _program() -> str:
    """The digest of our own sources and locked tools: a changed gate never meets verdicts of the old one."""
    whole = hashlib.sha256()
    root = Path(shipway.__file__).parent
    for room in ("gates", "check", "contracts", "domain", "workspace", "specs"):
        for path in sorted((root / room).rglob("*")):
            if path.suffix in {".py", ".txt"}:
                whole.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
    return whole.hexdigest()


def directories(places: Iterable[str]) -> str:
    """The digest of what lies in directories outside the repository, such as hold-out tests."""
    whole = hashlib.sha256()
    for place in places:
        root = Path(place)
        for path in sorted(root.rglob("*")):
            if path.is_file():
                whole.update(str(path).encode() + b"\0" + path.read_bytes())
    return whole.hexdigest()


def stamps(place: Path) -> str:
    """The digest of how files look from outside, for what is too large to be read each time."""
    found = sorted(place.rglob("*")) if place.is_dir() else []
    return key([_stamp(path) for path in (place, *found)])


def _stamp(path: Path) -> list[object]:
    try:
        facts = path.stat()
    except OSError:
        return [str(path)]
    return [str(path), facts.st_ino, facts.st_mtime_ns, facts.st_size]


class Memory:
    """A directory of small files; whatever cannot be read, or lost a log, was never known."""

    def __init__(self, root: Path, shelf: Verified) -> None:
        self._root = root
        self._shelf = shelf

    def selections(self, name: str) -> list[GateSelection] | None:
        """What was selected for the same trees, claim and policy."""
        held = self._read(name)
        if held is None:
            return None
        try:
            return _SELECTIONS.validate_python(held["selections"], strict=False)
        except (ShapeError, KeyError):
            return None

    def keep_selections(self, name: str, chosen: Sequence[GateSelection]) -> None:
        self._write(name, {"selections": [one.model_dump(mode="json") for one in chosen]})

    def evidence(self, name: str) -> GateEvidence | None:
        """A gate's evidence of the same inputs, with its log and its environments still there."""
        held = self._read(name)
        if held is None:
            return None
        try:
            found = GateEvidence.model_validate_json(json.dumps(held["evidence"]))
            stamps = held["environments"]
        except (ShapeError, KeyError):
            return None
        if any(_stamp(Path(one[0])) != one for one in stamps):
            return None
        return found if found.log is None or self._shelf.verify(found.log) else None

    def keep(self, name: str, found: GateEvidence, environments: Iterable[Path]) -> None:
        """Keep what would be the same another time; errors and chance are not."""
        certain = found.verdict in {Verdict.PASS, Verdict.FAIL} and not found.counts.get("flaky")
        if certain or (found.verdict is Verdict.NOT_RUN and not found.command):
            stamps = [_stamp(path / "pyvenv.cfg") for path in environments]
            self._write(name, {"evidence": found.model_dump(mode="json"), "environments": stamps})

    # -- files --------------------------------------------------------------------------------

    def _place(self, name: str) -> Path:
        return self._root / f"{name}.json"

    def _read(self, name: str) -> dict[str, Any] | None:
        """The entry, whose own digest has been checked."""
        try:
            digest, _, body = self._place(name).read_bytes().partition(b"\n")
        except OSError:
            return None
        if hashlib.sha256(body).hexdigest().encode() != digest:
            return None
        held = json.loads(body)
        return held if isinstance(held, dict) else None

    def _write(self, name: str, held: Mapping[str, Any]) -> None:
        body = json.dumps(held).encode()
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, temporary = tempfile.mkstemp(dir=self._root)
        with os.fdopen(handle, "wb") as file:
            file.write(hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
        Path(temporary).replace(self._place(name))

    def tidy(self, *others: Path) -> None:
        """Forget what is old, here and in ``others``, and the oldest of what is too much."""
        oldest = time.time() - KEPT_S
        for root in (self._root, *others):
            entries = sorted(
                (path for path in root.rglob("*") if path.is_file()), key=_age, reverse=True
            )
            for number, entry in enumerate(entries):
                if number >= MOST or _age(entry) < oldest:
                    entry.unlink(missing_ok=True)


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # another check tidies as well
        return 0.0
