"""Every wait has a reason and a deadline, and when that is over something happens by itself."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from shipway.domain.limits import HOLD_LIMIT_S
from shipway.domain.pipeline import AskRule, Pipeline, Stage
from shipway.domain.retries import RetryPolicy
from shipway.domain.run import RunState, decide, submit
from shipway.domain.run import events as e
from shipway.domain.run.waits import WaitKind, waits

NOW = 1000.0


def _begun(*inputs: e.Input, held: str | None = None, **options: object) -> RunState:
    asks = (AskRule("may", "may it?", None, ()),) if options.pop("asks", False) else ()
    stages = tuple(
        Stage(name, "work", "any", retries=RetryPolicy(2), asks=asks) for name in ("a", "b")
    )
    pipeline = Pipeline("p", 1, "d" * 64, stages, 1e6, int(str(options.get("at_once", 2))))
    state = submit("run", pipeline, {"answers": {}}, NOW, held).state
    for given in inputs:
        state = decide(state, given, NOW).state
    return state


FAILED = e.Completed("a", 1, 1, "failed", error={"category": "transient", "message": "not now"})
MADE: dict[WaitKind, Callable[[], RunState]] = {
    WaitKind.BEGIN: lambda: _begun(held="waits to begin: all are busy"),
    WaitKind.RESUME: lambda: _begun(e.Pause("ada", "lunch")),
    WaitKind.PERSON: lambda: _begun(asks=True),
    WaitKind.RETRY: lambda: _begun(FAILED),
    WaitKind.TURN: lambda: _begun(at_once=1),
    WaitKind.LINE: _begun,
    WaitKind.ROOM: lambda: _begun(e.Held("a", 1, 1, "waits for room")),
    WaitKind.WORKER: lambda: _begun(e.Unserved("a", 1, 1, "no worker for work", 60.0)),
    WaitKind.AGENT: lambda: _begun(e.Started("a", 1, 1)),
}


@pytest.mark.parametrize("kind", list(WaitKind))
def test_every_wait_has_a_reason_and_ends_by_itself(kind: WaitKind) -> None:
    state = MADE[kind]()
    wait = next(one for one in waits(state) if one.kind is kind)
    assert wait.reason
    assert NOW <= wait.until < float("inf")
    due = state.due()
    assert due is not None
    assert due <= wait.until, "no timer is set for it"
    for _ in range(9):  # what else is due before comes first
        after = decide(state, e.Tick(), wait.until).state
        if not any(one.kind is kind and one.until == wait.until for one in waits(after)):
            return
        state = after
    raise AssertionError("its deadline has passed, and it still waits")


def test_time_in_line_for_room_is_no_time_at_work() -> None:
    state = MADE[WaitKind.ROOM]()
    late = NOW + state.pipeline.stage("a").timeout_s + 1
    held = decide(state, e.Tick(), late).state.stages["a"]
    assert held.failures == 0
    begun = decide(state, e.Started("a", 1, 1), late).state.stages["a"]
    assert begun.due == late + state.pipeline.stage("a").timeout_s
    given_up = decide(state, e.Tick(), NOW + HOLD_LIMIT_S).state.stages["a"]
    assert given_up.error is not None
    assert given_up.error["code"] == "OVERLOAD"


def test_what_was_held_back_is_not_suspected_when_its_process_dies() -> None:
    state = MADE[WaitKind.ROOM]()
    died = e.Interrupted("a", 1, 1, "it died", suspect=True)
    assert decide(state, died, NOW).state.stages["a"].interruptions == 0
    assert decide(_begun(), died, NOW).state.stages["a"].interruptions == 1
