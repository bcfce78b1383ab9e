"""Pipelines as definitions: the built-in ones, their schema, their digest and their stored form."""

from __future__ import annotations

import json
from dataclasses import replace

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from shipway.contracts.registry import CONTRACTS
from shipway.domain import conditions as c
from shipway.domain.pipeline import (
    AskRule,
    Dependency,
    InputRef,
    Literal,
    Pipeline,
    Stage,
    When,
    gather,
)
from shipway.domain.retries import RetryPolicy
from shipway.engine.pipelines import codec, loader, shape, truth
from shipway.engine.pipelines.fitting import NULL, Kind
from shipway.errors import CorruptRunError

SCHEMA = json.loads(loader.schema())


@pytest.mark.parametrize("name", loader.builtin_names())
def test_the_built_in_pipelines_are_sound(name: str):
    text = loader.source_of(name)
    assert loader.validate(text, f"{name}.yaml") == []
    jsonschema.Draft202012Validator(SCHEMA).validate(yaml.safe_load(text))
    pipeline = loader.load(name)
    assert pipeline.name == name
    for stage in pipeline.stages:
        assert stage.retries == RetryPolicy(retries=3, base=1.0, maximum=30.0)
        assert stage.timeout_s < pipeline.timeout_s


def test_the_service_pipeline_is_the_river_of_the_design():
    pipeline = loader.load("service")
    needs = {stage.id: [need.stage for need in stage.needs] for stage in pipeline.stages}
    assert needs == {
        "plan": [],
        "scaffold": ["plan"],
        "validate": ["scaffold"],
        "e2e": ["scaffold"],
        "integrate": ["validate", "e2e"],
        "deploy": ["integrate"],
    }
    (ask,) = pipeline.stage("integrate").asks
    assert ask.id == "accept-unimplemented"
    assert [str(ref) for ref in ask.subject] == ["plan.digest", "scaffold.tree"]
    assert (ask.accept, ask.default, ask.deadline_s) == ("approve", "reject", 7 * 86400)
    assert ask.when == c.Comparison(("plan", "unimplemented_count"), ">", 0)


def test_the_change_pipeline_deploys_only_what_the_repository_declares():
    pipeline = loader.load("change")
    assert c.render(pipeline.stage("e2e").when) == "plan.has_service"
    assert c.render(pipeline.stage("deploy").when) == "plan.has_deployment"
    assert pipeline.takes == "change"


def test_the_schema_is_a_schema_and_knows_the_same_words_as_the_loader():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    defs = SCHEMA["$defs"]
    assert set(SCHEMA["properties"]) == set(shape.PIPELINE_FIELDS)
    for name, fields in {
        "stage": shape.STAGE_FIELDS,
        "need": shape.NEED_FIELDS,
        "retries": shape.RETRY_FIELDS,
        "ask": shape.ASK_FIELDS,
    }.items():
        assert set(defs[name]["properties"]) == set(fields)
    inputs = {*defs["taken"]["properties"], *defs["fixed"]["properties"]}
    assert inputs == set(shape.INPUT_FIELDS)
    stage = defs["stage"]["properties"]
    assert stage["capability"]["enum"] == list(CONTRACTS)
    gates = list(dict.fromkeys(gate for one in CONTRACTS.values() for gate in one.gates))
    assert stage["gates"]["items"]["enum"] == gates
    assert defs["need"]["properties"]["on"]["enum"] == list(When)


@pytest.mark.parametrize(
    "spoil",
    [
        {"name": "Upper"},
        {"version": 0},
        {"timeout": "30"},
        {"parallelism": 65},
        {"stages": []},
        {"extra": 1},
        {"stages": [{"id": "run", "capability": "plan"}]},
        {"stages": [{"id": "a", "capability": "fly"}]},
        {"stages": [{"id": "a", "capability": "plan", "needs": [{"on": "success"}]}]},
        {"stages": [{"id": "a", "capability": "plan", "inputs": {"kind": "change"}}]},
        {"stages": [{"id": "a", "capability": "plan", "retries": 21}]},
        {"stages": [{"id": "a", "capability": "plan", "agent": "Do it!"}]},
    ],
)
def test_what_an_editor_marks_the_loader_refuses_too(spoil: dict[str, object]):
    data = {**yaml.safe_load(loader.source_of("service")), **spoil}
    assert list(jsonschema.Draft202012Validator(SCHEMA).iter_errors(data))
    assert loader.validate(yaml.safe_dump(data), "x.yaml")


def test_the_digest_names_the_definition_not_its_spelling():
    text = loader.source_of("service")
    same = loader.parse("# a comment\n" + text.replace("timeout: 3h", "timeout: 180m"), "x")
    assert same.digest == loader.load("service").digest
    other = loader.parse(text.replace("timeout: 3h", "timeout: 181m"), "x")
    assert other.digest != same.digest


names = st.from_regex(r"[a-z][a-z0-9_-]{0,8}", fullmatch=True)
scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8)
values = st.recursive(
    scalars, lambda one: st.lists(one, max_size=2) | st.dictionaries(names, one, max_size=2)
)
paths = st.lists(names, min_size=1, max_size=3).map(tuple)
literals = st.builds(Literal, values)
references = st.builds(InputRef, names, paths, st.none() | literals)
comparisons = st.builds(
    c.Comparison, paths, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), scalars
) | st.builds(c.Comparison, paths, st.just("in"), st.lists(scalars, max_size=3))
conditions = st.recursive(
    comparisons,
    lambda part: (
        st.builds(c.Not, part)
        | st.builds(
            c.Both,
            st.sampled_from(["and", "or"]),
            st.lists(part, min_size=2, max_size=3).map(tuple),
        )
    ),
    max_leaves=6,
)
asks = st.builds(
    AskRule,
    id=names,
    question=st.text(max_size=20),
    when=st.none() | conditions,
    subject=st.lists(st.builds(InputRef, names, paths), max_size=3).map(tuple),
    options=st.just(("yes", "no")),
    accept=st.just("yes"),
    deadline_s=st.floats(1, 1e6),
    default=st.just("no"),
)
stages = st.builds(
    Stage,
    id=names,
    capability=names,
    agent=names,
    needs=st.lists(st.builds(Dependency, names, st.sampled_from(When)), max_size=3).map(tuple),
    inputs=st.dictionaries(names, references | literals, max_size=3),
    gates=st.lists(names, max_size=2).map(tuple),
    when=st.none() | conditions,
    asks=st.lists(asks, max_size=2).map(tuple),
    timeout_s=st.floats(1, 1e6),
    retries=st.builds(RetryPolicy, st.integers(0, 20), st.floats(0.1, 9), st.floats(9, 99)),
    continue_on_failure=st.booleans(),
)
pipelines = st.builds(
    Pipeline,
    name=names,
    version=st.integers(1, 99),
    digest=st.just(""),
    stages=st.lists(stages, min_size=1, max_size=3).map(tuple),
    timeout_s=st.floats(1, 1e6),
    parallelism=st.integers(1, 64),
    title=st.text(max_size=20),
    takes=st.none() | st.just("change"),
).map(codec.sealed)


@settings(max_examples=60, deadline=None)
@given(pipelines)
def test_a_run_restores_its_pipeline_from_what_it_stored(pipeline: Pipeline):
    stored = json.dumps(codec.to_json(pipeline))
    assert codec.from_json(json.loads(stored)) == pipeline


@pytest.mark.parametrize(
    "spoil", [{"timeout_s": 1.0}, {"stages": []}, {"format": 2}, {"stages": 3}, {"name": None}]
)
def test_a_stored_pipeline_that_was_changed_quarantines_its_run(spoil: dict[str, object]):
    with pytest.raises(CorruptRunError):
        codec.from_json({**codec.to_json(loader.load("service")), **spoil})


@given(conditions)
def test_a_condition_reads_as_it_was_written(condition: c.Condition):
    text = c.render(condition)
    try:
        again = c.parse(text)
    except c.ConditionError:
        return  # literals that only JSON can hold, such as a bracket inside a list
    assert c.render(again) == text


def test_inputs_are_gathered_from_what_is_there():
    stage = replace(
        loader.load("service").stage("scaffold"),
        inputs={
            "a": InputRef("plan", ("digest",)),
            "b": InputRef("plan", ("nothing",)),
            "c": InputRef("gone", ("x",)),
            "d": InputRef("gone", ("x",), Literal(None)),
            "e": Literal([1]),
        },
    )
    assert gather(stage, {"plan": {"digest": "d", "nothing": None}}.get) == {
        "a": "d",
        "b": None,
        "d": None,
        "e": [1],
    }


KINDS = {
    ("n",): (Kind("integer"),),
    ("b",): (Kind("boolean"),),
    ("w",): (Kind("text", values=("low", "high")), NULL),
}
typed = st.recursive(
    st.builds(
        c.Comparison,
        st.just(("n",)),
        st.sampled_from(["==", "!=", "<", "<=", ">", ">="]),
        st.integers(-2, 2),
    )
    | st.builds(c.Comparison, st.just(("b",)), st.just("=="), st.booleans())
    | st.builds(
        c.Comparison,
        st.just(("w",)),
        st.sampled_from(["==", "!="]),
        st.sampled_from(["low", "high", None]),
    ),
    lambda part: (
        st.builds(c.Not, part)
        | st.builds(c.Both, st.sampled_from(["and", "or"]), st.tuples(part, part))
    ),
    max_leaves=5,
)


@given(typed)
def test_a_condition_is_called_impossible_exactly_when_no_values_make_it_true(
    condition: c.Condition,
):
    every = [
        c.holds(condition, {"n": n, "b": b, "w": w})
        for n in range(-5, 6)
        for b in (True, False)
        for w in ("low", "high", None)
    ]
    expected = True if all(every) else None if any(every) else False
    assert truth.verdict(condition, KINDS) is expected
