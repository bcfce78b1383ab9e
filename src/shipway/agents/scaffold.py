"""The scaffold agent: a service plan becomes a project, rendered from a template, as one commit."""

from __future__ import annotations

import hashlib
import json
import os
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
        check(workspace.path)
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
    order = desk.work / "order.json"
    request = {"template": str(TEMPLATE), "destination": str(destination), "data": data}
    order.write_text(json.dumps(request), encoding="utf-8")
    log = desk.work / "render.log"
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
    if code != 0:
        tail = log.read_text(encoding="utf-8", errors="replace")[-SHOWN:]
        raise CommandError(
            "the template could not be rendered",
            hint="this is a fault of the template; the log's end says where",
            details={"exit_code": code, "log_tail": tail},
        )


def _environment(work: Path) -> dict[str, str]:
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "HOME": str(work),
        "TMPDIR": str(work),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
    }


def _wait(process: subprocess.Popen[bytes], desk: Desk) -> int:
    deadline = time.monotonic() + RENDERING_S
    try:
        while True:
            try:
                return process.wait(0.1)
            except subprocess.TimeoutExpired:
                if desk.cancel.is_set() or time.monotonic() > deadline:
                    raise AgentTimeoutError("rendering the project was stopped") from None
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def check(project: Path) -> None:
    """Raises CommandError when a rendered module is not Python: nothing else may come of a name."""
    for path in sorted(project.rglob("*.py")):
        try:
            compile(path.read_bytes(), path.name, "exec", dont_inherit=True)
        except (SyntaxError, ValueError) as error:
            place = path.relative_to(project)
            raise CommandError(
                f"the rendered {place} is not Python: {error}",
                hint="this is a fault of the template; report it with the document",
            ) from None
