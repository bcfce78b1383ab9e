"""evidence.json: what machines read, true to its schema, and where the time went."""

from __future__ import annotations

import hashlib
import json

import jsonschema
import pytest
import run_records as records
from hypothesis import given
from hypothesis import strategies as st

from shipway.report import changes, make, schema
from shipway.report.timeline import Axis, Span

VERSIONS = {"shipway": "0.1.0"}


def evidence(detail, shelf) -> dict:
    report = make(detail, shelf.read, records.at(detail.summary.seconds), VERSIONS)
    return json.loads(report.evidence)


@pytest.mark.parametrize("kind", ["succeeded", "failed_gate", "waiting", "conflict", "running"])
def test_the_evidence_is_what_its_schema_says(kind: str):
    shelf = records.Shelf()
    found = evidence(getattr(records, kind)(shelf), shelf)
    validator = jsonschema.Draft202012Validator(json.loads(schema.shipped()))
    assert [error.message for error in validator.iter_errors(found)] == []
    assert found["format"] == "shipway.evidence/1"


def test_the_schema_that_ships_is_the_one_of_the_model():
    jsonschema.Draft202012Validator.check_schema(json.loads(schema.shipped()))
    assert schema.shipped() == schema.generated(), (
        "write it again: python -m shipway.report.schema > src/shipway/report/evidence.schema.json"
    )


def test_the_evidence_holds_verdicts_digests_and_what_was_deployed():
    shelf = records.Shelf()
    found = evidence(records.succeeded(shelf), shelf)
    stages = {one["id"]: one for one in found["stages"]}
    gates = {one["gate"]: one for one in stages["validate"]["report"]["evidence"]}
    assert gates["tests"]["verdict"] == "PASS"
    assert gates["tests"]["examined"] == 58
    assert gates["tests"]["fence"]["mechanism"] == "unshare"
    assert "report" not in stages["validate"]["result"]
    assert found["deployment"]["health"]["status"] == 200
    assert found["integration"]["commit"] == records.COMMIT
    assert found["candidate"]["commit"] == records.COMMIT
    assert found["diff_sha256"] == hashlib.sha256(records.PATCH.encode()).hexdigest()
    assert found["remarks"] == []


def test_secrets_are_masked_in_page_and_evidence_and_digests_are_not():
    planted = ["ghp_" + "a1B2" * 9, "hunter2-and-more"]
    shelf = records.Shelf()
    detail = records.failed_gate(shelf)
    error = detail.stages[3].error.model_copy(
        update={"log_tail": f"Authorization: Bearer {planted[0]}\nfailed"}
    )
    stages = [*detail.stages]
    stages[3] = stages[3].model_copy(update={"error": error})
    detail = detail.model_copy(
        update={"stages": stages, "submission": {"answers": {"api_key": planted[1]}, "port": 0}}
    )
    report = make(detail, shelf.read, records.at(30), VERSIONS)
    for secret in planted:
        assert secret not in report.html.decode()
        assert secret not in report.evidence.decode()
    assert "masked" in report.html.decode()
    assert records.COMMIT in report.evidence.decode()
    assert records.SHA in report.evidence.decode()


def test_the_patch_is_handed_on_byte_for_byte():
    shelf = records.Shelf()
    raw = records.PATCH.encode() + b"\xff\xfe"
    stage = records.stage("scaffold", "passed", [], [records.attempt(1, 1, 2, 3)],
                          result=records.candidate(shelf, raw))  # fmt: skip
    detail = records.run(shelf, records.stages(shelf, scaffold=stage))
    assert make(detail, shelf.read, records.at(40), VERSIONS).diff == raw


def test_a_result_that_fits_no_contract_is_remarked_and_kept():
    shelf = records.Shelf()
    odd = records.stage("deploy", "passed", [], [records.attempt(1, 1, 2, 3)], result={"odd": 1})
    found = evidence(records.run(shelf, records.stages(shelf, deploy=odd)), shelf)
    assert any("deploy: its result does not fit its contract" in one for one in found["remarks"])
    assert found["deployment"] is None
    assert found["stages"][-1]["result"] == {"odd": 1}


def test_the_time_of_each_stage_is_told_apart():
    shelf = records.Shelf()
    found = evidence(records.failed_gate(shelf), shelf)
    e2e = next(one for one in found["stages"] if one["id"] == "e2e")
    assert e2e["spent"] == {"queued": 0.3, "worked": 16.6, "retrying": 3.2, "waited": 0.0}
    waiting = evidence(records.waiting(shelf, waited=3600), shelf)
    integrate = next(one for one in waiting["stages"] if one["id"] == "integrate")
    assert integrate["spent"]["waited"] == 3600.0


def test_a_wait_of_days_leaves_the_work_visible():
    work = [Span("worked", 0, 10), Span("worked", 10, 40)]
    wait = Span("waited", 40, 40 + 7 * 86400)
    after = Span("worked", wait.end, wait.end + 10)
    axis = Axis(0, after.end, [*work, wait, after])
    assert axis.bar(work[1]).width == pytest.approx(55, abs=3)
    assert axis.bar(wait).width < 10
    assert len(axis.breaks()) == 1
    assert axis.bar(after).left > axis.bar(wait).left


spans = st.lists(
    st.tuples(
        st.sampled_from(["queued", "worked", "retrying", "waited"]),
        st.floats(0, 1e6),
        st.floats(0, 1e5),
    ).map(lambda one: Span(one[0], one[1], one[1] + one[2])),
    max_size=8,
)


@given(spans)
def test_bars_stay_on_the_axis_and_in_order(found: list[Span]):
    end = max((span.end for span in found), default=0.0)
    axis = Axis(0.0, end, found)
    for span in found:
        bar = axis.bar(span)
        assert bar.left >= 0
        assert bar.width > 0
        assert bar.left + bar.width <= 100.001
    ordered = sorted(found, key=lambda span: span.start)
    lefts = [axis.percent(span.start) for span in ordered]
    assert lefts == sorted(lefts)


def test_a_patch_is_read_as_git_wrote_it():
    patch = (
        'diff --git "a/sp\\303\\244t.txt" "b/sp\\303\\244t.txt"\n'
        "deleted file mode 100644\n"
        '--- "a/sp\\303\\244t.txt"\n+++ /dev/null\n@@ -1 +0,0 @@\n-gone\n'
        "\\ No newline at end of file\n"
        "diff --git a/old name.py b/new name.py\nsimilarity index 90%\n"
        "rename from old name.py\nrename to new name.py\n"
        "--- a/old name.py\n+++ b/new name.py\n@@ -3,2 +3,2 @@ def f():\n-    a\n+    b\n same\n"
    )
    first, second = changes.read(patch.encode()).files
    assert (first.path, first.what, first.deletions) == ("spät.txt", "deleted", 1)
    assert first.lines[-1].text == "No newline at end of file"
    assert (second.path, second.what) == ("new name.py", "renamed from old name.py")
    assert [(line.kind, line.number) for line in second.lines] == [
        ("hunk", None), ("del", 3), ("add", 3), ("same", 4),
    ]  # fmt: skip


@given(st.binary(max_size=300))
def test_any_bytes_can_be_read_as_a_patch(patch: bytes):
    changes.read(b"diff --git a/x b/x\n" + patch)
