"""What every runner works with: a tree that cannot be written, the fence, the tools, a place for logs."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from shipway.contracts.model import ArtifactRef
from shipway.errors import ShipwayError
from shipway.gates.project import Project
from shipway.workspace.environments import Environment
from shipway.workspace.fence import Command, Fence, Finished, Limits, Running

STATIC = Limits(seconds=180.0, memory_mb=2048, processes=256, output_mb=64)
TESTS = Limits(seconds=900.0, memory_mb=4096, processes=512)


class Shelf(Protocol):
    """The part of the artifact store that gates need."""

    def put(self, data: bytes, name: str, media_type: str) -> ArtifactRef: ...


@dataclass(frozen=True, slots=True)
class Bench:
    """One tree to be judged. ``work`` is ours; nothing of a candidate may write there unasked.

    ``readable`` is what git needs to work in the tree, ``candidate`` the environment of the tree's
    own requirements, ``runner`` holds pytest and coverage for candidates that bring none,
    ``checker`` a tool that only the projects which configure it need;
    ``own`` names the packages that the base is the source of, whatever else is installed;
    ``unbuilt`` says why there is no ``candidate``, ``without`` names what is asked for and cannot be
    had; ``patience`` is what tests may use at most; what
    tools may remember of libraries is kept in ``cache``.
    """

    fence: Fence
    shelf: Shelf
    tools: Environment
    project: Project
    tree: Path
    tree_id: str
    work: Path
    readable: tuple[Path, ...] = ()
    candidate: Environment | None = None
    unbuilt: ShipwayError | None = None
    without: tuple[str, ...] = ()
    cache: Path | None = None
    runner: Environment | None = None
    checker: Environment | None = None
    own: tuple[str, ...] = ()
    patience: Limits = TESTS
    cancel: threading.Event = field(default_factory=threading.Event)
    say: Callable[[str], None] = print

    def place(self, name: str) -> Path:
        """A new directory of our own for one gate's reports and caches."""
        path = self.work / name
        path.mkdir(parents=True)
        return path

    def run(
        self,
        argv: list[str],
        *,
        writable: Path,
        limits: Limits = STATIC,
        cwd: Path | None = None,
        readable: tuple[Path, ...] = (),
        stdin: bytes | None = None,
        env: dict[str, str] | None = None,
        join: Running | None = None,
    ) -> Finished:
        """The command in the fence, in the tree; only ``writable`` and a ``cwd`` can be written.

        There is no network but that of ``join``.
        """
        command = Command(
            argv=tuple(argv),
            cwd=cwd or self.tree,
            writable=(writable,) if cwd is None or cwd == writable else (writable, cwd),
            env={"PYTHONDONTWRITEBYTECODE": "1", "NO_COLOR": "1", **(env or {})},
            limits=limits,
            stdin=stdin,
            readable=(*self.readable, *readable),
        )
        return self.fence.run(command, cancel=self.cancel, join=join)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def text_digest(*parts: str) -> str:
    return digest("\0".join(parts).encode())
