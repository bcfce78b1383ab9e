"""Whatever happens, in whatever order and however often: a run ends, or rests for a stated reason."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import pipelines

from shipway.domain.pipeline import Pipeline, When
from shipway.domain.run import AskState, RunState, decide, replay, submit
from shipway.domain.run import events as e
from shipway.domain.states import RunStatus, StageStatus

TRANSIENT = {"code": "X", "category": "transient", "message": "try again"}
PERMANENT = {"code": "X", "category": "permanent", "message": "no"}


class World:
    """Plays the engine: keeps the history, the open orders and the clock."""

    def __init__(self, pipeline: Pipeline, data: st.DataObject) -> None:
        self.data = data
        self.now = 1000.0
        self.history: list[tuple[float, e.Event]] = []
        self.open: dict[str, e.StageQueued] = {}
        self.sent: list[e.Input] = []
        self.ordered: set[tuple[str, int]] = set()
        decision = submit("run", pipeline, {"answers": {}}, self.now)
        self.state = decision.state
        self._keep(decision)

    def tell(self, given: e.Input) -> None:
        before = self.state
        decision = decide(self.state, given, self.now)
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
        outcome = self.data.draw(st.sampled_from(["ok", "ok", "transient", "no", "asks", "died"]))
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
        given = self.data.draw(
            st.sampled_from(
                [
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


@settings(max_examples=300, deadline=None)
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
        if state.status is RunStatus.RUNNING:
            assert world.open or state.due() is not None, "nothing will ever move it"
        in_hand = sum(stage.in_hand for stage in state.stages.values())
        assert in_hand == len(world.open)
        assert in_hand <= pipeline.parallelism
    world.settle()
    assert not world.open
    assert all(stage.status.is_final for stage in world.state.stages.values())


@settings(max_examples=200, deadline=None)
@given(pipelines(), st.data())
def test_replaying_the_events_gives_the_same_state(pipeline: Pipeline, data: st.DataObject) -> None:
    world = World(pipeline, data)
    for _ in range(data.draw(st.integers(0, 25))):
        world.act()
    assert replay("run", pipeline, {"answers": {}}, world.history) == world.state


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
    assert world.ordered == ordered
    assert not world.open
