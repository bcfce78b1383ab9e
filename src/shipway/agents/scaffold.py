"""The scaffold agent: a service plan becomes a project, rendered from a template, as one commit."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml

from shipway.agents import commit
from shipway.agents.agent import Desk
from shipway.agents.scaffolding.view import view
from shipway.contracts.model import ArtifactRef
from shipway.contracts.scaffold import ScaffoldRequest, ScaffoldResult
from shipway.contracts.service_plan import ServicePlan
from shipway.domain.states import Claim
from shipway.errors import AgentTimeoutError, CommandError, ContractError
from shipway.workspace.git import Hub

TEMPLATE = Path(__file__).parent / "templates" / "service"
PROGRAM = Path(__file__).parent / "render_template.py"
RENDERING_S = 120.0
SHOWN = 2000


class Scaffold:
    """Renders the service template; the same plan and template give the same bytes."""

    capability = "scaffold"
    name = "template"

    def perform(self, request: ScaffoldRequest, desk: Desk) -> ScaffoldResult:
        """Raises ContractError for a plan of another document, CommandError when rendering fails."""
        plan = ServicePlan.model_validate_json(desk.artifacts.read(request.plan))
        if request.requirement is None:
            raise ContractError(
                "the document that the plan was made from is missing",
                hint="give the stage `requirement: run.requirement` in its inputs",
            )
        document = desk.artifacts.read(request.requirement)
        if hashlib.sha256(document).hexdigest() != plan.document_sha256:
            raise ContractError(
                "the plan was not made from this document", hint="plan again: shipway run --spec"
            )
        hub = Hub.open(desk.hub)
        workspace = hub.checkout(request.base, desk.work / "workspace")
        desk.say(f"rendering {plan.title}: {len(plan.operations)} operations")
        name = document_name(request.requirement)
        render(view(plan, name), workspace.path, desk)
        (workspace.path / name).write_bytes(document)
        check(workspace.path, desk)
        text = commit.message(Claim.FEATURE, plan.name, f"{plan.title} as its document has it",
                              desk.task.run)  # fmt: skip
        capture = hub.capture(workspace, text, request.base)
        desk.log.info("project rendered", files=capture.files, lines=capture.insertions)
        return ScaffoldResult(
            base=request.base,
            commit=capture.commit,
            tree=capture.tree,
            template=TEMPLATE.name,
            template_version=template_version(),
            files=capture.files,
            diff=desk.artifacts.put(capture.diff, "scaffold.patch", "text/x-diff"),
        )


def template_version() -> str:
    """The version that the template's own file states."""
    settings = yaml.safe_load((TEMPLATE / "copier.yml").read_text(encoding="utf-8"))
    return str(settings["template_version"]["default"])


def document_name(requirement: ArtifactRef) -> str:
    """What the document is called in the project."""
    is_json = requirement.name.lower().endswith(".json") or requirement.media_type.endswith("json")
    return "openapi.json" if is_json else "openapi.yaml"


def render(data: dict[str, Any], destination: Path, desk: Desk) -> None:
    """Render in a process of its own; raises CommandError, or AgentTimeoutError when cancelled."""
    order = _order(desk)
    request = {"template": str(TEMPLATE), "destination": str(destination), "data": data}
    order.write_text(json.dumps(request), encoding="utf-8")
    log = _log(desk)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-I", str(PROGRAM), str(order)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=_environment(desk.work),
            cwd=desk.work,
        )
        code = _wait(process, desk)
    if code is None:
        raise AgentTimeoutError("rendering the project was stopped", details=_seen(desk))
    if code != 0:
        raise CommandError(
            "the template could not be rendered",
            hint="this is a fault of the template; the log's end says where",
            details={"exit_code": code, **_seen(desk)},
        )


def _order(desk: Desk) -> Path:
    return desk.work / "order.json"


def _log(desk: Desk) -> Path:
    return desk.work / "render.log"


def _seen(desk: Desk, checked: Path | None = None) -> dict[str, str | None]:
    """The step, the log's end, and a line for the shell that renders the same into a new directory.

    The order is kept on the shelf, for the attempt's own directory goes with it.
    """
    kept = desk.artifacts.put(_order(desk).read_bytes(), "order.json", "application/json")
    words = [sys.executable, "-I", str(PROGRAM), str(desk.artifacts.path(kept))]
    again = f'd=$(mktemp -d) && {shlex.join(words)} "$d"'
    if checked is not None:
        again += f' && {shlex.quote(sys.executable)} -m py_compile "$d"/{shlex.quote(str(checked))}'
    tail = _log(desk).read_text(encoding="utf-8", errors="replace")[-SHOWN:]
    return {
        "step": "render the template" if checked is None else "check what was rendered",
        "log_tail": tail or None,
        "reproduce": again,
    }


def _environment(work: Path) -> dict[str, str]:
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "HOME": str(work),
        "TMPDIR": str(work),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
    }


def _wait(process: subprocess.Popen[bytes], desk: Desk) -> int | None:
    """Its exit code; None when it was stopped, by its time or by a person."""
    deadline = time.monotonic() + RENDERING_S
    try:
        while True:
            try:
                return process.wait(0.1)
            except subprocess.TimeoutExpired:
                if desk.cancel.is_set() or time.monotonic() > deadline:
                    return None
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def check(project: Path, desk: Desk) -> None:
    """Raises CommandError when a rendered module is not Python: nothing else may come of a name."""
    for path in sorted(project.rglob("*.py")):
        try:
            compile(path.read_bytes(), path.name, "exec", dont_inherit=True)
        except (SyntaxError, ValueError) as error:
            place = path.relative_to(project)
            raise CommandError(
                f"the rendered {place} is not Python: {error}",
                hint="this is a fault of the template; report it with the document",
                details=_seen(desk, place) | {"log_tail": f"{place}: {error}"},
            ) from None
