"""The river that faults are let loose on: real merges, real releases and messages, by cheap agents.

plan, change, check (which fails once), integrate and deploy by the product's own agents, notify.
What an agent does to the world is written down by whoever receives it, in a process of its own:
messages by the ledger, merges by git in the repository, switches by the service's supervisor.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from scripted import FAST, WORK, WorkRequest, WorkResult
from teller import Teller

from shipway.agents import commit as wording
from shipway.agents.agent import Agent, Desk
from shipway.contracts.change_plan import ChangePlan
from shipway.contracts.evidence import GateEvidence, GateReport, GateSelection
from shipway.contracts.model import ArtifactRef, GitObject, Model
from shipway.contracts.registry import CONTRACTS, Contract
from shipway.domain.gates import Verdict
from shipway.domain.pipeline import Dependency, InputRef, Literal, Pipeline, Stage
from shipway.domain.states import Claim
from shipway.engine.pipelines.codec import sealed
from shipway.errors import NetworkError
from shipway.release.releases import Releases
from shipway.workspace.git import Hub, tip

if TYPE_CHECKING:
    from shipway.agents.integrate import Merged  # loads the gates, which costs half a second

Input = InputRef | Literal
SERVICE = "shop"
BRANCH = "main"
_APP = Path(__file__).parents[1] / "release" / "service"


class ChangeRequest(Model):
    repository: str


class ChangeResult(Model):
    plan: ArtifactRef
    base: GitObject
    commit: GitObject
    tree: GitObject


CONTRACTS_HERE: dict[str, Contract] = {
    **WORK,
    "change": Contract("change", 1, ChangeRequest, ChangeResult),
    "integrate": CONTRACTS["integrate"],
    "deploy": CONTRACTS["deploy"],
}


class Maker:
    """Adds one file of the run's own to the repository, as a commit in the run's hub."""

    capability = "change"
    name = "maker"

    def perform(self, request: ChangeRequest, desk: Desk) -> ChangeResult:
        repository, run = Path(request.repository), desk.task.run
        base = tip(repository, BRANCH)
        assert base is not None
        hub = Hub.open(desk.hub)
        hub.seed(repository, base)
        patch = (
            f"diff --git a/{run}.txt b/{run}.txt\nnew file mode 100644\n--- /dev/null\n"
            f"+++ b/{run}.txt\n@@ -0,0 +1 @@\n+{run}\n"
        )
        made = hub.apply(base, patch.encode(), f"change\n\n{wording.trailer(run)}\n")
        plan = ChangePlan(
            name=SERVICE,
            title="a file",
            requirement="a file",
            claim=Claim.CHORE,
            base=base,
            target=BRANCH,
            stack="unknown",
        )
        kept = desk.artifacts.put(plan.model_dump_json().encode(), "plan.json", "application/json")
        return ChangeResult(plan=kept, base=base, commit=made.commit, tree=made.tree)


class Flaky:
    """Cannot be reached at its first attempt."""

    capability = "work"
    name = "flaky"

    def perform(self, request: WorkRequest, desk: Desk) -> WorkResult:
        if desk.task.attempt == 1:
            raise NetworkError("not now")
        return WorkResult(said=request.seen)


def judge(_hub: Hub, made: Merged, _plan: ArtifactRef, _desk: Desk) -> GateReport:
    """Gates have their own tests: here every merged tree is good."""
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    evidence = GateEvidence(
        gate="tests",
        verdict=Verdict.PASS,
        summary="one test",
        examined=1,
        command=["true"],
        tool="none",
        tool_version=None,
        exit_code=0,
        started_at=at,
        ended_at=at,
        tree=made.tree,
        fence=None,
    )
    chosen = GateSelection(gate="tests", selected=True, reason="always")
    return GateReport(tree=made.tree, selections=[chosen], evidence=[evidence])


def agents(pause: float, ledger: str, home: Path) -> list[Agent]:
    """All of them; the product's own load the gates, which costs half a second."""
    from shipway.agents.deploy import LocalDeploy
    from shipway.agents.integrate import Integrate

    return [
        Teller(pause, ledger),
        Flaky(),
        Maker(),
        Integrate(judge),
        LocalDeploy(Releases(home)),
    ]


def _stage(
    capability: str, *needs: str, name: str = "", agent: str = "builtin", **inputs: Input
) -> Stage:
    return Stage(
        id=name or capability,
        capability=capability,
        agent=agent,
        needs=tuple(Dependency(need) for need in needs),
        inputs=inputs,
        retries=FAST,
        timeout_s=40.0,
    )


RIVER: Pipeline = sealed(
    Pipeline(
        name="river",
        version=1,
        digest="",
        stages=(
            _stage("work", name="plan"),
            _stage("change", "plan", repository=InputRef("run", ("repository",))),
            _stage("work", "change", name="check", agent="flaky"),
            _stage(
                "integrate",
                "check",
                repository=InputRef("run", ("repository",)),
                target=Literal(BRANCH),
                strategy=Literal("squash"),
                claim=Literal("chore"),
                title=Literal("a file"),
                **{
                    name: InputRef("change", (name,)) for name in ("plan", "base", "commit", "tree")
                },
            ),
            _stage(
                "deploy",
                "integrate",
                repository=InputRef("run", ("repository",)),
                plan=InputRef("change", ("plan",)),
                service=Literal(SERVICE),
                **{name: InputRef("integrate", (name,)) for name in ("commit", "tree")},
            ),
            _stage("work", "deploy", name="notify"),
        ),
    )
)


def repository(place: Path, *, bare: bool) -> Path:
    """A repository with a service in it, bare or with its branch checked out."""
    work, made = place / "shop", place / "shop.git"
    shutil.copytree(_APP, work)
    (work / "behaviour.json").write_text('{"version": "one"}')
    _git(work, "init", "--quiet", "--template=", f"--initial-branch={BRANCH}")
    _git(work, "add", "--all")
    _git(work, "commit", "--quiet", "--message", "first")
    if not bare:
        return work
    _git(place, "clone", "--quiet", "--bare", "--template=", str(work), str(made))
    _git(made, "config", "core.logAllRefUpdates", "always")
    return made


def _git(where: Path, *words: str) -> str:
    who = {"NAME": "Ada", "EMAIL": "ada@example.com"}
    names = {f"GIT_{role}_{key}": who[key] for role in ("AUTHOR", "COMMITTER") for key in who}
    done = subprocess.run(
        ["git", *words], cwd=where, env=os.environ | names,
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def merges(repository: Path) -> Counter[str]:
    """How often each run is on the branch, by its trailer."""
    told = _git(repository, "log", "--format=%(trailers:key=Shipway-Run,valueonly)", BRANCH)
    return Counter(told.split())


def moves(repository: Path) -> int:
    """How often we moved the branch, as git itself wrote it down."""
    own = repository / ".git"
    log = (own if own.exists() else repository) / "logs" / "refs" / "heads" / BRANCH
    return log.read_text().count("shipway: integrate") if log.exists() else 0


def switches(home: Path) -> Counter[str]:
    """How often traffic was given to a release of each run, as the service's supervisor wrote it down."""
    log = home / "services" / SERVICE / "supervisor.log"
    lines: Iterable[str] = log.read_text().splitlines() if log.exists() else ()
    live = Counter(line.split()[1] for line in lines if line.endswith(" is live"))
    found: Counter[str] = Counter()
    for release in Releases(home).list():
        found[release.run] += live[release.id]
    return found
