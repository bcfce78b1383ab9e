"""docs/PIPELINES.md shows pipelines that work and faults that are told like that."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import yaml

from shipway.engine.pipelines import loader, shape
from shipway.engine.pipelines.submission import RunValues

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "PIPELINES.md").read_text("utf-8")
EXAMPLE = re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[1]


def test_the_example_is_a_sound_pipeline():
    assert loader.validate(EXAMPLE, "careful.yaml") == []
    schema = json.loads(loader.schema())
    jsonschema.Draft202012Validator(schema).validate(yaml.safe_load(EXAMPLE))


def test_the_faults_shown_are_those_that_are_told():
    shown = re.search(r"```text\n(.*?)```", PAGE, re.DOTALL)[1].splitlines()
    head, tail = EXAMPLE.split("  - id: implement\n")
    broken = head + "  - id: implement\n" + tail.replace("plan: plan.plan", "plan: plan.digest", 1)
    broken = broken.replace("needs: [implement]", "needs: [implemnt, implement]")
    assert [str(fault) for fault in loader.validate(broken, "careful.yaml")] == shown


def test_every_field_and_every_value_of_a_run_is_explained():
    for field in (*shape.PIPELINE_FIELDS, *shape.STAGE_FIELDS, *RunValues.model_fields):
        assert f"`{field}`" in PAGE, field
