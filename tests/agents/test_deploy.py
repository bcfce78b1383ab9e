"""The deploy agent: what was integrated is what runs, and what does not become healthy says why."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from shipway.agents.agent import Desk, Failed
from shipway.agents.deploy import LocalDeploy
from shipway.contracts.change_plan import ChangePlan
from shipway.contracts.deploy import DeployRequest, DeployResult
from shipway.contracts.model import ArtifactRef
from shipway.contracts.service_plan import SecurityScheme, ServicePlan
from shipway.domain.states import Claim
from shipway.errors import ConfigurationError, ConflictError, ContractError
from shipway.release import secrets_file
from shipway.release.record import Status
from shipway.release.releases import Releases
from shipway.workspace.git import Hub

APP = """
import http.server, json, os, signal, socket, sys, threading

class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = json.dumps({"version": VERSION, "files": sorted(os.listdir(".")),
                           "keys": sorted(n for n in os.environ if n.startswith("SHOP"))}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words): pass

if BROKEN:
    sys.exit("no such table: books")
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer, bind_and_activate=False)
server.socket.close()
server.socket = socket.socket(fileno=3)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever(poll_interval=0.02)
"""
FILE = "start: [python, shop.py]\nhealth: /health\nenvironment: [SHOP_KEYS]\n"


def app(version: str, *, broken: bool = False) -> str:
    return f"VERSION = {version!r}\nBROKEN = {broken!r}\n{APP}"


@pytest.fixture
def releases(home: Path) -> Iterator[Releases]:
    found = Releases(home)
    yield found
    found.stop(all=True)


@pytest.fixture
def deploy(releases, git_repository, make_desk, artifacts) -> Callable[..., DeployResult]:
    """Commits a tree to the run's hub and has the agent deploy it: ``deploy("one", tree, **request)``."""

    def act(
        run: str, files: dict[str, str], said: list[str] | None = None, **changes
    ) -> DeployResult:
        repository = git_repository(files, name=f"repository-{run}")
        desk: Desk = make_desk("deploy", {}, run=run, say=(said if said is not None else []).append)
        hub = Hub.create(desk.hub)
        commit = head(repository)
        hub.seed(repository, commit)
        plan = plan_of(artifacts)
        request = {
            "plan": plan,
            "repository": str(repository),
            "commit": commit,
            "tree": hub.tree(commit),
            "service": "shop",
        }
        return LocalDeploy(releases).perform(DeployRequest(**(request | changes)), desk)

    return act


def head(repository: Path) -> str:
    return (repository / ".git" / "refs" / "heads" / "main").read_text().strip()


def plan_of(artifacts) -> ArtifactRef:
    plan = ServicePlan(
        name="shop",
        package="shop",
        title="Shop",
        version="1",
        document_sha256="0" * 64,
        openapi="3.1",
        entities=[],
        models=[],
        operations=[],
        security_schemes=[
            SecurityScheme(id="key", attr="key", kind="api_key", name="X-Key", setting="SHOP_KEYS")
        ],
    )
    return artifacts.put(plan.model_dump_json().encode(), "plan.json", "application/json")


def ask(url: str) -> dict:
    return dict(httpx.get(url, timeout=5).json())


def test_the_commit_is_deployed_with_evidence_and_without_git(deploy, releases) -> None:
    said: list[str] = []
    result = deploy("one", {"shop.py": app("one"), ".shipway/service.yaml": FILE}, said)
    assert result.url == f"http://127.0.0.1:{result.port}"
    answer = ask(result.url)
    assert answer["version"] == "one"
    assert ".git" not in answer["files"]
    assert answer["keys"] == ["SHOP_KEYS"]
    assert result.health.status == 200
    assert result.health.pid == releases.view(result.release).pid
    assert result.previous is None
    key = secrets_file.read(releases.secrets_path("shop"))["SHOP_KEYS"]
    assert key not in "".join(said)
    assert "switched: new connections go to the new release" in said


def test_a_later_run_replaces_it_on_the_same_port(deploy, releases) -> None:
    one = deploy("one", {"shop.py": app("one"), ".shipway/service.yaml": FILE})
    two = deploy("two", {"shop.py": app("two"), ".shipway/service.yaml": FILE})
    assert (two.port, two.previous) == (one.port, one.release)
    assert ask(two.url)["version"] == "two"


def test_an_unhealthy_release_fails_with_the_end_of_its_log_and_how_to_see_it_again(
    deploy, releases
) -> None:
    one = deploy("one", {"shop.py": app("one"), ".shipway/service.yaml": FILE})
    files = {"shop.py": app("two", broken=True), ".shipway/service.yaml": FILE}
    with pytest.raises(Failed) as caught:
        deploy("two", files)
    report = caught.value.report
    assert report.code == "SERVICE_UNHEALTHY"
    assert "exited with code 1" in report.message
    assert "no such table: books" in (report.log_tail or "")
    assert "shop.py" in (report.reproduce or "")
    assert releases.view(str(report.details["release"])).status is Status.FAILED
    assert ask(one.url)["version"] == "one"


def test_a_tree_that_was_not_checked_is_not_deployed(deploy, releases) -> None:
    with pytest.raises(ContractError, match="does not hold the tree"):
        deploy("one", {"shop.py": app("one"), ".shipway/service.yaml": FILE}, tree="a" * 40)
    assert releases.list() == []


def test_a_tree_without_a_service_file_is_refused(deploy) -> None:
    with pytest.raises(ConfigurationError, match=r"has no .shipway/service.yaml") as caught:
        deploy("one", {"shop.py": app("one")})
    assert caught.value.details["log_tail"] == "writing the release's files"


def test_a_port_that_is_taken_is_refused_with_how_far_it_came_and_a_command(deploy) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConflictError) as caught:
            deploy("one", {"shop.py": app("one"), ".shipway/service.yaml": FILE}, port=port)
    details = caught.value.details
    assert details["step"] == "deploy"
    assert details["log_tail"].startswith("writing the release's files\n")
    assert "made SHOP_KEYS" in details["log_tail"]
    shown = subprocess.run(
        ["sh", "-c", details["reproduce"]], capture_output=True, text=True, check=True
    )
    assert "shop.py" in shown.stdout


def test_a_change_plan_deploys_without_made_up_secrets(deploy, artifacts, releases) -> None:
    plan = ChangePlan(
        name="shop",
        title="Fix",
        requirement="fix it",
        claim=Claim.FIX,
        base="a" * 40,
        target="main",
        stack="python",
    )
    ref = artifacts.put(plan.model_dump_json().encode(), "plan.json", "application/json")
    deploy("one", {"shop.py": app("one"), ".shipway/service.yaml": FILE}, plan=ref)
    assert secrets_file.read(releases.secrets_path("shop")) == {}
