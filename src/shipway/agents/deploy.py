"""The deploy agent of the local target: an integrated commit becomes the release that is live."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

from shipway.agents.agent import Desk, Failed
from shipway.agents.validate import read_plan
from shipway.contracts.deploy import DeployRequest, DeployResult, HealthSeen
from shipway.contracts.envelope import ErrorReport
from shipway.contracts.service_plan import ServicePlan
from shipway.errors import ContractError, ServiceUnhealthyError, ShipwayError
from shipway.release.record import Release
from shipway.release.releases import Candidate, Releases
from shipway.release.secrets_file import Kind
from shipway.workspace.git import Hub, line

_LINES = 20


class LocalDeploy:
    """Exports the commit and hands it to the service's supervisor on this machine.

    Raises Failed, with the end of the release's log, for a release that is not healthy: it took no
    traffic then, and what was live before still is.
    """

    capability = "deploy"
    name = "local"

    def __init__(self, releases: Releases) -> None:
        self.releases = releases

    def perform(self, request: DeployRequest, desk: Desk) -> DeployResult:
        hub = Hub.open(desk.hub)
        if hub.tree(request.commit) != request.tree:
            raise ContractError(
                "the commit to deploy does not hold the tree that was checked",
                hint="run the integrate stage again",
                details=_seen(request, hub),
            )
        candidate = Candidate(
            service=request.service,
            run=desk.task.run,
            commit=request.commit,
            tree=request.tree,
            fill=lambda tree: _export(hub, request.commit, tree),
            port=request.port,
            secrets=self._secrets(request, desk),
        )
        desk.confirm()
        said: list[str] = []

        def say(words: str) -> None:
            said.append(words)
            desk.say(words)

        try:
            release = self.releases.deploy(candidate, say=say, cancel=desk.cancel)
        except ShipwayError as error:
            error.details = _seen(request, hub) | self._tail(request.service, said) | error.details
            if isinstance(error, ServiceUnhealthyError):
                raise Failed(self._explain(error)) from error
            raise
        return _result(release)

    def _tail(self, service: str, said: list[str]) -> dict[str, str]:
        """How far the deploy came, and the end of what the service's supervisor wrote of it."""
        lines = [*said, *self.releases.supervisor_log(service).splitlines()[-_LINES:]]
        return {"log_tail": "\n".join(lines)} if lines else {}

    @staticmethod
    def _secrets(request: DeployRequest, desk: Desk) -> dict[str, Kind]:
        """The settings that a service from a document is protected by; other services bring theirs."""
        plan = read_plan(request.plan, desk)
        if not isinstance(plan, ServicePlan):
            return {}
        return {scheme.setting: scheme.kind for scheme in plan.security_schemes}

    def _explain(self, error: ServiceUnhealthyError) -> ErrorReport:
        identity = str(error.details.get("release", ""))
        return ErrorReport(
            code=error.code,
            category="permanent",
            message=error.message,
            recovery=error.recovery.value,
            hint=error.hint,
            step="deploy",
            log_tail=error.details.get("log") or error.details.get("log_tail"),
            reproduce=self._reproduce(identity) if identity else error.details["reproduce"],
            details={"release": identity, "reason": str(error.details.get("reason", ""))},
        )

    def _reproduce(self, identity: str) -> str:
        """A line for the shell that starts the same release by itself, on data of its own."""
        release = self.releases.view(identity)
        first, *rest = release.start
        python = first in {"python", "python3"}
        words = shlex.join([release.python if python else first, *rest])
        tree = shlex.quote(str(self.releases.tree_path(identity)))
        return f"cd {tree} && STATE_DIRECTORY=$(mktemp -d) {words}"


def _seen(request: DeployRequest, hub: Hub) -> dict[str, str]:
    """The step, and the command that shows what was to be deployed."""
    return {"step": "deploy", "reproduce": line(hub.path, "show", "--stat", request.commit)}


def _export(hub: Hub, commit: str, tree: Path) -> None:
    """The files of the commit and nothing of git."""
    hub.checkout(commit, tree)
    shutil.rmtree(tree / ".git")


def _result(release: Release) -> DeployResult:
    if release.health is None or release.url is None or release.port is None:
        raise ContractError(
            f"the record of release {release.id} has no evidence of health",
            hint="deploy a new commit; this record is damaged",
        )
    seen = release.health
    return DeployResult(
        release=release.id,
        service=release.service,
        url=release.url,
        port=release.port,
        commit=release.commit,
        tree=release.tree,
        health=HealthSeen(
            url=seen.url,
            status=seen.status,
            body_sha256=seen.body_sha256,
            pid=seen.pid,
            at=seen.at,
        ),
        previous=release.previous,
    )
