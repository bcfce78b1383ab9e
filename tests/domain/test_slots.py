"""An agent slot with several agents: who takes over, when, and when a person is asked."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from shipway.domain.pipeline import InputRef, Pipeline, Stage
from shipway.domain.retries import RetryPolicy
from shipway.domain.run import RunState, decide, submit
from shipway.domain.run import events as e
from shipway.domain.run.decide import MAX_INTERRUPTIONS, Decision
from shipway.domain.run.slots import agents_left
from shipway.domain.run.state import from_json
from shipway.domain.states import RunStatus, StageStatus
from shipway.errors import GateError, RejectedError

NOW = 1_000.0
TWO = Stage("a", "work", "careful", fallbacks=("quick",), retries=RetryPolicy(1))
CHANGES = Stage("a", "implement", "builtin", inputs={"change": InputRef("run", ("change",))})
ONE_COMMAND = {"kind": "command", "command": ["first", "--yes"]}
A_MODEL = {"kind": "model", "model": "second"}


def begin(stage: Stage, **submission: Any) -> Decision:
    return submit("run", Pipeline("test", 1, "d" * 64, (stage,)), submission, NOW)


def fail(state: RunState, message: str = "no", category: str = "permanent", code: str = "X"):
    come_to = state.stages["a"]
    error = {"code": code, "category": category, "message": message}
    given = e.Completed("a", come_to.attempt, come_to.token, "failed", error=error)
    return decide(state, given, NOW)


def test_when_an_agent_failed_for_good_the_next_one_begins_with_all_its_attempts():
    first = begin(TWO)
    assert [order.agent for order in first.orders] == ["careful"]
    again = decide(fail(first.state, category="transient").state, e.Tick(), NOW + 60)
    assert [(order.agent, order.attempt) for order in again.orders] == [("careful", 2)]
    over = fail(again.state, category="transient")
    assert [(order.agent, order.attempt) for order in over.orders] == [("quick", 3)]
    assert over.state.stages["a"].failures == 0
    assert over.state.status is RunStatus.RUNNING
    done = e.Completed("a", 3, 3, "succeeded", result={})
    assert decide(over.state, done, NOW).state.status is RunStatus.SUCCEEDED


def test_each_source_of_change_is_tried_in_turn():
    first = begin(CHANGES, change=ONE_COMMAND, fallbacks=[A_MODEL])
    assert first.orders[0].request == {"change": ONE_COMMAND}
    assert agents_left(first.state, "a") == ["command:first --yes", "model:second"]
    second = fail(first.state)
    assert second.orders[0].request == {"change": A_MODEL}
    assert second.orders[0].agent == "builtin"


def test_agents_of_the_pipeline_come_after_the_sources_of_the_first():
    stage = Stage("a", "implement", "x", inputs=CHANGES.inputs, fallbacks=("y",))
    state = begin(stage, change=ONE_COMMAND, fallbacks=[A_MODEL]).state
    assert agents_left(state, "a") == [
        "x with command:first --yes", "x with model:second", "y with command:first --yes",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("code", "category"),
    [
        (GateError.code, "permanent"),
        (RejectedError.code, "permanent"),
        ("OVERLOAD", "permanent"),
        ("X", "cancelled"),
    ],
)
def test_an_answer_is_not_asked_of_another_agent(code, category):
    assert fail(begin(TWO).state, code=code, category=category).state.status is RunStatus.FAILED


def test_an_agent_that_kills_its_worker_is_passed_over():
    state = begin(TWO).state
    for _ in range(MAX_INTERRUPTIONS):
        at = state.stages["a"]
        state = decide(state, e.Interrupted("a", at.attempt, at.token, "died", suspect=True), NOW)
        orders, state = state.orders, state.state
    assert [order.agent for order in orders] == ["quick"]
    assert state.stages["a"].interruptions == 0


def both_failed() -> RunState:
    return fail(fail(begin(TWO).state, "first").state, "second").state


def test_after_the_last_agent_a_person_is_asked():
    state = both_failed()
    assert (state.status, state.reason) == (RunStatus.WAITING, "a person: a-agents")
    ((_, ask),) = state.asks()
    assert ask.why == "careful: first; quick: second"
    assert ask.options == ("again", "give-up")
    assert state.due() == ask.deadline


def test_a_person_lets_all_of_them_try_again():
    again = decide(both_failed(), e.Answer("a-agents", "again", "ada"), NOW)
    assert [(order.agent, order.attempt) for order in again.orders] == [("careful", 3)]
    assert again.state.status is RunStatus.RUNNING
    asked = fail(fail(again.state, "third").state, "fourth").state
    ((_, ask),) = asked.asks()
    assert ask.why == "careful: third; quick: fourth"


@pytest.mark.parametrize("by", ["ada", "deadline"])
def test_who_gives_up_or_does_not_answer_ends_the_stage(by):
    state = both_failed()
    ((_, ask),) = state.asks()
    given = e.Answer(ask.id, "give-up", "ada") if by == "ada" else e.Tick()
    ended = decide(state, given, ask.deadline).state
    assert ended.status is RunStatus.FAILED
    error = ended.stages["a"].error
    assert error["code"] == "NO_AGENT_LEFT"
    assert f"{by} gave it up: careful: first; quick: second" in error["message"]


@pytest.mark.parametrize("given", [e.Retry("ada", "again"), e.Rewind("a", "ada", "look")])
def test_a_run_that_is_sent_back_begins_with_the_first_agent(given):
    back = decide(fail(begin(TWO).state).state, e.Rewind("a", "ada", "look"), NOW)
    assert [order.agent for order in back.orders] == ["careful"]
    ended = decide(both_failed(), e.Answer("a-agents", "give-up", "ada"), NOW).state
    back = decide(ended, given, NOW)
    assert [order.agent for order in back.orders] == ["careful"]


def test_it_is_stored_and_read_again():
    state = both_failed()
    stored = orjson.loads(orjson.dumps(state.to_json()))
    assert from_json("run", state.pipeline, {}, stored, {}).filled == state.filled
    assert "filled" not in begin(TWO).state.to_json(), "older engines read what needs no slot"
    assert state.stages["a"].status is StageStatus.WAITING
