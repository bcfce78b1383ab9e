"""Whatever happens, in whatever order and however often: a run ends, or rests for a stated reason."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import pipelines

from shipway.domain.pipeline import Pipeline, When, binding
from shipway.domain.run import AskState, RunState, decide, replay, submit
from shipway.domain.run import events as e
from shipway.domain.states import RunStatus, StageStatus

TRANSIENT = {"code": "X", "category": "transient", "message": "try again"}
PERMANENT = {"code": "X", "category": "permanent", "message": "no"}

SUBMISSION = {"answers": {}, "requirement": "a"}


class World:
    """Plays the engine: keeps the history, the open orders and the clock."""

    def __init__(self, pipeline: Pipeline, data: st.DataObject) -> None:
        self.data = data
        self.now = 1000.0
        self.history: list[tuple[float, e.Event]] = []
        self.open: dict[str, e.StageQueued] = {}
        self.sent: list[e.Input] = []
        self.ordered: set[tuple[str, int]] = set()
        held = data.draw(st.sampled_from([None, None, "waits to begin: all are busy"]))
        decision = submit("run", pipeline, SUBMISSION, self.now, held)
        self.state = decision.state
        self._keep(decision)

    def tell(self, given: e.Input) -> None:
        before = self.state
        as_it_was = replace(before, stages=dict(before.stages))
        decision = decide(before, given, self.now)
        assert before == as_it_was, "deciding changed the state that was given"
        self.state = decision.state
        self._keep(decision)
        for stage, attempt in decision.cancels:
            if stage in self.open and self.open[stage].attempt == attempt:
                del self.open[stage]
        for event in decision.events:
            if isinstance(event, e.StageQueued):
                self._check_start(event, before)
                self.open[event.stage] = event

    def _keep(self, decision: object) -> None:
        self.history += [(self.now, event) for event in decision.events]
        if not self.sent:
            for event in decision.events:
                if isinstance(event, e.StageQueued):
                    self.open[event.stage] = event
                    self.ordered.add((event.stage, event.attempt))
        self.sent.append(e.Tick())

    def _check_start(self, event: e.StageQueued, before: RunState) -> None:
        key = (event.stage, event.attempt)
        assert key not in self.ordered, "an attempt was ordered twice"
        self.ordered.add(key)
        assert event.token > before.tokens, "a fencing token came again"
        for need in before.pipeline.stage(event.stage).needs:
            status = self.state.stages[need.stage]
            assert status.status.is_final
            if need.on is When.SUCCESS:
                assert status.status is StageStatus.PASSED or status.unneeded

    def act(self) -> None:
        """One thing happens, sensible or not."""
        kind = self.data.draw(st.sampled_from(["finish", "finish", "stale", "time", "person"]))
        match kind:
            case "finish" if self.open:
                self.finish()
            case "stale" if self.ordered:
                self.stale()
            case "person":
                self.person()
            case _:
                self.now += self.data.draw(st.floats(0, 30))
                self.tell(e.Tick())

    def finish(self) -> None:
        name = self.data.draw(st.sampled_from(sorted(self.open)))
        order = self.open[name]
        outcome = self.data.draw(
            st.sampled_from(
                ["ok", "ok", "transient", "no", "asks", "died", "alone", "served", "held"]
            )
        )
        identity = (name, order.attempt, order.token)
        match outcome:
            case "ok":
                flag = self.data.draw(st.booleans())
                given = e.Completed(*identity, "succeeded", result={"flag": flag})
            case "transient":
                given = e.Completed(*identity, "failed", error=TRANSIENT)
            case "no":
                given = e.Completed(*identity, "failed", error=PERMANENT)
            case "asks":
                ask = AskState("q", "clarification", "?", ("a", "b"), "a", self.now + 10)
                given = e.Completed(*identity, "asks", asks=(ask,))
            case "alone":
                given = e.Unserved(*identity, "no worker for work", 20.0)
            case "held":
                given = e.Held(*identity, "waits for room: all are busy")
            case "served":
                given = e.Served(*identity)
            case _:
                given = e.Interrupted(*identity, "it died", suspect=True)
        self.tell(given)
        for _ in range(self.data.draw(st.integers(0, 1))):
            self.tell(given)  # delivered again

    def stale(self) -> None:
        stage, attempt = self.data.draw(st.sampled_from(sorted(self.ordered)))
        before = self.state
        self.tell(e.Completed(stage, attempt, token=0, status="succeeded", result={}))
        assert _same_but_seq(before, self.state), "a stale result changed the run"

    def person(self) -> None:
        stage = self.data.draw(st.sampled_from(list(self.state.stages)))
        given = self.data.draw(
            st.sampled_from(
                [
                    e.Admit(),
                    e.Retry("ada", "again"),
                    e.Retry("ada", "again", stage),
                    e.Rewind(stage, "ada", "look again"),
                    e.Rewind(stage, "ada", "other", {"requirement": "b"}),
                    e.Answer("ask1", "approve", "ada"),
                    e.Answer("ask0", "reject", "ada"),
                    e.Answer("q", "b", "ada"),
                    e.Answer("q", "nonsense", "ada"),
                    e.Pause("ada", "lunch"),
                    e.Resume("ada"),
                    e.Resume("ada"),
                ]
            )
        )
        self.tell(given)

    def settle(self) -> None:
        """Let everything that is open succeed and every deadline pass; the run must end."""
        self.tell(e.Admit())
        self.tell(e.Resume("ada"))
        for _ in range(400):
            if self.state.status.is_final:
                return
            for name, order in list(self.open.items()):
                if name in self.open:
                    done = e.Completed(name, order.attempt, order.token, "succeeded", result={})
                    self.tell(done)
            due = self.state.due()
            if self.state.status.is_final:
                return
            assert due is not None or self.open, f"stuck: {self.state}"
            self.now = max(self.now, due or self.now)
            self.tell(e.Tick())
        raise AssertionError(f"it never ended: {self.state}")


def _same_but_seq(one: RunState, other: RunState) -> bool:
    return (one.stages, one.status, one.answers) == (other.stages, other.status, other.answers)


@settings(max_examples=150, deadline=None)
@given(pipelines(), st.data())
def test_a_run_always_ends_or_rests_for_a_stated_reason(
    pipeline: Pipeline, data: st.DataObject
) -> None:
    world = World(pipeline, data)
    for _ in range(data.draw(st.integers(0, 25))):
        world.act()
        state = world.state
        if state.status in {RunStatus.WAITING, RunStatus.PAUSED, RunStatus.FAILED}:
            assert state.reason
        if not state.status.is_final:
            assert state.due() is not None, "nothing will ever move it"
        in_hand = sum(stage.in_hand for stage in state.stages.values())
        assert in_hand == len(world.open)
        assert in_hand <= pipeline.parallelism
    world.settle()
    assert not world.open
    assert all(stage.status.is_final for stage in world.state.stages.values())


@settings(max_examples=100, deadline=None)
@given(pipelines(), st.data())
def test_replaying_the_events_gives_the_same_state(pipeline: Pipeline, data: st.DataObject) -> None:
    world = World(pipeline, data)
    for _ in range(data.draw(st.integers(0, 25))):
        world.act()
    assert replay("run", pipeline, SUBMISSION, world.history) == world.state


@settings(max_examples=100, deadline=None)
@given(pipelines(), st.data())
def test_a_cancelled_run_starts_nothing_any_more(pipeline: Pipeline, data: st.DataObject) -> None:
    world = World(pipeline, data)
    for _ in range(data.draw(st.integers(0, 10))):
        world.act()
    ended_before = world.state.status.is_final
    world.tell(e.Cancel("ada", "enough"))
    if not ended_before:
        assert world.state.status is RunStatus.CANCELLED
    ordered = set(world.ordered)
    for _ in range(10):
        world.act()
        if not world.state.status.is_final:
            return  # a person sent it back
    assert world.ordered == ordered
    assert not world.open


@settings(max_examples=150, deadline=None)
@given(pipelines(), st.data())
def test_a_rewind_touches_exactly_what_was_bound_to_what_changes(
    pipeline: Pipeline, data: st.DataObject
) -> None:
    world = World(pipeline, data)
    for _ in range(data.draw(st.integers(0, 25))):
        world.act()
    before, orders = world.state, dict(world.open)
    stage = data.draw(st.sampled_from(list(before.stages)))
    changes = data.draw(st.sampled_from([{}, {"requirement": "c"}]))
    seen = len(world.history)
    world.tell(e.Rewind(stage, "ada", "look again", changes))
    events = [event for _, event in world.history[seen:]]
    sent_back = {x.stage for x in events if isinstance(x, e.StageInvalidated | e.StageReset)}
    reached = _reached(pipeline, stage, reads_requirement=bool(changes))
    begun = {one for one in reached if before.stages[one].status is not StageStatus.PENDING}
    already = {one for one in begun if before.stages[one].status is StageStatus.INVALIDATED}
    assert begun - already <= sent_back <= begun
    for name in set(before.stages) - sent_back - already:
        old, new = before.stages[name], world.state.stages[name]
        if old.status.is_final:
            assert old == new, f"{name} has nothing to do with {stage}"
    for name in sent_back & set(orders):
        assert name not in world.open or world.open[name].token > orders[name].token
        now = world.state
        late = orders[name]
        world.tell(e.Completed(name, late.attempt, late.token, "succeeded", result={}))
        assert _same_but_seq(now, world.state), "a result of work that was sent back counted"
    assert replay("run", pipeline, SUBMISSION, world.history) == world.state


@settings(max_examples=150, deadline=None)
@given(pipelines(), st.data())
def test_work_whose_request_is_unchanged_is_not_done_again(
    pipeline: Pipeline, data: st.DataObject
) -> None:
    world = World(pipeline, data)
    for _ in range(data.draw(st.integers(0, 40))):
        world.act()
    world.settle()
    before = world.state
    stage = data.draw(st.sampled_from(list(before.stages)))
    changes = data.draw(st.sampled_from([{}, {"requirement": "c"}]))
    world.tell(e.Rewind(stage, "ada", "look again", changes))
    world.settle()
    begun_again = _readers(pipeline, stage, reads_requirement=bool(changes))
    for name, old in before.stages.items():
        new, node = world.state.stages[name], pipeline.stage(name)
        if name in begun_again or node.asks or {old.status, new.status} != {StageStatus.PASSED}:
            continue
        same = binding(node, before.values()) == binding(node, world.state.values())
        assert (new.attempt == old.attempt) is same, f"{name} {new.attempt} {old.attempt}"
        if same:
            assert new.result == old.result
    assert not world.open


def _readers(pipeline: Pipeline, stage: str, *, reads_requirement: bool) -> set[str]:
    asked = {one.id for one in pipeline.stages if "asked" in one.inputs}
    return {stage} | (asked if reads_requirement else set())


def _reached(pipeline: Pipeline, stage: str, *, reads_requirement: bool) -> set[str]:
    """Told in another way than the reducer does it: from each stage up to what it depends on."""
    begin = _readers(pipeline, stage, reads_requirement=reads_requirement)

    def reaches(name: str) -> bool:
        needs = pipeline.stage(name).needs
        return name in begin or any(reaches(need.stage) for need in needs)

    return {one.id for one in pipeline.stages if reaches(one.id)}
