"""The packages that a tree's own lock files name, for stacks whose environments are not built here."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from shipway.gates.osv import Package
from shipway.gates.parsers.reading import LIMIT, UnreadableReportError

_GO = re.compile(r"(?m)^\s*(?:require\s+)?([\w.-]+\.[\w.-]+/\S+)\s+v(\d\S*)(?:\s*//.*)?$")


def packages(tree: Path) -> list[Package]:
    """Every package of package-lock.json, Cargo.lock and go.mod at the top of the tree.

    Raises UnreadableReportError for a lock that cannot be read.
    """
    found: set[Package] = set()
    for name, read in _READERS.items():
        path = tree / name
        if path.is_file() and not path.is_symlink() and path.stat().st_size <= LIMIT:
            try:
                found.update(read(path.read_text(encoding="utf-8")))
            except (ValueError, TypeError, AttributeError, RecursionError):
                raise UnreadableReportError(f"the lock file {name} cannot be read") from None
    return sorted(found, key=lambda one: (one.ecosystem, one.name, one.version))


def _npm(text: str) -> Iterator[Package]:
    table = json.loads(text)
    for place, facts in (table.get("packages") or {}).items():
        name = facts.get("name") or place.rpartition("node_modules/")[2]
        if place and not facts.get("link") and "version" in facts:
            yield Package("npm", name, str(facts["version"]))
    yield from _older_npm(table)


def _older_npm(table: dict[str, Any]) -> Iterator[Package]:
    for name, facts in (table.get("dependencies") or {}).items():
        if "version" in facts:
            yield Package("npm", name, str(facts["version"]))
        yield from _older_npm(facts)


def _cargo(text: str) -> Iterator[Package]:
    for one in tomllib.loads(text).get("package", []):
        if str(one.get("source", "")).startswith(("registry+", "sparse+")):
            yield Package("crates.io", str(one["name"]), str(one["version"]))


def _go(text: str) -> Iterator[Package]:
    for name, version in _GO.findall(text):
        yield Package("Go", name, version)


_READERS: dict[str, Callable[[str], Iterator[Package]]] = {
    "package-lock.json": _npm, "npm-shrinkwrap.json": _npm, "Cargo.lock": _cargo, "go.mod": _go,
}  # fmt: skip
