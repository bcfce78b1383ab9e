"""Drawings of pipelines: what stands on the terminal is exactly what the pipeline says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipway.domain.pipeline import Dependency, Pipeline, Stage, When
from shipway.domain.states import StageStatus
from shipway.engine.pipelines import graph, loader


def pipeline(**needs: list[str]) -> Pipeline:
    stages = tuple(
        Stage(name, "plan", "builtin", tuple(Dependency(need) for need in before))
        for name, before in needs.items()
    )
    return Pipeline("x", 1, "", stages)


def test_the_service_pipeline_on_a_terminal():
    assert graph.text(loader.load("service")) == (
        "plan ────▶ scaffold ──┬─▶ validate ──┬─▶ integrate ────▶ deploy\n"
        "                      ╰─▶ e2e ───────╯\n"
        "\n"
        "  integrate asks accept-unimplemented when plan.unimplemented_count > 0"
    )


def test_conditions_and_softer_dependencies_are_told_below():
    drawn = graph.text(loader.load("change"))
    assert "e2e only when plan.has_service" in drawn
    soft = Pipeline(
        "x",
        1,
        "",
        (
            Stage("a", "plan", "builtin"),
            Stage("b", "plan", "builtin", (Dependency("a", When.COMPLETED),)),
            Stage("c", "plan", "builtin", (Dependency("b", When.ALWAYS),)),
        ),
    )
    assert "b starts when a is completed" in graph.text(soft)
    assert "c starts when b is over" in graph.text(soft)


def test_statuses_stand_beside_the_stages_as_icon_and_word():
    drawn = graph.text(
        loader.load("service"),
        {"plan": StageStatus.PASSED, "e2e": StageStatus.FAILED, "integrate": StageStatus.WAITING},
    )
    for label in ("✓ plan passed", "✕ e2e failed", "✋ integrate waiting"):
        assert label in drawn


def test_a_line_that_passes_a_layer():
    assert graph.text(pipeline(a=[], b=["a"], c=["b"], d=["a", "c"])) == (
        "a ──┬─▶ b ──────▶ c ──┬─▶ d\n"
        "    ╰─────────────────╯"
    )  # fmt: skip


def test_stages_that_have_nothing_to_do_with_each_other_are_not_joined():
    assert graph.text(pipeline(a=[], b=[], c=["b"], d=["a"])) == "a ──────▶ d\nb ──────▶ c"


def test_too_narrow_a_terminal_gets_a_list():
    drawn = graph.text(loader.load("service"), width=50)
    assert "integrate  after validate, e2e" in drawn
    assert "▶" not in drawn


def test_mermaid_has_every_stage_and_every_dependency():
    drawn = graph.mermaid(loader.load("change"))
    assert drawn.startswith("flowchart LR\n")
    assert drawn.count(" --> ") == 6
    assert 's3["e2e<br/>when plan.has_service"]' in drawn


@st.composite
def graphs(draw: st.DrawFn) -> Pipeline:
    count = draw(st.integers(1, 8))
    return pipeline(
        **{
            f"s{number}": [f"s{b}" for b in range(number) if draw(st.booleans())]
            for number in range(count)
        }
    )


@given(graphs(), st.sampled_from([20, 100, 1000]))
def test_every_graph_can_be_drawn_within_the_width_or_as_a_list(drawn_of: Pipeline, width: int):
    drawn = graph.text(drawn_of, width=width)
    words = drawn.replace("─", " ").split()
    for stage in drawn_of.stages:
        assert stage.id in words or f"{stage.id}," in words
    if "▶" in drawn:
        assert max(map(graph.columns, drawn.splitlines())) <= width


@pytest.mark.parametrize("name", loader.builtin_names())
def test_the_built_in_pipelines_fit_a_usual_terminal(name: str):
    assert max(map(graph.columns, graph.text(loader.load(name)).splitlines())) <= 80
