"""The integrate agent: a verified commit becomes part of a branch, tested again, once and only once."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError as ShapeError

from shipway.agents import commit as wording
from shipway.agents.agent import Desk, Failed
from shipway.contracts.envelope import ErrorReport, report_of
from shipway.contracts.evidence import GateReport
from shipway.contracts.integrate import IntegrateRequest, IntegrateResult
from shipway.contracts.model import ArtifactRef, GitObject, Model
from shipway.errors import ConflictError, RepositoryError, StoppedError
from shipway.gates.failure import explain, passed
from shipway.workspace.git import (
    Hub,
    create_repository,
    integrated,
    line,
    publish,
    settle,
    tip,
)


@dataclass(frozen=True, slots=True)
class Merged:
    """A commit that is to become a branch's tip; ``onto`` is the tip that it was combined with."""

    commit: str
    tree: str
    onto: str | None


Judge = Callable[[Hub, Merged, ArtifactRef, Desk], GateReport]

_TRIES = 5  # of combining and testing again when the branch moves each time meanwhile


class Integrate:
    """Combines, tests the merged tree with ``judge``, then moves the branch by compare-and-swap.

    An attempt that follows one that was cut off finds the run's trailer on the branch, and the
    report that was written down before the branch moved; it never merges twice.
    """

    capability = "integrate"
    name = "branch"

    def __init__(self, judge: Judge) -> None:
        self._judge = judge

    def perform(self, request: IntegrateRequest, desk: Desk) -> IntegrateResult:
        hub = Hub.open(desk.hub)
        repository = Path(request.repository)
        if request.base is None and _branch_tip(repository, request.target) is None:
            create_repository(repository, request.target)
        for _ in range(_TRIES):
            done = self._find(request, hub, desk)
            if done is not None:
                return done
            try:
                return self._integrate(request, hub, desk)
            except ConflictError as error:
                if "now" not in error.details:
                    raise
                desk.say(f"{request.target} moved meanwhile: combining and testing again")
        raise ConflictError(
            f"the branch {request.target} moved {_TRIES} times while the result was tested",
            hint="run again when it is quieter: `shipway run resume`",
            details={
                "step": "move the branch",
                "reproduce": line(repository, "log", f"-{_TRIES}", request.target),
            },
        )

    def _integrate(self, request: IntegrateRequest, hub: Hub, desk: Desk) -> IntegrateResult:
        repository = Path(request.repository)
        onto = tip(repository, request.target)
        if onto is None and request.base is not None:
            raise RepositoryError(
                f"the branch {request.target} is gone",
                hint="create it again, or run anew",
                details={
                    "step": "combine",
                    "reproduce": line(repository, "rev-parse", "--verify", request.target),
                },
            )
        if onto is not None and not hub.has(onto):
            hub.seed(repository, onto)
        desk.say(f"combining with {request.target} ({request.strategy})")
        scope = wording.scope(request.plan, desk)
        made = hub.combine(
            onto=onto,
            base=request.base,
            commit=request.commit,
            strategy=request.strategy,
            message=wording.message(request.claim, scope, request.title, desk.task.run),
        )
        desk.say("testing the merged tree")
        report = self._judge(hub, Merged(made, hub.tree(made), onto), request.plan, desk)
        result = _result(request, hub, made, onto, report, already=False)
        if not passed(report):
            raise Failed(explain(report, desk.artifacts.read), result)
        if desk.cancel.is_set():
            raise Failed(_cancelled())
        _write_down(hub, Integration(candidate=request.commit, result=result))
        desk.confirm()
        desk.say(f"moving {request.target}")
        publish(hub, repository, request.target, made, onto)
        return result

    def _find(self, request: IntegrateRequest, hub: Hub, desk: Desk) -> IntegrateResult | None:
        """What an earlier attempt has published, with its report; work trees are brought along."""
        repository = Path(request.repository)
        trailer = wording.trailer(desk.task.run)
        made = integrated(repository, request.target, request.base, trailer)
        if made is None:
            return None
        known = _read_down(hub, made)
        if known is not None and known.candidate != request.commit:
            return None  # that was an earlier candidate, before a person sent the run back
        desk.say("an earlier attempt has merged it already")
        for left in settle(repository):
            desk.say(f"the work tree {left} has changes of its own and was left alone")
        if not hub.has(made):
            hub.seed(repository, made)
        if known is not None:
            return known.result.model_copy(update={"already": True})
        merged = Merged(made, hub.tree(made), request.base)
        report = self._judge(hub, merged, request.plan, desk)
        result = _result(request, hub, made, request.base, report, already=True)
        if not passed(report):
            raise Failed(explain(report, desk.artifacts.read), result)
        return result


def _branch_tip(repository: Path, target: str) -> str | None:
    """Where the branch of a repository at exactly this path is; one further up is another's."""
    own = (repository / ".git").exists() or (repository / "HEAD").is_file()
    return tip(repository, target) if own else None


def _result(
    request: IntegrateRequest,
    hub: Hub,
    made: str,
    previous: str | None,
    report: GateReport,
    *,
    already: bool,
) -> IntegrateResult:
    return IntegrateResult(
        repository=request.repository,
        target=request.target,
        strategy=request.strategy,
        previous=previous,
        commit=made,
        tree=hub.tree(made),
        already=already,
        report=report,
    )


class Integration(Model):
    """What is written down of a merge: its result, and the candidate that it took in."""

    candidate: GitObject
    result: IntegrateResult


def _write_down(hub: Hub, made: Integration) -> None:
    """Keep the result where no command can write, before the branch moves."""
    path = _place(hub, made.result.commit)
    path.parent.mkdir(exist_ok=True)
    partial = path.with_suffix(".partial")
    with partial.open("wb") as stream:
        stream.write(made.model_dump_json().encode())
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(path)


def _read_down(hub: Hub, made: str) -> Integration | None:
    try:
        return Integration.model_validate_json(_place(hub, made).read_bytes())
    except (FileNotFoundError, json.JSONDecodeError, ShapeError):
        return None  # then it is tested again


def _place(hub: Hub, made: str) -> Path:
    return hub.path / "integrations" / f"{made}.json"


def _cancelled() -> ErrorReport:
    stopped = StoppedError("cancelled before the branch moved: nothing was merged")
    return report_of(stopped, step="move the branch")
