"""The gates' own tools: one pinned environment, and each tool's version as the tool states it."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from importlib import resources
from pathlib import Path

from shipway.errors import Category, CommandError, NetworkError
from shipway.gates.bench import Bench
from shipway.gates.look import Doubt, unreachable
from shipway.workspace.environments import Environment, Environments
from shipway.workspace.fence import Limits

VERSION = re.compile(r"\b(\d+\.\d+(?:\.\d+)?[\w.+-]*)")
QUICK = Limits(seconds=60.0, memory_mb=1024, processes=64)
PLACE = Path(str(resources.files("shipway.gates")))
TOOLS = PLACE / "tools.txt"
RUNNER = PLACE / "runner.txt"


def tool_environment(
    environments: Environments, *, say: Callable[[str], None] | None = None,
    cancel: threading.Event | None = None,
) -> Environment:  # fmt: skip
    """The pinned tools, built once for every run on this machine."""
    return _built(environments, TOOLS, say, cancel)


def runner_environment(
    environments: Environments, *, say: Callable[[str], None] | None = None,
    cancel: threading.Event | None = None,
) -> Environment:  # fmt: skip
    """pytest and coverage for candidates whose own requirements bring none."""
    return _built(environments, RUNNER, say, cancel)


def checker_environment(
    environments: Environments, name: str, *, say: Callable[[str], None] | None = None,
    cancel: threading.Event | None = None,
) -> Environment:  # fmt: skip
    """A pinned tool that is too large, or too seldom wanted, to be among the others."""
    return _built(environments, PLACE / f"{name}.txt", say, cancel)


def _built(
    environments: Environments, lock: Path, say: Callable[[str], None] | None,
    cancel: threading.Event | None,
) -> Environment:  # fmt: skip
    """Our own pins can be installed wherever packages can be reached at all: else, the network."""
    try:
        return environments.build([lock], say=say, cancel=cancel)
    except CommandError as error:
        if not unreachable(error):
            raise
        raise NetworkError(
            "the gates' tools cannot be fetched: no package index answers",
            hint="look at the network and at pip's own settings, then resume the run",
            details=error.details,
        ) from error


def _installed(tool: Path) -> str | None:
    """The version of the package that is called like a program, beside it in its environment."""
    name = re.sub(r"[-.]", "_", tool.name)
    if not tool.is_file():
        return None
    found = [
        one.name.removesuffix(".dist-info").rpartition("-")[2]
        for one in tool.parent.parent.glob(f"lib/python3.*/site-packages/{name}-*.dist-info")
    ]
    return found[0] if len(found) == 1 and VERSION.fullmatch(found[0]) else None


def version(bench: Bench, argv: list[str], scratch: Path) -> str:
    """What is installed, else what the tool answers to ``--version``; raises Doubt when it does not.

    An environment of ours cannot change, and to start a tool only to be told costs as much as a run.
    """
    known = _installed(Path(argv[0])) if len(argv) == 1 else None
    if known is not None:
        return known
    finished = bench.run([*argv, "--version"], writable=scratch, limits=QUICK)
    found = VERSION.search(finished.output.decode("utf-8", "replace"))
    if finished.exit_code != 0 or found is None:
        name = Path(argv[0]).name if len(argv) == 1 else argv[-1]
        raise Doubt(f"the tool {name} is missing or does not start", Category.DEPENDENCY)
    return found[1]
