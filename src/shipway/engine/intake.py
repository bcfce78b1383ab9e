"""Checks what a person hands in, before anything starts, and makes it ready to become a run."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from shipway.agents.agent import Artifacts
from shipway.contracts.plan import ChangeSource
from shipway.domain.pipeline import Pipeline
from shipway.engine.ids import run_id
from shipway.engine.pipelines.loader import load
from shipway.engine.pipelines.shape import MAX_AGENTS
from shipway.engine.pipelines.submission import RunValues
from shipway.engine.places import Places
from shipway.errors import RepositoryError, UsageError
from shipway.telemetry.trace import new
from shipway.workspace.git import Hub, inspect

if TYPE_CHECKING:
    from shipway.engine.commands import Changes, Maker, Submission

BUILTIN = {"specification": "service", "change": "change"}
Strategy = Literal["merge", "squash", "rebase", "fast-forward"]
_MEDIA = {"specification": "application/yaml", "change": "text/markdown"}


@dataclass(frozen=True, slots=True)
class Ready:
    """A submission that was accepted: a run that only needs to be written."""

    run: str
    trace: str
    title: str
    pipeline: Pipeline
    values: dict[str, Any]


class Intake:
    """Looks at documents and repositories; what it leaves in the state directory has no effect."""

    def __init__(
        self, home: Path, artifacts: Artifacts, now: Callable[[], float] = time.time
    ) -> None:
        self._places = Places(home)
        self._artifacts = artifacts
        self._now = now

    def accept(self, submission: Submission) -> Ready:
        """Raises UsageError, SpecificationError, RepositoryError, ConfigurationError."""
        pipeline = self._pipeline(submission)
        title = self._title(submission)
        repository = self._repository(submission, title)
        run = run_id(self._now())
        base, target = self._base(submission, repository)
        values = self._values(submission, repository, base, target)
        try:
            hub = Hub.create(self._places.hub(run))
            if base is not None:
                hub.seed(repository, base)
        except BaseException:
            shutil.rmtree(self._places.run(run), ignore_errors=True)
            raise
        return Ready(run, new(), title, pipeline, values)

    def revise(self, kind: str, changes: Changes) -> dict[str, Any]:
        """What a submission says from now on; raises UsageError, SpecificationError."""
        new: dict[str, Any] = {}
        if changes.requirement is not None:
            self._title_of(kind, changes.requirement, changes.requirement_name)
            requirement = self._artifacts.put(
                changes.requirement, changes.requirement_name, _MEDIA[kind]
            )
            new["requirement"] = requirement.model_dump(mode="json")
        if changes.makers or changes.patch is not None:
            if kind == "specification":
                raise UsageError(
                    "a run that began with a document takes no patch and no agent",
                    hint="change the document: --spec FILE",
                )
            sources = self._sources(changes.patch, changes.makers)
            new["change"], *others = [source.model_dump(mode="json") for source in sources]
            new["fallbacks"] = others
        if changes.claim is not None:
            new["claim"] = changes.claim.value
        if changes.strategy is not None:
            new["strategy"] = _strategy(changes.strategy)
        if changes.port is not None:
            new["port"] = changes.port
        if changes.answers:
            new["answers"] = dict(changes.answers)
        return new

    def discard(self, ready: Ready) -> None:
        """Remove what ``accept`` prepared for a run that was never written."""
        shutil.rmtree(self._places.run(ready.run), ignore_errors=True)

    def _pipeline(self, submission: Submission) -> Pipeline:
        pipeline = load(submission.pipeline or BUILTIN[submission.kind])
        if pipeline.takes not in {None, submission.kind}:
            raise UsageError(
                f"the pipeline {pipeline.name} takes a {pipeline.takes}, not a {submission.kind}",
                hint=f"leave --pipeline out to use {BUILTIN[submission.kind]!r}",
            )
        return pipeline

    def _title(self, submission: Submission) -> str:
        given = submission.requirement, submission.requirement_name
        return submission.title or self._title_of(submission.kind, *given)

    def _title_of(self, kind: str, requirement: bytes, name: str) -> str:
        if kind == "specification":
            # Imported here: reading documents takes libraries that a change never needs.
            from shipway.specs import read

            return read(requirement, name).title
        text = requirement.decode("utf-8", errors="replace").strip()
        if not text:
            raise UsageError(
                "the requirement is empty", hint="say in a sentence what the change is for"
            )
        return text.splitlines()[0].lstrip("# ").strip()[:120]

    def _repository(self, submission: Submission, title: str) -> Path:
        if submission.repository is not None:
            return submission.repository.absolute()
        if submission.kind == "change":
            raise UsageError("a change needs a repository", hint="name it with --repo PATH")
        slug = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:60] or "service"
        return self._places.home / "repositories" / slug

    def _base(self, submission: Submission, repository: Path) -> tuple[str | None, str]:
        """The commit to start from and the branch to come back to."""
        if submission.kind == "specification" and _is_free(repository):
            return None, submission.target or "main"
        facts = inspect(repository, submission.target)
        return facts.commit, facts.branch

    def _values(
        self, submission: Submission, repository: Path, base: str | None, target: str
    ) -> dict[str, Any]:
        requirement = self._artifacts.put(
            submission.requirement, submission.requirement_name, _MEDIA[submission.kind]
        )
        sources = self._changes(submission)
        values = RunValues(
            requirement=requirement,
            kind=submission.kind,
            claim=submission.claim,
            base=base,
            target=target,
            repository=str(repository),
            strategy=_strategy(submission.strategy),
            change=sources[0] if sources else None,
            answers=dict(submission.answers),
            port=submission.port,
            priority=submission.priority,
        ).model_dump(mode="json")
        accept = ["accept-unimplemented"] if submission.accept_unimplemented else []
        fallbacks = [one.model_dump(mode="json") for one in sources[1:]]
        return {**values, "accept": accept, **({"fallbacks": fallbacks} if fallbacks else {})}

    def _changes(self, submission: Submission) -> list[ChangeSource]:
        if submission.kind == "specification":
            return []
        return self._sources(submission.patch, submission.makers)

    def _sources(self, patch: bytes | None, makers: Sequence[Maker]) -> list[ChangeSource]:
        """Where the change comes from, and what takes over when that fails for good."""
        if (patch is None) is not bool(makers):
            raise UsageError(
                "a change comes from a patch or from an agent, from exactly one of them",
                hint="--patch FILE, or --agent implement='command:CMD ...'",
            )
        if len(set(makers)) < len(makers) or len(makers) > MAX_AGENTS:
            raise UsageError(
                f"the agents of a slot are all different, and {MAX_AGENTS} at most",
                hint="each has its retries already",
            )
        if patch is not None:
            kept = self._artifacts.put(patch, "change.patch", "text/x-diff")
            return [ChangeSource(kind="patch", patch=kept)]
        return [
            ChangeSource(kind=one.kind, command=list(one.command), model=one.model)
            for one in makers
        ]


def _strategy(name: str | None) -> Strategy:
    for known in get_args(Strategy):
        if name in {None, known}:
            strategy: Strategy = known
            return strategy
    raise UsageError(
        "there is no such strategy", hint=f"choose one of: {', '.join(get_args(Strategy))}"
    )


def _is_free(path: Path) -> bool:
    """Whether a new repository can be made there; raises RepositoryError for what is in the way."""
    if not path.exists():
        return True
    if not path.is_dir():
        raise RepositoryError(
            f"{path} is a file, and the repository is to be a directory",
            hint="choose another place with --into DIR",
        )
    if not any(path.iterdir()):
        return True
    if (path / ".git").exists():
        return False
    raise RepositoryError(
        f"{path} is not empty and not a git repository",
        hint="choose an empty directory with --into DIR, or make it a repository first",
    )
