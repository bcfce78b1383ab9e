"""The reducer, case by case: what a run does and, as much, what it does not do."""

from __future__ import annotations

from typing import Any

import pytest

from shipway.domain.conditions import Comparison
from shipway.domain.pipeline import AskRule, Dependency, InputRef, Pipeline, Stage, When
from shipway.domain.retries import RetryPolicy
from shipway.domain.run import AskState, RunState, decide, submit
from shipway.domain.run import events as e
from shipway.domain.run.decide import Decision
from shipway.domain.run.state import from_json
from shipway.domain.states import RunStatus, StageStatus

NOW = 1_000.0


def stage(name: str, *needs: Any, **options: Any) -> Stage:
    dependencies = tuple(
        need if isinstance(need, Dependency) else Dependency(need) for need in needs
    )
    return Stage(id=name, capability="work", agent="builtin", needs=dependencies, **options)


def begin(*stages: Stage, submission: dict[str, Any] | None = None, **options: Any) -> Decision:
    pipeline = Pipeline("test", 1, "d" * 64, stages, **options)
    return submit("run", pipeline, submission or {}, NOW)


def finish(state: RunState, name: str, now: float = NOW, **result: Any) -> Decision:
    come_to = state.stages[name]
    done = e.Completed(name, come_to.attempt, come_to.token, "succeeded", result=result)
    return decide(state, done, now)


def fail(state: RunState, name: str, category: str = "permanent", now: float = NOW) -> Decision:
    come_to = state.stages[name]
    error = {"code": "X", "category": category, "message": "no"}
    given = e.Completed(name, come_to.attempt, come_to.token, "failed", error=error)
    return decide(state, given, now)


def test_when_only_people_can_move_it_the_run_rests_and_says_for_what() -> None:
    state = begin(stage("a", asks=(AskRule("go", "go?", None, ()),))).state
    assert state.status is RunStatus.WAITING
    assert state.reason == "a person: go"
    assert state.due() == NOW + 7 * 86400


def test_time_at_rest_does_not_use_up_the_pipelines_timeout() -> None:
    state = begin(stage("a", asks=(AskRule("go", "go?", None, ()),)), timeout_s=60).state
    later = NOW + 3 * 86400
    decision = decide(state, e.Answer("go", "approve", "ada"), later)
    assert decision.state.status is RunStatus.RUNNING
    assert decision.state.deadline == later + 60
    assert [order.stage for order in decision.orders] == ["a"]


def test_a_stage_with_two_questions_waits_for_both_answers() -> None:
    rules = (AskRule("one", "1?", None, ()), AskRule("two", "2?", None, ()))
    state = begin(stage("a", asks=rules)).state
    first = decide(state, e.Answer("one", "approve", "ada"), NOW)
    assert not first.orders
    assert first.state.status is RunStatus.WAITING
    second = decide(first.state, e.Answer("two", "approve", "ada"), NOW)
    assert [order.stage for order in second.orders] == ["a"]


def test_a_paused_run_does_not_start_a_retry_whose_time_has_come() -> None:
    state = fail(begin(stage("a")).state, "a", "transient").state
    state = decide(state, e.Pause("ada", "lunch"), NOW).state
    ticked = decide(state, e.Tick(), NOW + 3600)
    assert not ticked.orders
    assert ticked.state.status is RunStatus.PAUSED
    resumed = decide(ticked.state, e.Resume("ada"), NOW + 3600)
    again = decide(resumed.state, e.Tick(), NOW + 3600)
    assert [order.attempt for order in again.orders] == [2]


def test_an_approval_of_something_else_does_not_count() -> None:
    rule = AskRule("go", "go?", None, (InputRef("a", ("tree",)),))
    state = finish(begin(stage("a"), stage("b", "a", asks=(rule,))).state, "a", tree="t1").state
    ask = next(ask for _, ask in state.asks())
    stale = decide(state, e.Answer("go", "approve", "ada", subject="0" * 64), NOW)
    assert not stale.orders
    assert "changed" in stale.events[0].why  # type: ignore[union-attr]
    fresh = decide(state, e.Answer("go", "approve", "ada", subject=ask.subject), NOW)
    assert [order.stage for order in fresh.orders] == ["b"]


def test_a_different_tree_makes_a_different_subject() -> None:
    rule = AskRule("go", "go?", None, (InputRef("a", ("tree",)),))
    subjects = set()
    for tree in ("t1", "t2"):
        begun = begin(stage("a"), stage("b", "a", asks=(rule,))).state
        subjects |= {ask.subject for _, ask in finish(begun, "a", tree=tree).state.asks()}
    assert len(subjects) == 2


@pytest.mark.parametrize(
    ("on", "outcome", "starts"),
    [
        (When.SUCCESS, "passed", True),
        (When.SUCCESS, "failed", False),
        (When.COMPLETED, "passed", True),
        (When.COMPLETED, "failed", True),
        (When.ALWAYS, "failed", True),
    ],
)
def test_what_a_dependency_must_have_come_to(on: When, outcome: str, starts: bool) -> None:
    state = begin(stage("a"), stage("b", Dependency("a", on))).state
    done = finish(state, "a") if outcome == "passed" else fail(state, "a")
    assert bool(done.orders) is starts
    if not starts:
        assert done.state.stages["b"].status is StageStatus.SKIPPED


def test_a_stage_that_is_not_needed_does_not_hold_up_what_follows() -> None:
    never = Comparison(("a", "flag"), "==", literal=True)
    state = begin(stage("a"), stage("b", "a", when=never), stage("c", "b")).state
    done = finish(state, "a", flag=False)
    assert done.state.stages["b"].unneeded
    assert [order.stage for order in done.orders] == ["c"]


def test_a_failure_with_continue_on_failure_does_not_fail_the_run() -> None:
    state = begin(
        stage("a", continue_on_failure=True), stage("b", Dependency("a", When.COMPLETED))
    ).state
    state = fail(state, "a").state
    state = finish(state, "b").state
    assert state.status is RunStatus.SUCCEEDED
    assert state.stages["a"].status is StageStatus.FAILED


def test_retries_grow_are_bounded_and_end() -> None:
    state = begin(stage("a", retries=RetryPolicy(3, 1.0, 30.0))).state
    waits, now = [], NOW
    for _ in range(3):
        state = fail(state, "a", "transient", now).state
        due = state.stages["a"].due
        assert due is not None
        waits.append(due - now)
        now = due
        state = decide(state, e.Tick(), now).state
    assert all(0 <= wait <= limit for wait, limit in zip(waits, (1, 2, 4), strict=True))
    assert fail(state, "a", "transient", now).state.status is RunStatus.FAILED


def test_a_result_for_an_old_token_is_recorded_and_changes_nothing() -> None:
    state = begin(stage("a")).state
    given = e.Completed("a", 1, token=99, status="succeeded", result={})
    decision = decide(state, given, NOW)
    assert [type(event).__name__ for event in decision.events] == ["InputIgnored"]
    assert decision.state.stages == state.stages


def test_parallelism_bounds_what_is_in_hand() -> None:
    first = begin(stage("a"), stage("b"), stage("c"), parallelism=2)
    assert [order.stage for order in first.orders] == ["a", "b"]
    assert [order.stage for order in finish(first.state, "a").orders] == ["c"]


def test_a_timeout_stops_the_attempt_and_orders_another() -> None:
    state = begin(stage("a", timeout_s=10)).state
    timed_out = decide(state, e.Tick(), NOW + 10)
    assert timed_out.cancels == (("a", 1),)
    assert timed_out.state.stages["a"].status is StageStatus.WAITING
    again = decide(timed_out.state, e.Tick(), NOW + 20)
    assert [(order.attempt, order.token) for order in again.orders] == [(2, 2)]


def test_the_pipelines_timeout_ends_the_run_and_stops_its_work() -> None:
    ended = decide(begin(stage("a"), timeout_s=5).state, e.Tick(), NOW + 5)
    assert ended.state.status is RunStatus.FAILED
    assert "timeout" in (ended.state.reason or "")
    assert ended.cancels == (("a", 1),)


def test_gates_that_did_not_pass_fail_the_stage_whatever_the_agent_says() -> None:
    report = {
        "selections": [
            {"gate": "tests", "selected": True, "reason": "", "enforcement": "required"}
        ],
        "evidence": [
            {
                "gate": "tests",
                "verdict": "PASS",
                "examined": 0,
                "summary": "no tests",
                "enforcement": "required",
            }
        ],
    }
    state = begin(stage("a", gates=("tests",))).state
    assert finish(state, "a", report=report).state.status is RunStatus.FAILED
    assert finish(state, "a").state.status is RunStatus.FAILED
    report["evidence"][0]["examined"] = 3  # type: ignore[index]
    assert finish(state, "a", report=report).state.status is RunStatus.SUCCEEDED
    report["evidence"] = []
    assert finish(state, "a", report=report).state.status is RunStatus.FAILED


def test_an_unanswered_question_without_default_fails_its_stage() -> None:
    state = begin(stage("a")).state
    ask = AskState("q", "clarification", "?", (), None, NOW + 5)
    state = decide(state, e.Completed("a", 1, 1, "asks", asks=(ask,)), NOW).state
    assert state.status is RunStatus.WAITING
    expired = decide(state, e.Tick(), NOW + 5).state
    assert expired.status is RunStatus.FAILED
    assert "nobody answered" in (expired.reason or "")


def test_an_attempt_that_asks_is_over_though_nobody_could_do_the_one_before() -> None:
    state = begin(stage("a")).state
    state = decide(state, e.Unserved("a", 1, 1, "no worker", 60.0), NOW).state
    state = decide(state, e.Interrupted("a", 1, 1, "drained", suspect=False), NOW).state
    ask = AskState("q", "clarification", "?", (), None, NOW + 5)
    state = decide(state, e.Completed("a", 2, 2, "asks", asks=(ask,)), NOW).state
    assert not state.stages["a"].in_hand
    again = decide(state, e.Completed("a", 2, 2, "succeeded", result={}), NOW)
    assert isinstance(again.events[0], e.InputIgnored)
    assert again.state.status is RunStatus.WAITING


def test_an_attempt_that_nobody_seemed_to_serve_is_over_when_it_asks() -> None:
    state = begin(stage("a")).state
    state = decide(state, e.Unserved("a", 1, 1, "no worker", 60.0), NOW).state
    ask = AskState("q", "clarification", "?", (), None, NOW + 5)
    state = decide(state, e.Completed("a", 1, 1, "asks", asks=(ask,)), NOW).state
    assert not state.stages["a"].in_hand
    again = decide(state, e.Completed("a", 1, 1, "succeeded", result={}), NOW)
    assert isinstance(again.events[0], e.InputIgnored)


def test_an_answer_that_is_no_option_is_refused_with_the_options() -> None:
    state = begin(stage("a", asks=(AskRule("go", "go?", None, ()),))).state
    refused = decide(state, e.Answer("go", "perhaps", "ada"), NOW)
    assert isinstance(refused.events[0], e.InputIgnored)
    assert "approve, reject" in refused.events[0].why
    assert refused.state.status is RunStatus.WAITING


def test_a_state_of_another_format_or_pipeline_is_refused() -> None:
    import orjson

    state = begin(stage("a")).state
    data = orjson.loads(orjson.dumps(state.to_json()))
    assert from_json("run", state.pipeline, {}, data, {}) == state
    for change in ({"format": 2}, {"stages": {}}, {"status": "dancing"}):
        with pytest.raises(ValueError, match=r".+"):
            from_json("run", state.pipeline, {}, {**data, **change}, {})


def unserved(state: RunState, name: str, now: float = NOW) -> Decision:
    come_to = state.stages[name]
    given = e.Unserved(name, come_to.attempt, come_to.token, "no worker for work", 60)
    return decide(state, given, now)


def test_a_stage_that_nobody_serves_waits_with_its_reason_and_its_order_still_counts() -> None:
    state = unserved(begin(stage("a")).state, "a").state
    assert state.stages["a"].status is StageStatus.WAITING
    assert state.status is RunStatus.WAITING
    assert state.reason == "no worker for work"
    assert state.due() == NOW + 60
    done = finish(state, "a", NOW + 50)
    assert done.state.status is RunStatus.SUCCEEDED
    assert done.orders == ()


def test_when_a_worker_comes_the_same_order_is_in_line_again() -> None:
    state = unserved(begin(stage("a", timeout_s=30)).state, "a").state
    come_to = state.stages["a"]
    served = decide(state, e.Served("a", come_to.attempt, come_to.token), NOW + 40)
    assert served.orders == ()
    assert served.cancels == ()
    assert served.state.status is RunStatus.RUNNING
    assert served.state.stages["a"].status is StageStatus.QUEUED
    assert served.state.due() == NOW + 70


def test_a_stage_that_nobody_ever_serves_fails_at_its_deadline_and_says_why() -> None:
    state = unserved(begin(stage("a")).state, "a").state
    late = decide(state, e.Tick(), NOW + 61)
    assert late.state.status is RunStatus.FAILED
    assert late.state.stages["a"].error is not None
    assert late.state.stages["a"].error["code"] == "NO_WORKER"
    assert late.cancels == (("a", 1),)


def test_a_served_stage_that_fails_for_a_moment_is_tried_again_and_not_given_up() -> None:
    state = unserved(begin(stage("a")).state, "a").state
    failed = fail(state, "a", "transient")
    assert failed.state.stages["a"].status is StageStatus.WAITING
    assert not failed.state.stages["a"].unserved
    assert failed.state.status is RunStatus.RUNNING
