"""The implement agent: a patch, a command, a coding agent or a model makes a candidate commit."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path

from shipway.agents import commit
from shipway.agents.agent import Desk, Failed
from shipway.agents.implementing import acp
from shipway.contracts.envelope import ErrorReport
from shipway.contracts.implement import ImplementRequest, ImplementResult, Usage
from shipway.domain.states import Claim
from shipway.errors import (
    AgentTimeoutError,
    CommandError,
    ConfigurationError,
    ContractError,
    ValidationError,
)
from shipway.resilience import deadline
from shipway.workspace.fence import Command, Fence, Finished, Limits
from shipway.workspace.git import Capture, Hub, Workspace

_LOGGED_LINES = 2000
_DEFAULT_SECONDS = 3600.0
_SPARE_S = 5.0  # left of the stage's time to say why it ended


class Implement:
    """Makes the change that the request names; what comes out of it has been looked at by nobody."""

    capability = "implement"
    name = "change"

    def __init__(self, fence: Fence) -> None:
        self._fence = fence

    def perform(self, request: ImplementRequest, desk: Desk) -> ImplementResult:
        hub = Hub.open(desk.hub)
        plan = json.loads(desk.artifacts.read(request.plan))
        claim = Claim(plan.get("claim", Claim.CHORE))
        title = str(plan.get("title", "change"))
        text = commit.message(claim, str(plan.get("name", "")), title, desk.task.run)
        usage, said = None, ""
        match request.change.kind:
            case "patch":
                capture = _apply(request, hub, text, desk)
            case "command":
                capture, said = self._run(request, hub, text, desk)
            case "acp":
                capture, usage, said = self._converse(request, hub, text, desk)
            case "model":
                capture, usage = _ask_model(request, hub, text, desk)
        if not capture.changed:
            raise Failed(_nothing_changed(request, hub.path, said, desk))
        return ImplementResult(
            base=request.base,
            commit=capture.commit,
            tree=capture.tree,
            files=capture.files,
            insertions=capture.insertions,
            deletions=capture.deletions,
            diff=desk.artifacts.put(capture.diff, "change.patch", "text/x-diff"),
            usage=usage,
        )

    def _run(
        self, request: ImplementRequest, hub: Hub, text: str, desk: Desk
    ) -> tuple[Capture, str]:
        """What the command made, and the end of its output."""
        space = hub.checkout(request.base, desk.work / "workspace")
        inputs = _inputs(request, desk)
        command = _fenced(tuple(request.change.command), space, inputs, desk)
        desk.say(f"running {request.change.command[0]}")
        done = self._fence.run(command, cancel=desk.cancel, on_line=_Listener(desk))
        desk.log.info("command ended", how=done.why(), seconds=round(done.seconds, 1))
        if not done.ok:
            raise Failed(_command_failed(done, request))
        desk.say("reading what changed")
        return hub.capture(space, text, request.base), done.tail()

    def _converse(
        self, request: ImplementRequest, hub: Hub, text: str, desk: Desk
    ) -> tuple[Capture, Usage, str]:
        """A session with a coding agent, all of it in the fence."""
        space = hub.checkout(request.base, desk.work / "workspace")
        inputs = _inputs(request, desk)
        agent = request.change.command
        session = acp.Session(agent, desk)
        argv = acp.argv(agent, inputs / "requirement.md")
        command = _fenced(argv, space, inputs, desk, acp.source())
        desk.say(f"talking to {agent[0]}")
        done = self._fence.run(command, cancel=session.stop, on_line=session.hear)
        desk.log.info("session ended", how=done.why(), seconds=round(done.seconds, 1))
        usage = session.settle()
        if not done.ok:
            raise Failed(_command_failed(done, request))
        desk.say("reading what changed")
        return hub.capture(space, text, request.base), usage, done.tail()


def _fenced(
    argv: tuple[str, ...], space: Workspace, inputs: Path, desk: Desk, *more: Path
) -> Command:
    """A command in the workspace, with what the settings let it have."""
    settings = desk.settings
    passed = [name.strip() for name in settings.command_env.split(",")]
    readable = [Path(name).expanduser() for name in settings.command_readable.split(":") if name]
    return Command(
        argv,
        space.path,
        writable=(space.path,),
        readable=(*space.readable, inputs, *readable, *more),
        env={name: os.environ[name] for name in passed if name in os.environ}
        | {
            "SHIPWAY_REQUIREMENT_FILE": str(inputs / "requirement.md"),
            "SHIPWAY_PLAN_FILE": str(inputs / "plan.json"),
        },
        network=settings.command_network,
        limits=Limits(seconds=_seconds_left()),
    )


def _ask_model(request: ImplementRequest, hub: Hub, text: str, desk: Desk) -> tuple[Capture, Usage]:
    """A language model at work on the files of a workspace."""
    try:
        # Imported here: the library is an extra, and large; only who asks a model pays for it.
        from shipway.agents.implementing import model
    except ImportError:
        raise ConfigurationError(
            "language models need an extra that is not installed",
            hint="pip install 'shipway[ai]'",
        ) from None
    if not request.change.model:
        raise ContractError("the change is a model's, but none is named")
    space = hub.checkout(request.base, desk.work / "workspace")
    requirement = desk.artifacts.read(request.requirement).decode("utf-8", "replace")
    plan = desk.artifacts.read(request.plan).decode("utf-8", "replace")
    usage = model.implement(request.change.model, space.path, requirement, plan, desk)
    desk.say("reading what changed")
    return hub.capture(space, text, request.base), usage


class _Listener:
    """Shows a watching person the latest line, and keeps the first ones in the log."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._lines = 0

    def __call__(self, line: str) -> None:
        if not line.strip():
            return
        self._desk.say(line.strip()[:120])
        self._lines += 1
        if self._lines <= _LOGGED_LINES:
            self._desk.log.info("command output", line=line)
        elif self._lines == _LOGGED_LINES + 1:
            self._desk.log.info("command output goes on; the rest is not logged")


def _apply(request: ImplementRequest, hub: Hub, text: str, desk: Desk) -> Capture:
    if request.change.patch is None:
        raise ContractError("the change is a patch, but there is none")
    desk.say("applying the patch")
    patch = desk.artifacts.path(request.change.patch)
    try:
        return hub.apply(request.base, desk.artifacts.read(request.change.patch), text)
    except ValidationError as error:
        said = str(error.details.get("stderr", ""))
        raise Failed(
            ErrorReport(
                code=error.code,
                category="permanent",
                message=error.message,
                recovery=error.recovery.value,
                hint=error.hint,
                step="apply the patch",
                log_tail=said or None,
                reproduce=_apply_again(hub.path, request.base, patch),
            )
        ) from error


def _apply_again(hub: Path, base: str, patch: Path) -> str:
    """A line for the shell that tries the stored patch on the commit, and touches no work tree."""
    where, what = shlex.quote(str(hub)), shlex.quote(str(patch))
    return (
        f"(export GIT_DIR={where} GIT_INDEX_FILE=$(mktemp -u) && "
        f"git read-tree {base} && git apply --cached --check {what})"
    )


def _inputs(request: ImplementRequest, desk: Desk) -> Path:
    """A directory with what the command may read: the requirement and the plan."""
    folder = desk.work / "input"
    folder.mkdir()
    folder.chmod(0o755)
    for name, ref in (("requirement.md", request.requirement), ("plan.json", request.plan)):
        (folder / name).write_bytes(desk.artifacts.read(ref))
        (folder / name).chmod(0o644)
    return folder


def _seconds_left() -> float:
    return max(1.0, min(_DEFAULT_SECONDS, deadline.remaining() - _SPARE_S))


def _command_failed(done: Finished, request: ImplementRequest) -> ErrorReport:
    hint = "see the end of its output; correct the command or the requirement, then run again"
    if done.missing:
        hint = (
            "inside the fence the home directory looks empty: install the command for all users, "
            "or name its directory in SHIPWAY_COMMAND_READABLE"
        )
    return ErrorReport(
        code=AgentTimeoutError.code if done.timed_out else CommandError.code,
        category="cancelled" if done.cancelled else "permanent",
        message=f"the command {done.why()}",
        recovery=CommandError.recovery.value,
        hint=hint,
        step="run the command",
        log_tail=done.tail() or None,
        reproduce=f"git checkout {request.base[:12]} && {shlex.join(done.argv)}",
    )


def _nothing_changed(request: ImplementRequest, hub: Path, said: str, desk: Desk) -> ErrorReport:
    source = {"acp": "agent"}.get(request.change.kind, request.change.kind)
    return ErrorReport(
        code=CommandError.code,
        category="permanent",
        message=f"nothing changed: the {source} left every file as it was",
        recovery=CommandError.recovery.value,
        hint="files that .gitignore names do not count; is the change on the target branch already?",
        step="read what changed",
        log_tail=said or None,
        reproduce=_make_again(request, hub, desk),
    )


def _make_again(request: ImplementRequest, hub: Path, desk: Desk) -> str:
    """A line for the shell that makes the change once more and shows what came of it: nothing."""
    match request.change.kind:
        case "command":
            again = f"{shlex.join(request.change.command)}; git status --short"
            return f"git checkout {request.base[:12]} && {again}"
        case "patch" if request.change.patch is not None:
            return _apply_again(hub, request.base, desk.artifacts.path(request.change.patch))
        case _:  # a conversation is had again, in the same fence
            return f"shipway run retry {desk.task.run} --from {desk.task.stage}"
