"""The scaffold agent: from a plan and its document to one commit in the run's repository."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading

import pytest
from rendered_service import DOCUMENTS, plan_of

from shipway.agents.scaffold import Scaffold, template_version
from shipway.contracts.envelope import report_of
from shipway.contracts.scaffold import ScaffoldRequest
from shipway.errors import AgentTimeoutError, ContractError
from shipway.workspace.git import Hub


@pytest.fixture
def asked(artifacts):
    """A request for the countries' document, which is kept with it."""
    plan = plan_of("countries").model_dump_json().encode()
    return ScaffoldRequest(
        plan=artifacts.put(plan, "plan.json", "application/json"),
        requirement=artifacts.put(
            DOCUMENTS["countries"].read_bytes(), "countries.yaml", "application/yaml"
        ),
    )


def test_a_plan_becomes_a_commit_with_the_document_in_it(make_desk, asked, artifacts):
    said = []
    desk = make_desk("scaffold", asked, say=said.append)
    hub = Hub.create(desk.hub)
    result = Scaffold().perform(asked, desk)
    assert hub.show(result.commit, "openapi.yaml") == DOCUMENTS["countries"].read_bytes()
    assert b"def " in hub.show(result.commit, "countries/routes/country.py")
    assert hub.tree(result.commit) == result.tree
    assert (result.base, result.template) == (None, "service")
    assert result.template_version == template_version()
    assert artifacts.read(result.diff).count(b"\ndiff --git") + 1 == result.files
    assert said == ["rendering Countries: 8 operations"]


def test_the_same_document_and_template_give_the_same_bytes(make_desk, asked):
    first, second = make_desk("scaffold", asked), make_desk("scaffold", asked, attempt=2)
    Hub.create(first.hub)
    results = [Scaffold().perform(asked, desk) for desk in (first, second)]
    assert results[0].tree == results[1].tree


def test_a_plan_of_another_document_is_refused(make_desk, asked, artifacts):
    other = artifacts.put(b"openapi: 3.1.0\n", "other.yaml", "application/yaml")
    wrong = asked.model_copy(update={"requirement": other})
    with pytest.raises(ContractError, match="not made from this document"):
        Scaffold().perform(wrong, make_desk("scaffold", wrong))


def test_cancelling_stops_the_rendering(make_desk, asked):
    cancel = threading.Event()
    cancel.set()
    desk = make_desk("scaffold", asked, cancel=cancel)
    Hub.create(desk.hub)
    with pytest.raises(AgentTimeoutError) as caught:
        Scaffold().perform(asked, desk)
    report = report_of(caught.value)
    assert report.step == "render the template"
    for left in desk.work.iterdir():  # the attempt's directory goes with it
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    subprocess.run(["sh", "-c", f'{report.reproduce} && test -n "$(ls $d)"'], check=True)


def test_the_engine_never_imports_what_renders():
    source = "import sys, shipway.agents.scaffold; print('copier' in sys.modules, 'jinja2' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", source], env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["False", "False"]
