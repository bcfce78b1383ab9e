"""What a person sees who wrote a pipeline with faults in it: all of them, placed, with remedies."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipway.engine.pipelines import loader
from shipway.errors import ConfigurationError, ExitCode, NotFoundError
from shipway.specs.placed.faults import Fault

PLAN = """\
name: mine
version: 1
takes: specification
stages:
  - id: plan
    capability: plan
    inputs: {requirement: run.requirement, kind: run.kind}
"""
SCAFFOLD = """\
  - id: scaffold
    capability: scaffold
    needs: [plan]
    inputs: {plan: plan.plan}
"""


def faults(text: str) -> list[Fault]:
    return loader.validate(text, "mine.yaml")


def only(text: str) -> Fault:
    found = faults(text)
    assert len(found) == 1, [str(one) for one in found]
    return found[0]


def test_a_sound_pipeline_has_no_faults():
    assert faults(PLAN + SCAFFOLD) == []


CASES = {
    "not yaml": ("name: [", 1, "this is not YAML", "indentation"),
    "tab": ("name: x\n\tversion: 1", 2, "this is not YAML", "spaces"),
    "empty": ("", 1, "the file is empty", "name:"),
    "a list": ("- 1", 1, "a table of fields", "name:"),
    "two documents": (PLAN + "---\nname: other\n", 8, "second document", "one file"),
    "alias": (PLAN + "title: &t x\ntimeout: *t\n", 9, "aliases", "write the value out"),
    "duplicate key": (PLAN + "version: 2\n", 8, "`version` stands here a second time", "line 2"),
    "unknown field": (PLAN + "paralellism: 3\n", 8, "no field `paralellism`", "`parallelism`"),
    "bounds": (PLAN + "parallelism: 65\n", 8, "outside 1 to 64", "within"),
    "word for number": (PLAN + "parallelism: many\n", 8, "must be a whole number", "1 to 64"),
    "duration without unit": (PLAN + "timeout: 30\n", 8, "`30` is no duration", "`30s`"),
    "endless duration": (PLAN + "timeout: 91d\n", 8, "out of bounds", "90d"),
    "no stages": ("name: x\nversion: 1\nstages: []\n", 3, "there are no stages", "- id:"),
    "bad id": (PLAN + "  - id: Plan!\n    capability: plan\n"
               "    inputs: {requirement: run.requirement, kind: run.kind}\n",
               8, "cannot be used as `id`", "lower-case"),
    "reserved id": (PLAN.replace("id: plan", "id: run"), 5, "reserved word", "another id"),
    "unknown capability": (PLAN.replace("capability: plan", "capability: paln"),
                           6, "no capability `paln`", "`plan`"),
    "duplicate id": (PLAN + SCAFFOLD + SCAFFOLD, 12, "`scaffold` already", "line 8"),
    "unknown stage": (PLAN + SCAFFOLD.replace("[plan]", "[plan, paln]"),
                      10, "no stage `paln`", "`plan`"),
    "needed twice": (PLAN + SCAFFOLD.replace("[plan]", "[plan, plan]"), 10, "twice", "keep one"),
    "bad dependency word": (PLAN + SCAFFOLD.replace("[plan]", "[{stage: plan, on: succes}]"),
                            10, "cannot be `succes`", "`success`"),
    "missing input": (PLAN + SCAFFOLD.replace("    inputs: {plan: plan.plan}\n", ""),
                      8, "lacks the input `plan`", "`plan: plan.plan`"),
    "unknown input": (PLAN + SCAFFOLD.replace("{plan:", "{pln: plan.plan, plan:"),
                      11, "takes no input `pln`", "`plan`"),
    "wrongly typed input": (PLAN + SCAFFOLD.replace("plan.plan", "plan.digest"),
                            11, "must be ArtifactRef, but `plan.digest` is a sha256", "plan.plan"),
    "text for a git object": (PLAN + SCAFFOLD.replace("{plan:", "{base: run.target, plan:"),
                              11, "must be a git object id or null", "run.base"),
    "wrongly typed value": (PLAN.replace("run.kind", "{value: 3}"), 7, "no value for `kind`",
                            '"specification"'),
    "no such field": (PLAN + SCAFFOLD.replace("plan.plan", "plan.pln"),
                      11, "nothing is called `pln`", "`plan`"),
    "no such nested field": (PLAN + SCAFFOLD.replace("{plan:", "{base: plan.plan.sha265, plan:"),
                             11, "nothing is called `sha265`", "`sha256`"),
    "not before": (PLAN + SCAFFOLD.replace("    needs: [plan]\n", ""),
                   10, "`plan` is not over when `scaffold` starts", "`needs`"),
    "a word is no source": (PLAN.replace("run.kind", "specification"),
                            7, "does not say where", "{value: ...}"),
    "value and source": (PLAN.replace("run.kind", "{from: run.kind, value: change}"),
                         7, "either a `value` or taken `from`", "otherwise"),
    "no path there": (PLAN + SCAFFOLD + '    when: plan.rsk == "high"\n',
                      12, "nothing is called `rsk`", "`risk`"),
    "outside the words": (PLAN + SCAFFOLD + '    when: plan.risk == "hgh"\n',
                          12, 'never "hgh"', "`high`"),
    "outside a list": (PLAN + SCAFFOLD + '    when: plan.risk in ["high", "top"]\n',
                       12, 'never "top"', "low"),
    "order of words": (PLAN + SCAFFOLD + '    when: plan.risk > "low"\n',
                       12, "compares numbers", "`==`"),
    "number against a word": (PLAN + SCAFFOLD + '    when: plan.checks > "3"\n',
                              12, "needs a number", "number"),
    "bare path that is no boolean": (PLAN + SCAFFOLD + "    when: plan.checks\n",
                                     12, "never true", "plan.checks == ..."),
    "contradiction": (PLAN + SCAFFOLD + "    when: plan.checks > 3 and plan.checks < 4\n",
                      12, "`when` is never true", "mend"),
    "tautology": (PLAN + SCAFFOLD + "    when: plan.has_service or not plan.has_service\n",
                  12, "`when` is always true", "delete"),
    "never null": (PLAN + SCAFFOLD + "    when: plan.name == null\n", 12, "never null", "text"),
    "no condition": (PLAN + SCAFFOLD + '    when: plan.risk = "high"\n',
                     12, "`when` is no condition", "=="),
    "too many retries": (PLAN + SCAFFOLD + "    retries: 21\n", 12, "outside 0 to 20", "within"),
    "retries upside down": (PLAN + SCAFFOLD + "    retries: {base: 1m, maximum: 30s}\n",
                            12, "shorter than `base`", "at least"),
    "agent": (PLAN + SCAFFOLD + '    agent: "Do it!"\n', 12, "no agent slot", "builtin"),
    "an agent twice": (PLAN + SCAFFOLD + "    agent: [one, two, one]\n", 12, "in the slot twice", "retries"),
    "too many agents": (PLAN + SCAFFOLD + f"    agent: [{', '.join('abcdefghi')}]\n",
                        12, "there are 9 agents", "most"),
    "stage longer than all": (PLAN + SCAFFOLD + "    timeout: 2d\n",
                              12, "longer than the whole pipeline", "shorten"),
    "no gates": (PLAN + SCAFFOLD + "    gates: [tests]\n", 12, "has no gates", "delete"),
    "ask without a subject": (PLAN + SCAFFOLD + "    asks: [{id: q, question: Really}]\n",
                              12, "no `subject`", "plan.digest"),
    "ask with a lost default": (
        PLAN + SCAFFOLD
        + "    asks: [{id: q, question: Really, subject: [plan.digest], default: maybe}]\n",
        12, "none of the options", "approve"),
    "ask about the future": (
        PLAN + SCAFFOLD + "    asks: [{id: q, question: Really, subject: [scaffold.tree]}]\n",
        12, "its own result", "earlier"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_fault_says_where_and_what_to_do(case: str):
    text, line, message, remedy = CASES[case]
    fault = only(text)
    assert fault.line == line
    assert message in fault.message
    assert remedy in fault.remedy
    assert str(fault).startswith(f"mine.yaml:{line}:{fault.column}: ")


def test_a_gate_that_the_capability_does_not_have():
    text = loader.source_of("service").replace("gates: [api, acceptance]", "gates: [api, tets]")
    assert "no gate `tets`" in only(text).message


def test_a_cycle_is_shown_as_a_path_and_what_hangs_on_it_can_never_start():
    text = (
        PLAN
        + SCAFFOLD.replace("needs: [plan]", "needs: [plan, check]")
        + (
            "  - id: check\n    capability: validate\n    needs: [scaffold]\n"
            "    inputs: {plan: plan.plan, commit: scaffold.commit, tree: scaffold.tree}\n"
            "  - id: late\n    capability: validate\n    needs: [check]\n"
            "    inputs: {plan: plan.plan, commit: scaffold.commit, tree: scaffold.tree}\n"
        )
    )
    cycle, late = faults(text)
    assert "scaffold → check → scaffold" in cycle.message
    assert cycle.line == 10
    assert "`late` can never start" in late.message
    assert late.line == 16


def test_a_stage_that_needs_itself():
    assert (
        "scaffold → scaffold" in only(PLAN + SCAFFOLD.replace("[plan]", "[plan, scaffold]")).message
    )


OPTIONAL = PLAN + SCAFFOLD + "    when: plan.has_service\n"
CHECK = """\
  - id: check
    capability: validate
    needs: [scaffold]
    inputs: {plan: plan.plan, commit: scaffold.commit, tree: run.base}
"""


def test_an_input_from_a_stage_that_may_be_skipped_needs_something_to_stand_in():
    found = faults(OPTIONAL + CHECK)
    assert ["`scaffold` may have no result" in one.message for one in found].count(True) == 1
    mended = CHECK.replace(
        "scaffold.commit", f"{{from: scaffold.commit, otherwise: {'a' * 40}}}"
    ).replace("run.base", f"{{from: scaffold.tree, otherwise: {'a' * 40}}}")
    assert faults(OPTIONAL + mended) == []


def test_the_same_condition_makes_the_result_sure():
    sure = CHECK.replace("run.base", "scaffold.tree") + "    when: plan.has_service\n"
    assert faults(OPTIONAL + sure) == []
    more = sure.replace("when: plan.has_service", 'when: plan.has_service and plan.risk == "low"')
    assert faults(OPTIONAL + more) == []


@pytest.mark.parametrize("on", ["completed", "always"])
def test_an_input_from_a_stage_that_may_have_failed_needs_something_to_stand_in(on: str):
    text = PLAN + SCAFFOLD + CHECK.replace("[scaffold]", f"[plan, {{stage: scaffold, on: {on}}}]")
    assert any("`scaffold` may have no result" in one.message for one in faults(text))


def test_what_came_before_a_stage_that_only_has_to_be_over_is_not_sure_either():
    text = (
        PLAN
        + SCAFFOLD
        + (
            "  - id: late\n    capability: scaffold\n    needs: [{stage: scaffold, on: always}]\n"
            "    inputs: {plan: plan.plan}\n"
        )
    )
    assert "`plan` may have no result" in only(text).message
    assert faults(text.replace("on: always", "on: completed")) == []


def test_a_nullable_value_does_not_fill_a_required_input():
    text = loader.source_of("change").replace("takes: change\n", "")
    messages = [one.message for one in faults(text)]
    assert any("`change` must be ChangeSource, but `run.change` may be null" in m for m in messages)


def test_all_faults_are_told_at_once_in_the_order_of_the_text():
    text = "name: X\nversion: 0\nwhat: 1\ntimeout: soon\n" + PLAN.split("\n", 3)[3].replace(
        "capability: plan", "capability: paln"
    )
    found = faults(text)
    assert [one.line for one in found] == [1, 2, 3, 4, 7]


def test_loading_refuses_with_every_fault_and_the_exit_code_of_configuration(tmp_path: Path):
    file = tmp_path / "mine.yaml"
    file.write_text(PLAN + "what: 1\nparallelism: 0\n")
    with pytest.raises(ConfigurationError) as caught:
        loader.load(file)
    assert caught.value.exit_code == ExitCode.CONFIGURATION
    assert f"{file}:8:1" in caught.value.message
    assert f"{file}:9:14" in caught.value.message
    assert [one["line"] for one in caught.value.details["faults"]] == [8, 9]


def test_files_that_are_not_there_or_not_text(tmp_path: Path):
    with pytest.raises(NotFoundError):
        loader.load(tmp_path / "none.yaml")
    with pytest.raises(NotFoundError, match="servce") as caught:
        loader.load("servce")
    assert "`service`" in (caught.value.hint or "")
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"name: x\nversion: \xff\n")
    with pytest.raises(ConfigurationError, match=r"binary\.yaml:2:1"):
        loader.load(binary)


HOSTILE = {
    "deep": "a: " + "[" * 5000,
    "deep and closed": "a: " + "[" * 5000 + "]" * 5000,
    "bomb": "a: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]\n",
    "object": "name: !!python/object/apply:os.system ['true']\n",
    "nul": "name: \x00\n",
    "surrogate": "name: \ud800\n",
    "huge": "name: " + "x" * 300_000,
    "long number": "version: " + "9" * 5000 + "\nname: x\nstages: []\n",
    "nested condition": PLAN + "    when: " + "(" * 4000 + "plan.has_service" + ")" * 4000 + "\n",
    "key that is a table": "{a: 1}: 2\n",
    "merge": PLAN + "<<: {version: 2}\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_refused_with_a_fault(name: str):
    assert faults(HOSTILE[name])


@given(st.text(alphabet=st.sampled_from("abn:-[]{}&*!|>\"'# \n\t\0\ufeff01.%@`,?"), max_size=80))
def test_any_text_is_answered_with_faults_and_never_with_a_crash(text: str):
    assert faults(text)
    assert faults(PLAN + text) is not None
