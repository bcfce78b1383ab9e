"""Tools of other stacks that a person keeps below their home: tests see these, and nothing beside them."""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

#: What shows that the directory above a program's is an installation, and not somebody's home.
_MARKS = {"node": "lib/node_modules/npm", "go": "pkg/tool", "deno": "deno", "java": "lib/modules"}
_RUSTUP = "rustup"
_VERSIONS = (".", "bin", "VERSION", "toolchains", "update-hashes", "settings.toml")
#: Where what `prepare` fetches is found again: in the checkout, and no part of what is judged.
_KEPT = Path(".git", "fetched")


@dataclass(frozen=True, slots=True)
class Toolchains:
    """Directories to show, those with programs among them, and what the programs want to be told."""

    readable: tuple[Path, ...] = ()
    programs: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)


@functools.cache
def found() -> Toolchains:
    """What this machine's PATH leads to below the home of whoever started us."""
    readable: list[Path] = []
    programs: list[str] = []
    env: dict[str, str] = {}
    for place, shown in _installations():
        programs.append(str(place))
        readable += shown
    rustup = _rustup()
    if rustup is not None:
        place, home = rustup
        programs.append(str(place))
        readable += [place, home]
        env["RUSTUP_HOME"] = str(home)
    return Toolchains(tuple(readable), tuple(dict.fromkeys(programs)), env)


def watched() -> list[Path]:
    """What changes when one of them is replaced by another version."""
    return [place / name for place in found().readable for name in _VERSIONS]


def caches(tree: Path) -> dict[str, str]:
    """Where the package managers of other stacks keep what they fetch for this checkout."""
    kept = tree / _KEPT
    if not (tree / ".git").is_dir():
        return {}
    return {
        "CARGO_HOME": str(kept / "cargo"),
        "GOMODCACHE": str(kept / "gomod"),
        "GOCACHE": str(kept / "gobuild"),
        "GOTOOLCHAIN": "local",
        "npm_config_cache": str(kept / "npm"),
        "npm_config_update_notifier": "false",
    }


def where(program: str) -> str:
    """What a person can do about a program that tests cannot find."""
    here = shutil.which(program)
    if here is None:
        return "install it on this machine, or name another `test:` in the base's policy"
    return f"{Path(here).parent} is hidden from them; install it below /usr/local or /opt"


def _installations() -> Iterator[tuple[Path, list[Path]]]:
    for program, mark in _MARKS.items():
        said = shutil.which(program)
        if said is None:
            continue
        for place in (Path(said).parent, Path(said).resolve().parent):
            root = place.parent if place.name == "bin" else place
            if _in_home(root) and (root / mark).exists():
                yield place, [root]
                break


def _rustup() -> tuple[Path, Path] | None:
    """Where rustup's programs are and what they start, without a registry's password beside them."""
    said = shutil.which("cargo")
    if said is None or Path(said).resolve().name != _RUSTUP or not _in_home(Path(said)):
        return None
    home = Path(os.environ.get("RUSTUP_HOME") or Path.home() / ".rustup")
    there = (home / "toolchains").is_dir() and (home / "settings.toml").is_file()
    return (Path(said).parent, home) if there else None


def _in_home(path: Path) -> bool:
    home = Path.home().resolve()
    return home != Path("/") and home in path.resolve().parents
