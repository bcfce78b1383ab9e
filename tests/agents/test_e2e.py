"""The e2e agent at a real desk: a running service judged by the user's own document."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from shipway import specs
from shipway.agents.agent import Failed
from shipway.agents.e2e import E2e
from shipway.agents.planning.service import plan_service
from shipway.contracts.e2e import E2eRequest, E2eResult
from shipway.errors import GateError
from shipway.gates.failure import passed
from shipway.workspace.environments import Environments
from shipway.workspace.fence import Fence
from shipway.workspace.git import Hub

GATES = Path(__file__).parent.parent / "gates"
DOCUMENT = GATES / "notes.openapi.yaml"


@pytest.fixture(scope="session")
def agent() -> E2e:
    fence = Fence("strict")
    cache = Path(os.environ["SHIPWAY_CACHE"])
    return E2e(fence, Environments(cache, fence, Path(sys.executable)))


@pytest.fixture
def requested(make_desk, artifacts, tmp_path: Path) -> Callable[..., E2eRequest]:
    """A request to judge the note service with some faults."""

    def request(*faults: str, document: bytes | None = None) -> E2eRequest:
        hub = Hub.create(make_desk("e2e", {}).hub)
        space = hub.checkout(None, tmp_path / "space")
        for path in (GATES / "notes").rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                target = space.path / path.relative_to(GATES / "notes")
                target.parent.mkdir(exist_ok=True)
                target.write_bytes(path.read_bytes())
        (space.path / "faults.txt").write_text("\n".join(faults))
        made = hub.capture(space, "a service", None)
        plan = plan_service(specs.read(DOCUMENT), {}).plan
        return E2eRequest(
            plan=artifacts.put(plan.model_dump_json().encode(), "plan.json", "application/json"),
            requirement=artifacts.put(
                document or DOCUMENT.read_bytes(), DOCUMENT.name, "text/yaml"
            ),
            commit=made.commit,
            tree=made.tree,
        )

    return request


def test_a_good_service_passes_both_gates(agent, requested, make_desk) -> None:
    request = requested()
    result = agent.perform(request, make_desk("e2e", request))
    assert passed(result.report)
    assert E2eResult.model_validate_json(result.model_dump_json()) == result
    api, flows = result.report.evidence
    assert (api.gate, flows.gate) == ("api", "acceptance")
    assert api.counts["tested"] == api.counts["operations"] == 4
    assert api.examined > 100
    assert api.tool_version == "4.32.5"
    assert api.fence is not None
    assert api.fence.network
    assert {"document", "configuration", "tree", "tools"} <= set(api.inputs)


def test_planted_faults_fail_the_gate_with_a_command_that_shows_them(
    agent, requested, make_desk, artifacts
) -> None:
    request = requested("crashes", "undocumented status", "accepts invalid input")
    with pytest.raises(Failed) as failed:
        agent.perform(request, make_desk("e2e", request))
    assert isinstance(failed.value.result, E2eResult)
    api, flows = failed.value.result.report.evidence
    assert api.verdict.value == "FAIL"
    assert {"ST101", "ST103", "ST201"} <= {one.rule for one in api.findings}
    assert all(
        (one.reproduce or "").startswith("curl -X ")
        for one in api.findings
        if one.severity == "error"
    )
    assert flows.verdict.value == "FAIL"
    report = failed.value.report
    assert (report.step, report.category) == ("api", "permanent")
    assert (report.reproduce or "").startswith("curl ")
    assert "RuntimeError: five is too much" in artifacts.read(api.log).decode()


def test_another_document_than_the_planned_one_judges_nothing(agent, requested, make_desk) -> None:
    request = requested(document=DOCUMENT.read_bytes() + b"# weaker\n")
    with pytest.raises(GateError, match="another document"):
        agent.perform(request, make_desk("e2e", request))
