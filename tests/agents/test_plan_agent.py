"""The plan agents on a desk: artifacts, questions, errors; the values and texts that plans are made of."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plan_documents import plan, query, things

from shipway.agents.agent import Asks, Desk
from shipway.agents.plan import RepositoryPlanner, SpecificationPlanner
from shipway.agents.planning import readable
from shipway.agents.planning.patterns import matching
from shipway.contracts.plan import PlanRequest, PlanResult
from shipway.contracts.service_plan import ServicePlan
from shipway.domain.states import Claim
from shipway.errors import SpecificationError, UsageError

LIBRARY = Path(__file__).parents[2] / "examples/library.openapi.yaml"
MakeDesk = Callable[..., Desk]
OAUTH = b"""
openapi: 3.0.3
info: {title: Guarded, version: '1'}
security: [{login: [all]}]
paths:
  /notes:
    get:
      responses:
        '200':
          description: notes
          content:
            application/json:
              schema:
                type: array
                items: {type: object, properties: {id: {type: string}, text: {type: string}}}
components:
  securitySchemes:
    login: {type: openIdConnect, openIdConnectUrl: 'https://login.example.org'}
"""


def run(
    make_desk: MakeDesk, artifacts: Any, data: bytes, agent: Any = None, **more: Any
) -> tuple[PlanResult, Desk]:
    requirement = artifacts.put(data, "api.yaml", "application/yaml")
    request = PlanRequest(requirement=requirement, kind="specification", **more)
    desk = make_desk("plan", request)
    return (agent or SpecificationPlanner()).perform(request, desk), desk


def test_a_document_becomes_two_artifacts(make_desk: MakeDesk, artifacts: Any) -> None:
    result, desk = run(make_desk, artifacts, LIBRARY.read_bytes())
    data = desk.artifacts.read(result.plan)
    made = ServicePlan.model_validate_json(data)
    assert (result.name, result.title, result.claim) == (
        "lending-library",
        "Lending Library",
        Claim.FEATURE,
    )
    assert (result.operations, result.unimplemented_count, result.ambiguities) == (15, 0, 0)
    assert result.checks == len(made.checks) > 30
    assert result.digest == hashlib.sha256(data).hexdigest() == result.plan.sha256
    assert made.document_sha256 == hashlib.sha256(LIBRARY.read_bytes()).hexdigest()
    text = desk.artifacts.read(result.readable).decode()
    rule = "No two have the same `bookId` while `status` is `active`"
    for said in ("# Plan: Lending Library", rule, "X-Library-Key"):
        assert said in text
    assert not list(desk.work.iterdir())


def test_the_same_document_gives_the_same_bytes(make_desk: MakeDesk, artifacts: Any) -> None:
    first, _ = run(make_desk, artifacts, LIBRARY.read_bytes())
    second, _ = run(make_desk, artifacts, LIBRARY.read_bytes())
    assert first == second


def test_a_login_server_ends_the_attempt_with_a_question(
    make_desk: MakeDesk, artifacts: Any
) -> None:
    with pytest.raises(Asks) as asked:
        run(make_desk, artifacts, OAUTH)
    (question,) = asked.value.questions
    answered, _ = run(make_desk, artifacts, OAUTH, answers={question.id: "unimplemented"})
    assert answered.unimplemented_count == 1
    assert answered.unimplemented[0].operation == "GET /notes"
    assert answered.risk == "medium"
    opened, _ = run(make_desk, artifacts, OAUTH, answers={question.id: "bearer"})
    assert opened.unimplemented_count == 0
    with pytest.raises(UsageError):
        run(make_desk, artifacts, OAUTH, answers={question.id: "no idea"})


def test_a_bad_document_is_the_readers_error(make_desk: MakeDesk, artifacts: Any) -> None:
    with pytest.raises(SpecificationError, match="it is not an OpenAPI document"):
        run(make_desk, artifacts, b"hello: world")


def test_an_agent_refuses_the_other_kind(make_desk: MakeDesk, artifacts: Any) -> None:
    with pytest.raises(UsageError):
        run(make_desk, artifacts, LIBRARY.read_bytes(), RepositoryPlanner())


def test_the_readable_plan_cannot_be_broken_by_words_of_the_document() -> None:
    document = things({"a": {"type": "string"}}, parameters=[query("z|`", {"type": "string"})])
    document["info"] = {"title": "A | <script>alert(1)</script>\n# Fake", "version": "1"}
    text = readable.write(plan(document))
    assert "<script>" not in text
    assert not re.search(r"(?m)^# Fake", text)
    rows = [line for line in text.splitlines() if "GET /things z" in line]
    assert rows
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 4 for row in rows)


@pytest.mark.parametrize(
    "pattern",
    [
        r"^97[89][0-9]{10}$", r"^[a-z]{2,3}$", r"^(foo|bar)-\d+$", r"[A-Z]", r"^\w+@\w+\.(com|org)$", "^$",
        r"^(?!x)[a-z]{3}$", r"^[^\s]{4,}$", r"^#(?:[0-9a-f]{3}){1,2}$", r"^\+?[1-9]\d{1,14}$", r"^.{3,}$",
        r"^[A-Z]{2}-(?P<a>\d)(?:\.\d+)*$",
    ],
)  # fmt: skip
@given(number=st.integers(0, 500))
def test_made_texts_match_their_pattern(pattern: str, number: int) -> None:
    text = matching(pattern, number)
    assert text is not None
    assert re.search(pattern, text)


def test_made_texts_differ_and_keep_their_length() -> None:
    assert len({matching(r"^[A-Z]{3}-\d{2}$", number) for number in range(500)}) == 500
    text = matching(r"^[a-z]+$", 1, 10, 12)
    assert text is not None
    assert 10 <= len(text) <= 12
    assert matching(r"^(a)(?=b)c$", 0) is None
