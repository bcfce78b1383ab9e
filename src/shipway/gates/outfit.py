"""The environment of a tree: what its own files ask for, or what comes next to it where that is gone."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from shipway.errors import CommandError, FenceError, ShipwayError
from shipway.gates.bench import Bench
from shipway.gates.declared import name_of, requirement_files, requires_python
from shipway.gates.look import unreachable
from shipway.gates.testing import brings_runner
from shipway.gates.tools import runner_environment
from shipway.workspace.environments import Environment, Environments

DROPPED = 5
"""How many packages that cannot be had an environment may do without."""
_CULPRITS = tuple(
    re.compile(pattern)
    for pattern in (
        r"there (?:are|is) no versions? of (?P<name>[\w.-]+)",
        r"(?P<name>[\w.-]+) was not found in the package registry",
        r"Failed to (?:download and )?build `(?P<name>[\w.-]+?)(?:==|`| @)",
        r"No matching distribution found for (?P<name>[\w.-]+)",
        r"Failed building wheel for (?P<name>[\w.-]+)",
        r"Failed to build (?:installable wheels for some pyproject.toml based projects \()?(?P<name>[\w.-]+)",
    )
)


@dataclass(frozen=True, slots=True)
class Outfitter:
    """Builds what candidates run in. ``day`` is the one whose packages count, None for today's."""

    environments: Environments
    say: Callable[[str], None]
    cancel: threading.Event
    day: str | None = None

    def suiting(self, base: Path, committed: datetime) -> Outfitter:
        """With the Python and the packages that a base at this place, of this time, was written for."""
        environments = self.environments.suiting(requires_python(base), committed)
        return replace(self, environments=environments, day=environments.day(committed))

    def others(self, base: Path) -> list[tuple[str, Outfitter]]:
        """The same for other Pythons of this machine that the base says it runs with, by version."""
        requires = requires_python(base)
        if not requires:
            return []
        return [
            (one.version, replace(self, environments=one.environments, day=one.day))
            for one in self.environments.others(requires, self.day)
        ]

    def equipped(self, bench: Bench) -> Bench:
        """The bench with the environment of its tree, or with the reason why there is none."""
        try:
            built, without = self._environment(bench)
            runner = None if brings_runner(built) else self._runner(bench)
        except FenceError:
            raise
        except ShipwayError as error:
            return replace(bench, unbuilt=_explained(error))
        return replace(bench, candidate=built, runner=runner, without=without)

    def as_declared(self, bench: Bench) -> Bench:
        """The same, with exactly what is asked for and nothing to run tests with: what is served."""
        try:
            files = requirement_files(bench.project, bench.tree, bench.work)
            built = self.environments.build(files, say=self.say, cancel=self.cancel)
        except FenceError:
            raise
        except ShipwayError as error:
            return replace(bench, unbuilt=_explained(error))
        return replace(bench, candidate=built)

    def _environment(self, bench: Bench) -> tuple[Environment, tuple[str, ...]]:
        """What the tree asks for; when that cannot be had any more, what comes next to it.

        An old commit gets the packages of its day, since what came later may not go with it, and
        one whose exact versions are gone gets the nearest there are. Raises the first way's error.
        """
        day = self.day
        ways = [(day, False), *([(day, True), (None, False)] if day else []), (None, True)]
        first: CommandError | None = None
        for number, (before, loosened) in enumerate(ways):
            place = bench.work / f"environment-{number}"
            place.mkdir(exist_ok=True)
            try:
                return self._installed(bench, place, before, loosened=loosened)
            except CommandError as error:
                if self.cancel.is_set() or unreachable(error):
                    raise
                first = first or error
        raise first or CommandError("the environment cannot be built")

    def _installed(
        self, bench: Bench, place: Path, before: str | None, *, loosened: bool
    ) -> tuple[Environment, tuple[str, ...]]:
        """One way, without what cannot be had: whether a test needs that, its outcome tells."""
        without: set[str] = set()
        while True:
            files = requirement_files(
                bench.project, bench.tree, place, loosened=loosened, without=frozenset(without)
            )
            if before is not None:
                files = [*files, *_runner_of_its_day(files, place)]
            try:
                built = self.environments.build(
                    files, before=before, say=self.say, cancel=self.cancel
                )
            except CommandError as error:
                name = _culprit(error)
                asked = {
                    name_of(line)
                    for path in files
                    for line in path.read_text(encoding="utf-8").splitlines()
                }
                if name not in asked or len(without) >= DROPPED or self.cancel.is_set():
                    raise
                without.add(name)
                self.say(f"{name} cannot be had: trying without it")
            else:
                return built, tuple(sorted(without))

    def _runner(self, bench: Bench) -> Environment:
        """pytest and coverage for a candidate that brings none: ours, or those of its day."""
        if self.day is None:
            return runner_environment(self.environments, say=self.say, cancel=self.cancel)
        files = _runner_of_its_day((), bench.work)
        return self.environments.build(files, before=self.day, say=self.say, cancel=self.cancel)


def _culprit(error: CommandError) -> str | None:
    """The package that an installer says it cannot get or build."""
    said = str(error.details.get("log_tail", ""))
    match = next((found for one in _CULPRITS if (found := one.search(said))), None)
    return name_of(match["name"]) if match else None


def _runner_of_its_day(files: Iterable[Path], place: Path) -> list[Path]:
    """pytest and coverage as they were, unless a lock says already what there is."""
    if any("--hash=" in path.read_text(encoding="utf-8") for path in files):
        return []
    path = place / "runner.txt"
    path.write_text("pytest\ncoverage\n", encoding="utf-8")
    return [path]


def _explained(error: ShipwayError) -> ShipwayError:
    """The error with the end of pip's output, for the person who has to do something about it."""
    if not isinstance(error, CommandError):
        return error
    lines = [line for line in str(error.details.get("log_tail", "")).splitlines() if line.strip()]
    said = "\n".join(lines[-8:])
    return CommandError(
        f"{error.message}\n{said}\n(name what it needs under `requirements:` in the base's "
        ".shipway/policy.yaml)",
        hint=error.hint,
        details=error.details,
    )
