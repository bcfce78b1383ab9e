"""Advisories as OSV records, from a directory or an archive on this machine, held against packages."""

from __future__ import annotations

import hashlib
import re
import zipfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packaging.version import InvalidVersion, Version

from shipway.gates.parsers.reading import (
    LIMIT,
    UnreadableReportError,
    load_json,
    mapping,
    sequence,
    short,
    text,
)

PYPI = "PyPI"
_NAME = re.compile(rb'"name"\s*:\s*"((?:[^"\\]|\\.)*)"')
_SEMVER = re.compile(r"^v?(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.-]+))?(?:\+.*)?$")
_COMPARED = frozenset({"ECOSYSTEM", "SEMVER"})
_MOST = 2_000_000

Key = Any
"""A version as something that can be compared with others of its ecosystem."""


@dataclass(frozen=True, slots=True)
class Package:
    """A package at the version that would be used, in the words of its ecosystem."""

    ecosystem: str
    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


@dataclass(frozen=True, slots=True)
class Advisory:
    """What is known of one version of one package. ``sure`` is False where it cannot be compared."""

    id: str
    package: Package
    summary: str
    fixed: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    sure: bool = True

    def __str__(self) -> str:
        also = f" ({', '.join(self.aliases[:3])})" if self.aliases else ""
        mended = f"; mended in {', '.join(self.fixed)}" if self.fixed else "; not mended yet"
        doubt = "" if self.sure else "; whether this version is concerned cannot be told"
        return short(f"{self.package}{also}: {self.summary}{mended}{doubt}")


@dataclass(slots=True)
class Source:
    """Every record of a source was looked at. ``newest`` is the day of the latest change in it."""

    records: int = 0
    newest: str = ""
    digest: str = ""
    found: list[Advisory] = field(default_factory=list)


def normal(ecosystem: str, name: str) -> str:
    """Names as they are compared: PyPI takes case and separators for the same."""
    return re.sub(r"[-_.]+", "-", name).lower() if ecosystem == PYPI else name


def look(place: Path, packages: Collection[Package]) -> Source:
    """Hold all records in a directory or zip against the packages.

    Raises UnreadableReportError when a record that may concern one cannot be read.
    """
    wanted: dict[tuple[str, str], list[Package]] = {}
    for one in packages:
        wanted.setdefault((one.ecosystem, normal(one.ecosystem, one.name)), []).append(one)
    names = {name for _, name in wanted}
    source, whole = Source(), hashlib.sha256()
    for file, data in _files(place):
        source.records += 1
        whole.update(file.encode("utf-8", "surrogateescape") + b"\0" + data)
        if not _may_concern(data, names):
            continue
        record = _record(file, data)
        source.newest = max(source.newest, str(record.get("modified", ""))[:10])
        if "withdrawn" not in record:
            source.found += _held(record, wanted)
    source.digest = whole.hexdigest()
    source.found.sort(key=lambda one: (one.package.name, one.id))
    return source


def _files(place: Path) -> Iterator[tuple[str, bytes]]:
    if place.is_dir():
        for path in sorted(place.rglob("*.json")):
            if path.is_file():
                if path.stat().st_size > LIMIT:
                    raise UnreadableReportError(f"the record {path.name} is too large")
                yield path.relative_to(place).as_posix(), path.read_bytes()
        return
    try:
        with zipfile.ZipFile(place) as archive:
            entries = [one for one in archive.infolist() if one.filename.endswith(".json")]
            if len(entries) > _MOST or any(one.file_size > LIMIT for one in entries):
                raise UnreadableReportError("the archive of advisories is larger than can be meant")
            for entry in entries:
                with archive.open(entry) as opened:
                    yield entry.filename, opened.read(LIMIT)
    except (OSError, zipfile.BadZipFile, zipfile.LargeZipFile, EOFError) as error:
        raise UnreadableReportError(
            f"the advisories cannot be read: {type(error).__name__}"
        ) from None


def _may_concern(data: bytes, names: Collection[str]) -> bool:
    """Whether a name in it is wanted; a name with an escape is looked at closely."""
    for found in _NAME.findall(data):
        name = found.decode("utf-8", "replace")
        if "\\" in name or name in names or normal(PYPI, name) in names:
            return True
    return not data.rstrip().endswith(b"}")


def _record(file: str, data: bytes) -> dict[str, Any]:
    try:
        return mapping(load_json(data), "a record")
    except UnreadableReportError as error:
        raise UnreadableReportError(f"the advisory {short(file)}: {error}") from None


def _held(
    record: Mapping[str, Any], wanted: Mapping[tuple[str, str], list[Package]]
) -> Iterator[Advisory]:
    name = text(record.get("id"), "an advisory's id")
    said = str(record.get("summary") or record.get("details") or "no description").strip()
    aliases = tuple(map(str, sequence(record.get("aliases") or [], "aliases of an advisory")))
    for affected in sequence(record.get("affected") or [], "what an advisory affects"):
        facts = mapping(affected, "what an advisory affects")
        package = mapping(facts.get("package") or {}, "an affected package")
        ecosystem = str(package.get("ecosystem", "")).partition(":")[0]
        called = normal(ecosystem, str(package.get("name", "")))
        for one in wanted.get((ecosystem, called), ()):
            concerned = _concerns(facts, one)
            if concerned is not False:
                yield Advisory(
                    name, one, said.splitlines()[0], _fixed(facts), aliases, concerned is True
                )


def _concerns(facts: Mapping[str, Any], package: Package) -> bool | None:
    """Whether the version is listed or in a range; None where nobody can compare it."""
    listed = sequence(facts.get("versions") or [], "affected versions")
    if package.version in listed:
        return True
    here = key(package.ecosystem, package.version)
    unsure = False
    for one in sequence(facts.get("ranges") or [], "affected ranges"):
        said = mapping(one, "an affected range")
        if said.get("type") not in _COMPARED:
            continue
        inside = None if here is None else _inside(package.ecosystem, here, said)
        if inside:
            return True
        unsure = unsure or inside is None
    return None if unsure else False


def _inside(ecosystem: str, here: Key, said: Mapping[str, Any]) -> bool | None:
    """The events of a range in the order of their versions: the last before ours decides."""
    events: list[tuple[str, Key]] = []
    for one in sequence(said.get("events") or [], "events of a range"):
        for kind, version in mapping(one, "an event of a range").items():
            if kind == "introduced" and version == "0":
                events.append((kind, None))
                continue
            at = key(ecosystem, str(version))
            if at is None:
                return None
            events.append((kind, at))
    limits = [at for kind, at in events if kind == "limit"]
    if limits and not any(here < at for at in limits):
        return False
    inside = False
    for kind, at in sorted(events, key=lambda one: (0,) if one[1] is None else (1, one[1])):
        if kind == "introduced" and (at is None or here >= at):
            inside = True
        elif (kind == "fixed" and here >= at) or (kind == "last_affected" and here > at):
            inside = False
    return inside


def _fixed(facts: Mapping[str, Any]) -> tuple[str, ...]:
    found = [
        str(event["fixed"])
        for one in facts.get("ranges") or []
        if one.get("type") in _COMPARED
        for event in one.get("events") or []
        if "fixed" in event
    ]
    return tuple(dict.fromkeys(found))


def key(ecosystem: str, version: str) -> Key | None:
    """What versions are compared by; None for one that is written in no known way."""
    if ecosystem == PYPI:
        try:
            return Version(version)
        except InvalidVersion:
            return None
    found = _SEMVER.match(version)
    if found is None:
        return None
    numbers = tuple(int(found[place]) for place in (1, 2, 3))
    # A version without a suffix comes after all that have one; numbers come before words.
    words = (
        (1, ())
        if found[4] is None
        else (
            0,
            tuple(
                (0, int(part), "") if part.isdigit() else (1, 0, part)
                for part in found[4].split(".")
            ),
        )
    )
    return numbers, words
