"""The validate agent at a real desk: a result when every gate passes, Failed with the evidence when not."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from shipway.agents.agent import Failed
from shipway.agents.integrate import Merged
from shipway.agents.validate import Validate
from shipway.contracts.change_plan import ChangePlan
from shipway.contracts.validate import ValidateRequest, ValidateResult
from shipway.domain.states import Claim
from shipway.errors import ContractError
from shipway.gates.failure import passed
from shipway.workspace.environments import Environments
from shipway.workspace.fence import Fence
from shipway.workspace.git import Capture, Hub

GOOD = {
    "shop.py": "def price(n):\n    return n * 2\n",
    "test_shop.py": "from shop import price\n\n\ndef test_price():\n    assert price(2) == 4\n",
}
BAD = {"shop.py": "def price(n):\n    return n * 3\n"}


@pytest.fixture(scope="session")
def agent() -> Validate:
    fence = Fence("strict")
    cache = Path(os.environ["SHIPWAY_CACHE"])
    return Validate(fence, Environments(cache, fence, Path(sys.executable)))


@pytest.fixture
def commit(make_desk, tmp_path: Path) -> Callable[..., Capture]:
    hub = Hub.create(make_desk("validate", {}).hub)

    def make(files: Mapping[str, str], on: Capture | None = None) -> Capture:
        place = tmp_path / f"space-{len(list(tmp_path.glob('space-*')))}"
        space = hub.checkout(on.commit if on else None, place)
        for name, content in files.items():
            (place / name).write_text(content)
        return hub.capture(space, "a change", on.commit if on else None)

    return make


@pytest.fixture
def plan(artifacts) -> Callable[[Capture], object]:
    def write(base: Capture) -> object:
        made = ChangePlan(
            name="shop", title="A change", requirement="Change it.", claim=Claim.FIX,
            base=base.commit, target="main", stack="python",
        )  # fmt: skip
        return artifacts.put(made.model_dump_json().encode(), "plan.json", "application/json")

    return write


def test_a_good_change_is_a_result_that_survives_the_wire(agent, commit, plan, make_desk) -> None:
    base = commit({"shop.py": "import os\n"})
    made = commit(GOOD, on=base)
    said: list[str] = []
    request = ValidateRequest(plan=plan(base), base=base.commit, commit=made.commit, tree=made.tree)
    result = agent.perform(request, make_desk("validate", request, say=said.append))
    assert passed(result.report)
    assert ValidateResult.model_validate_json(result.model_dump_json()) == result
    assert {"lint: ruff", "testing the head"} & set(said)


def test_a_bad_change_fails_with_its_evidence_and_what_to_type(
    agent, commit, plan, make_desk
) -> None:
    base = commit(GOOD)
    made = commit(BAD, on=base)
    request = ValidateRequest(plan=plan(base), base=base.commit, commit=made.commit, tree=made.tree)
    with pytest.raises(Failed) as failed:
        agent.perform(request, make_desk("validate", request))
    report = failed.value.report
    assert (report.code, report.category, report.step) == ("GATE", "permanent", "tests")
    assert "assert 6 == 4" in report.message
    assert "assert 6 == 4" in (report.log_tail or "")
    assert report.reproduce == "python -m pytest 'test_shop.py::test_price'"
    assert isinstance(failed.value.result, ValidateResult)
    judged = {one.gate for one in failed.value.result.report.evidence}
    assert {"tests", "proof", "tamper", "lint", "secrets"} <= judged


def test_the_merged_tree_is_judged_by_its_tests_only(agent, commit, plan, make_desk) -> None:
    base = commit(GOOD)
    merged = commit(BAD, on=base)
    desk = make_desk("integrate", {})
    bad = Merged(merged.commit, merged.tree, base.commit)
    report = agent.judge(Hub.open(desk.hub), bad, plan(base), desk)
    assert [found.gate for found in report.evidence] == ["tests"]
    assert not passed(report)
    fine = commit({"README.md": "# shop\n"}, on=base)
    again = agent.judge(
        Hub.open(desk.hub), Merged(fine.commit, fine.tree, base.commit), plan(base), desk
    )
    assert passed(again)


def test_a_plan_of_another_shape_is_refused(agent, commit, artifacts, make_desk) -> None:
    made = commit(GOOD)
    ref = artifacts.put(b'{"format": 7}', "plan.json", "application/json")
    request = ValidateRequest(plan=ref, base=None, commit=made.commit, tree=made.tree)
    with pytest.raises(ContractError, match="plan"):
        agent.perform(request, make_desk("validate", request))
