"""A candidate that runs: started in a fence, walked by the plan's flows, seen again after a restart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from candidates import change_plan

from shipway import specs
from shipway.agents.planning.service import plan_service
from shipway.contracts.evidence import GateEvidence
from shipway.contracts.service_plan import ServicePlan
from shipway.domain.gates import Verdict
from shipway.errors import ConfigurationError
from shipway.gates.bench import Bench
from shipway.gates.panel import Panel
from shipway.gates.project import survey
from shipway.gates.runners import acceptance
from shipway.gates.runners.schemathesis import configuration
from shipway.gates.service import declared, make_secrets
from shipway.gates.tools import tool_environment
from shipway.workspace.environments import Environments

HERE = Path(__file__).parent
NOTES = {
    str(path.relative_to(HERE / "notes")): path.read_text(encoding="utf-8")
    for path in (HERE / "notes").rglob("*")
    if path.is_file() and "__pycache__" not in path.parts
}


@pytest.fixture(scope="session")
def plan() -> ServicePlan:
    return plan_service(specs.read(HERE / "notes.openapi.yaml"), {}).plan


@pytest.fixture
def walked(
    plan: ServicePlan, commit, hub, fence, environments: Environments, shelf, tmp_path: Path
) -> Callable[..., GateEvidence]:
    """The acceptance gate on the note service with some faults."""

    def walk(*faults: str) -> GateEvidence:
        made = commit({**NOTES, "faults.txt": "\n".join(faults)})
        tree = hub.checkout(made.commit, tmp_path / "tree").path
        (tmp_path / "bench").mkdir()
        bench = Bench(
            fence=fence,
            shelf=shelf,
            tools=tool_environment(environments),
            project=survey(tree, plan),
            tree=tree,
            tree_id=made.tree,
            work=tmp_path / "bench",
            candidate=environments.build([tree / "requirements.txt"]),
            say=lambda _line: None,
        )
        return acceptance.judge(bench, declared(tree, plan), plan)

    return walk


def test_a_good_service_passes_every_flow(walked, plan) -> None:
    found = walked()
    assert found.verdict is Verdict.PASS, found.summary
    assert found.counts["flows"] == len(plan.checks) + 1
    assert found.counts["requests"] > len(plan.checks)
    assert found.counts["impossible"] == 0


FAULTS = {
    "forgets": "persists",
    "ignores filters": "filter",
    "lets anybody in": "unauthorised",
    "accepts invalid input": "invalid",
    "allows duplicates": "unique",
}


def test_each_fault_is_found_by_its_own_flow_and_by_no_other(walked, shelf) -> None:
    found = walked(*FAULTS)
    assert found.verdict is Verdict.FAIL
    assert {finding.rule for finding in found.findings} == set(FAULTS.values()), found.summary
    assert all((finding.reproduce or "").startswith("curl ") for finding in found.findings)
    assert "$NOTES_KEY" in found.model_dump_json()


def test_a_service_that_answers_with_the_documents_example_is_found_out(walked) -> None:
    found = walked("answers with its example")
    assert found.verdict is Verdict.FAIL
    assert "create_read" in {finding.rule for finding in found.findings}


def test_a_service_that_dies_on_the_way_fails(walked) -> None:
    found = walked("dies when read")
    assert found.verdict is Verdict.FAIL
    assert "the service ended" in found.summary


def test_a_service_that_never_starts_fails_with_the_end_of_its_log(walked) -> None:
    found = walked("never starts")
    assert found.verdict is Verdict.FAIL
    assert "ended before it was healthy" in found.summary
    assert "the settings are wrong" in found.summary


def test_a_candidate_that_declares_no_service_says_what_is_missing(tmp_path: Path, plan) -> None:
    with pytest.raises(ConfigurationError, match=r"service\.yaml"):
        declared(tmp_path, plan)


def test_a_changed_service_is_started_even_without_a_document(
    commit, panel: Callable[..., Panel]
) -> None:
    made = commit(NOTES)
    service = {"start": ["python", "-m", "notes"], "health": "/health"}
    written = change_plan(made.commit, service=service, requirements=["requirements.txt"])
    report = panel().e2e(written, made.commit, made.tree, None)
    assert {one.gate: one.selected for one in report.selections} == {
        "api": False,
        "acceptance": True,
    }
    (found,) = report.evidence
    assert (found.gate, found.verdict, found.examined) == ("acceptance", Verdict.PASS, 1)


def test_secrets_are_made_anew_and_never_written_into_the_configuration(plan) -> None:
    one, other = make_secrets(plan.security_schemes), make_secrets(plan.security_schemes)
    assert one.keys() == other.keys() == {"NOTES_KEY"}
    assert one != other
    written = configuration(plan, 4)
    assert 'api_key = "${NOTES_KEY}"' in written
    assert not any(word in written for word in one.values())


def test_what_is_not_implemented_is_left_out_and_business_rules_may_refuse(plan) -> None:
    first, *others = plan.operations
    open_one = first.model_copy(update={"behaviour": "unimplemented"})
    conflict = next(one for one in others if one.behaviour == "create").errors
    refusing = [
        error.model_copy(update={"status": 422}) for error in conflict if error.reason == "conflict"
    ]
    made = [
        one.model_copy(update={"errors": refusing}) if one.behaviour == "create" else one
        for one in others
    ]
    written = configuration(plan.model_copy(update={"operations": [open_one, *made]}), 4)
    assert f'include-name = "{first.method.upper()} {first.path}"\nenabled = false' in written
    assert '"422"' in written
