"""What gates cannot decide alone is a person's: the run waits with the result, and a word settles it."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from shipway.domain.pipeline import Dependency, InputRef, Pipeline, Stage
from shipway.domain.run import AskState, RunState, decide, submit
from shipway.domain.run import events as e
from shipway.domain.run.decide import Decision
from shipway.domain.run.state import from_json
from shipway.domain.states import RunStatus, StageStatus

NOW = 1_000.0
WEEK = 7 * 86400.0
PIPELINE = Pipeline(
    "test", 1, "d" * 64,
    (
        Stage("make", "work", "builtin"),
        Stage(
            "judge", "work", "builtin", (Dependency("make"),), gates=("tests", "tamper"),
            inputs={"tree": InputRef("make", ("tree",))},
        ),
        Stage(
            "merge", "work", "builtin", (Dependency("judge"),),
            inputs={"tree": InputRef("judge", ("report", "tree"))},
        ),
    ),
)  # fmt: skip


def evidence(gate: str, verdict: str, tree: str, **more: Any) -> dict[str, Any]:
    return {
        "gate": gate, "verdict": verdict, "enforcement": "required", "examined": 3,
        "summary": f"{gate} said {verdict}", "tree": tree, "findings": [], **more,
    }  # fmt: skip


def result(*found: dict[str, Any], tree: str = "t1") -> dict[str, Any]:
    selections = [
        {"gate": one["gate"], "selected": True, "reason": "", "enforcement": "required"}
        for one in found
    ]
    return {"report": {"tree": tree, "selections": selections, "evidence": list(found)}}


def doubted(tree: str = "t1", rule: str = "test-weakened", **more: Any) -> dict[str, Any]:
    finding = {"rule": rule, "path": "test_a.py", "message": "asserts less"}
    return result(
        evidence("tests", "PASS", tree),
        evidence("tamper", "FAIL", tree, ask="Is this meant?", findings=[finding], **more),
        tree=tree,
    )


def complete(state: RunState, name: str, found: dict[str, Any], now: float = NOW) -> Decision:
    come_to = state.stages[name]
    return decide(
        state, e.Completed(name, come_to.attempt, come_to.token, "succeeded", result=found), now
    )


def judging(tree: str = "t1") -> RunState:
    return complete(submit("run", PIPELINE, {}, NOW).state, "make", {"tree": tree}).state


def waiting() -> RunState:
    return complete(judging(), "judge", doubted()).state


def only_ask(state: RunState) -> AskState:
    [(name, ask)] = state.asks()
    assert name == "judge"
    return ask


def test_the_run_waits_with_the_gates_question_and_says_until_when() -> None:
    state = waiting()
    ask = only_ask(state)
    assert state.status is RunStatus.WAITING
    assert (ask.id, ask.question) == ("judge-tamper", "Is this meant?")
    assert ask.why == "gate tamper: tamper said FAIL"
    assert state.due() == NOW + WEEK
    assert state.stages["merge"].status is StageStatus.PENDING


def test_a_persons_yes_lets_exactly_that_result_pass_and_nothing_is_judged_again() -> None:
    decision = decide(waiting(), e.Answer("judge-tamper", "approve", "ada"), NOW + 5)
    assert [order.stage for order in decision.orders] == ["merge"]
    assert decision.state.stages["judge"].attempt == 1
    assert decision.state.stages["judge"].ended_at == NOW  # the work, not the wait
    assert decision.state.stages["judge"].result == doubted()
    assert decision.orders[0].request == {"tree": "t1"}
    [made] = decision.state.stages["judge"].asks
    assert (made.choice, made.by) == ("approve", "ada")


def test_a_waiting_result_survives_the_store() -> None:
    state = waiting()
    stored = orjson.loads(orjson.dumps(state.to_json()))
    results = {"make": {"tree": "t1"}, "judge": doubted()}
    again = from_json("run", PIPELINE, {}, stored, results)
    assert again == state
    decision = decide(again, e.Answer("judge-tamper", "approve", "ada"), NOW)
    assert [order.stage for order in decision.orders] == ["merge"]


def test_a_no_fails_the_stage_with_its_evidence() -> None:
    decision = decide(
        waiting(), e.Answer("judge-tamper", "reject", "ada", comment="put it back"), NOW
    )
    failed = decision.state.stages["judge"]
    assert decision.state.status is RunStatus.FAILED
    assert failed.result == doubted()
    assert "put it back" in (failed.error or {})["message"]


def test_nobodys_answer_is_a_no() -> None:
    decision = decide(waiting(), e.Tick(), NOW + WEEK)
    assert decision.state.status is RunStatus.FAILED
    assert not decision.orders


@pytest.mark.parametrize(
    "against",
    [
        evidence("tests", "FAIL", "t1"),
        evidence("tests", "ERROR", "t1"),
        evidence("tests", "NOT_RUN", "t1", ask="Shall it be?"),
        evidence("tests", "PASS", "t1", examined=0),
    ],
)
def test_a_person_is_not_asked_about_what_is_refused_or_was_not_judged(
    against: dict[str, Any],
) -> None:
    asking = evidence("tamper", "FAIL", "t1", ask="Is this meant?")
    state = complete(judging(), "judge", result(against, asking)).state
    assert state.status is RunStatus.FAILED
    assert not list(state.asks())


def test_a_question_does_not_stand_in_for_a_gate_that_is_not_there() -> None:
    asking = evidence("tests", "FAIL", "t1", ask="Is this meant?")
    state = complete(judging(), "judge", result(asking)).state
    assert state.status is RunStatus.FAILED
    assert "nothing was said about: tamper" in (state.reason or "")


def judged_again(state: RunState, tree: str, found: dict[str, Any]) -> RunState:
    state = decide(state, e.Answer("judge-tamper", "approve", "ada"), NOW).state
    state = decide(state, e.Rewind("make", "ada", "once more"), NOW).state
    state = complete(state, "make", {"tree": tree, "new": True}).state
    if state.stages["judge"].status is StageStatus.PASSED:
        return state
    return complete(state, "judge", found).state


def test_another_tree_is_asked_about_again() -> None:
    state = judged_again(waiting(), "t2", doubted("t2"))
    assert only_ask(state).choice is None
    assert state.status is RunStatus.WAITING


def test_another_finding_on_the_same_tree_is_asked_about_again() -> None:
    state = decide(waiting(), e.Answer("judge-tamper", "approve", "ada"), NOW).state
    state = decide(state, e.Rewind("judge", "ada", "once more"), NOW).state
    state = complete(state, "judge", doubted(rule="test-deleted")).state
    assert state.status is RunStatus.WAITING


def test_the_same_finding_on_the_same_tree_was_decided_already() -> None:
    state = decide(waiting(), e.Answer("judge-tamper", "approve", "ada"), NOW).state
    state = decide(state, e.Rewind("judge", "ada", "once more"), NOW).state
    decision = complete(state, "judge", doubted())
    assert decision.state.stages["judge"].status is StageStatus.PASSED
    assert decision.state.status is RunStatus.RUNNING
