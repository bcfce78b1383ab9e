"""Two trees side by side: what every gate of `shipway check` judges, with all it may need for that."""

from __future__ import annotations

import itertools
import shlex
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

from shipway.domain.policy import Policy
from shipway.domain.states import Claim
from shipway.errors import Category
from shipway.gates import toolchains
from shipway.gates.bench import TESTS, Bench
from shipway.gates.changes import Change
from shipway.gates.installed import install
from shipway.gates.look import Doubt, candidate_environment
from shipway.gates.outfit import Outfitter
from shipway.gates.stack import Stack
from shipway.gates.testing import provided
from shipway.workspace import pipsettings
from shipway.workspace.environments import Environments
from shipway.workspace.fence import Command, Fence
from shipway.workspace.git import Hub

SETTINGS = ("pyproject.toml", "setup.cfg", ".bandit")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two trees. ``bench.tree`` is a checkout that all gates share: nobody writes there."""

    name: Literal["base", "head"]
    commit: str
    tree: str
    stack: Stack
    bench: Bench


@dataclass(eq=False, slots=True)
class Comparison:
    """Base and head, the change between them, the claim and the base's policy; safe in threads.

    ``claimed_by`` says where the claim comes from; ``work`` is a directory of ours; ``message`` is
    what the head's own commits say, newest first; ``covers`` is False when no gate that is run looks
    at coverage.
    """

    hub: Hub
    base: Side
    head: Side
    changes: tuple[Change, ...]
    claim: Claim
    claimed_by: str
    policy: Policy
    outfitter: Outfitter
    work: Path
    message: str = ""
    covers: bool = True
    _made: dict[str, Future[Any]] = field(default_factory=dict, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1), init=False)

    @property
    def environments(self) -> Environments:
        return self.outfitter.environments

    @property
    def day(self) -> str | None:
        """The day whose packages an old base was written for, None for today's."""
        return self.outfitter.day

    @property
    def fence(self) -> Fence:
        return self.head.bench.fence

    @property
    def cancel(self) -> threading.Event:
        return self.head.bench.cancel

    @property
    def say(self) -> Callable[[str], None]:
        return self.head.bench.say

    def once(self, key: str, make: Callable[[], T]) -> T:
        """What ``make`` gives, made by whoever asks first; the others wait for it.

        An error is kept too, and raised to each who asks.
        """
        with self._lock:
            mine = key not in self._made
            made = self._made.setdefault(key, Future())
        if mine:
            try:
                made.set_result(make())
            except BaseException as error:
                made.set_exception(error)
                raise
        return cast("T", made.result())

    def candidate(self, side: Side) -> Bench:
        """The side's bench with its environment; raises Doubt with the reason when there is none."""
        bench = self.once(f"candidate:{side.name}", lambda: self._built(side))
        candidate_environment(bench)
        return bench

    def prepared(self, side: Side) -> Bench:
        """The same, but a side that needs no environment, or has none, comes as it is."""
        return self.once(f"candidate:{side.name}", lambda: self._built(side))

    def environments_used(self) -> list[Path]:
        """Where the environments lie that gates have worked with so far."""
        used = [self.head.bench.tools.path]
        for side in (self.base, self.head):
            made = self._made.get(f"candidate:{side.name}")
            if made is None or not made.done() or made.exception() is not None:
                continue
            bench = made.result()
            used += [one.path for one in (bench.candidate, bench.runner) if one is not None]
        return used

    def fresh(self, bench: Bench, commit: str) -> Bench:
        """A new checkout of ``commit`` that may be written to, with the environment of ``bench``."""
        with self._lock:
            place = self.work / f"fresh-{next(self._numbers)}"
        checkout = self.hub.checkout(commit, place / "tree")
        if bench.project.stack == "python":
            install(checkout.path, bench.project.layout)
        work = place / "work"
        work.mkdir()
        return replace(
            bench,
            tree=checkout.path,
            tree_id=self.hub.tree(commit),
            readable=checkout.readable,
            work=work,
        )

    def ready(self, bench: Bench) -> Bench:
        """The same checkout after the policy's ``prepare``, which alone may use the network."""
        words = list(self.policy.prepare)
        if not words:
            return bench
        self.say(f"preparing: {shlex.join(words)}")
        known = toolchains.found()
        env = {**toolchains.caches(bench.tree), **known.env, **pipsettings.reaching()}
        command = Command(
            argv=tuple(words), cwd=bench.tree, writable=(bench.tree,), limits=TESTS, network=True,
            readable=(*bench.readable, *known.readable), env=env,
        )  # fmt: skip
        done = self.fence.run(command, cancel=self.cancel)
        if not done.ok:
            said = f"{shlex.join(words)} of the base's policy {done.why()}"
            raise Doubt(f"{said}\n{done.tail(8)}", Category.DEPENDENCY)
        return bench

    def apart(self, bench: Bench) -> Bench:
        """The same tree with a new place for reports: for a tool that is run once more."""
        with self._lock:
            work = self.work / f"apart-{next(self._numbers)}"
        work.mkdir()
        return replace(bench, work=work)

    def renamed(self) -> dict[str, str]:
        """Paths of the base that have another name on the head."""
        return {
            one.before: one.path
            for one in self.changes
            if one.kind == "renamed" and one.before is not None
        }

    def only(self, side: Side, files: Mapping[str, str]) -> Bench:
        """A side with some of its files only, each under the name it is given, and its settings."""
        with self._lock:
            place = self.work / f"only-{next(self._numbers)}"
        tree, work = place / "tree", place / "work"
        work.mkdir(parents=True)
        tree.mkdir()
        settings = {name: name for name in SETTINGS if (side.bench.tree / name).is_file()}
        for name, source in (settings | dict(files)).items():
            origin = side.bench.tree / source
            if origin.is_file() and not origin.is_symlink():
                target = tree / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(origin.read_bytes())
        sources = tuple(name for name in files if name.endswith((".py", ".pyi")))
        project = replace(side.bench.project, sources=sources)
        return replace(side.bench, tree=tree, work=work, readable=(), project=project)

    def compose(self, onto: str, take: Mapping[str, str | None]) -> str:
        """A commit with the tree of ``onto``, but each path of ``take`` as another commit has it.

        None, or a commit without the path, leaves the path out.
        """
        return self.hub.compose(onto, take)

    def _built(self, side: Side) -> Bench:
        bench = side.bench
        if bench.project.stack != "python":
            return bench
        self.say(f"building the environment of the {side.name}")
        # The base says what the project is: no candidate takes the place of what is installed.
        own = provided(self.base.bench.tree, self.base.bench.project.layout)
        equipped = self.outfitter.equipped(bench)
        return equipped if equipped.candidate is None else replace(equipped, own=own)
