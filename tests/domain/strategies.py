"""Random pipelines and inputs for property tests of the reducer."""

from __future__ import annotations

from hypothesis import strategies as st

from shipway.domain.conditions import Comparison
from shipway.domain.pipeline import AskRule, Dependency, InputRef, Pipeline, Stage, When
from shipway.domain.retries import RetryPolicy


@st.composite
def pipelines(draw: st.DrawFn) -> Pipeline:
    """A DAG of up to seven stages with every kind of dependency, condition, retry and question."""
    count = draw(st.integers(1, 7))
    stages = [draw(_stage(index)) for index in range(count)]
    return Pipeline(
        name="random",
        version=1,
        digest="d" * 64,
        stages=tuple(stages),
        timeout_s=draw(st.sampled_from([50.0, 10_000.0])),
        parallelism=draw(st.integers(1, 4)),
    )


@st.composite
def _stage(draw: st.DrawFn, index: int) -> Stage:
    earlier = [f"s{number}" for number in range(index)]
    needs = draw(st.lists(st.sampled_from(earlier), unique=True, max_size=3)) if earlier else []
    dependencies = tuple(Dependency(need, draw(st.sampled_from(list(When)))) for need in needs)
    when = None
    if needs and draw(st.booleans()):
        when = Comparison((needs[0], "flag"), "==", draw(st.booleans()))
    asks = ()
    if draw(st.integers(0, 4)) == 0:
        subject = (InputRef(needs[0], ("flag",)),) if needs else ()
        asks = (AskRule(f"ask{index}", "may it?", None, subject, deadline_s=20.0),)
    return Stage(
        id=f"s{index}",
        capability="work",
        agent="builtin",
        needs=dependencies,
        inputs=draw(_inputs(needs)),
        when=when,
        asks=asks,
        timeout_s=draw(st.sampled_from([5.0, 100.0])),
        retries=RetryPolicy(draw(st.integers(0, 2))),
        continue_on_failure=draw(st.booleans()),
        fallbacks=draw(st.sampled_from([(), (), ("other",), ("other", "third")])),
    )


@st.composite
def _inputs(draw: st.DrawFn, needs: list[str]) -> dict[str, InputRef]:
    """Some of what earlier stages found, and perhaps what the submission asks for."""
    read = draw(st.lists(st.sampled_from(needs), unique=True)) if needs else []
    inputs = {f"from_{need}": InputRef(need, ("flag",)) for need in read}
    if draw(st.booleans()):
        inputs["asked"] = InputRef("run", ("requirement",))
    return inputs
