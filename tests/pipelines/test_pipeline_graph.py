"""Drawings of pipelines: what stands on the terminal is exactly what the pipeline says."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
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


def test_lines_that_would_mislead_become_a_list():
    tangled = pipeline(a=[], b=[], c=[], x=["a"], y=["a", "b"], z=["c"], w=["c", "a"])
    assert graph.text(tangled).splitlines()[-3:] == [
        "y  after a, b",
        "z  after c",
        "w  after c, a",
    ]


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


ARMS = {
    "─": "lr", "│": "ud", "╯": "lu", "╰": "ru", "╮": "ld", "╭": "rd",
    "┴": "lru", "┬": "lrd", "┤": "lud", "├": "rud", "┼": "lrud",
}  # fmt: skip


def ends(lines: list[str], row: int, column: int) -> set[str]:
    """The stages that an eye reaches which leaves a place to the right and never turns back."""
    found, seen, todo = set(), set(), [(row, column, "r")]
    while todo:
        at = row, column, heading = todo.pop()
        char = lines[row][column] if column < len(lines[row]) else " "
        if at in seen or char == " ":
            continue
        seen.add(at)
        if char == "▶":
            found.add(lines[row][column + 2 :].split(" ")[0])
            continue
        arms = ARMS.get(char, "")
        if heading == "r" and char == "│":
            arms = "r"
        if "r" in arms:
            todo.append((row, column + 1, "r"))
        if "u" in arms and heading != "d":
            todo.append((row - 1, column, "u"))
        if "d" in arms and heading != "u":
            todo.append((row + 1, column, "d"))
    return found


def drawn_edges(lines: list[str]) -> set[tuple[str, str]]:
    return {
        (match[0], end)
        for row, line in enumerate(lines)
        for match in re.finditer(r"\w+", line)
        for end in ends(lines, row, match.end() + 1)
    }


@settings(max_examples=300)
@given(graphs(), st.sampled_from([20, 100, 1000]))
def test_the_lines_say_exactly_what_the_pipeline_says(drawn_of: Pipeline, width: int):
    lines = graph.text(drawn_of, width=width).splitlines()
    if any("▶" in line for line in lines):
        assert max(map(graph.columns, lines)) <= width
        assert drawn_edges(lines) == {
            (need.stage, stage.id) for stage in drawn_of.stages for need in stage.needs
        }
    else:
        listed = {line.split(" ")[0]: line for line in lines}
        for stage in drawn_of.stages:
            after = listed[stage.id].partition("after ")[2]
            assert after == ", ".join(need.stage for need in stage.needs)


@pytest.mark.parametrize("name", loader.builtin_names())
def test_the_built_in_pipelines_fit_a_usual_terminal(name: str):
    assert max(map(graph.columns, graph.text(loader.load(name)).splitlines())) <= 80
