"""The policy: read from the base, whole or refused with every fault, and the same words as its schema."""

from __future__ import annotations

import json

import jsonschema
import pytest

from shipway.check import catalogue, policyfile
from shipway.check.outcome import decide
from shipway.check.waivers import digest, used
from shipway.contracts.check import Outcome
from shipway.contracts.evidence import Finding, GateEvidence, GateSelection
from shipway.domain.gates import Enforcement, Verdict
from shipway.domain.policy import THRESHOLDS, Policy, Waiver, matches
from shipway.errors import ConfigurationError

TREE = "a" * 40
WHOLE = """\
version: 1
required: [complexity, docs]
advisory: [types]
thresholds: {coverage: 80, file_size_kb: 64}
waivers:
  - gate: security
    digest: "%s"
    approver: ada
    reason: reviewed by hand
    expires: 2030-01-31
quarantine:
  - {test: "tests/test_a.py::test_b", owner: bob, reason: races, expires: 2030-01-31}
commands:
  - gate: docs
    run: [make, docs]
    counts: '(\\d+) pages'
    timeout: 5m
requirements: [requirements/dev.txt]
scope: ["src/**", "tests/**"]
protected: ["deploy/**"]
golden: ["tests/golden/**"]
licences: [MIT, Apache]
advisories: {source: /srv/osv/all.zip}
suite: {select: concerned, within: [tests/unit]}
""" % ("b" * 64)


def read(text: str) -> Policy:
    return policyfile.read(text.encode(), catalogue.NAMES)


def test_a_whole_policy_is_read_and_fits_its_schema() -> None:
    policy = read(WHOLE)
    assert policy.required == {"complexity", "docs"}
    assert policy.threshold("coverage") == 80
    assert policy.threshold("mutation") == THRESHOLDS["mutation"]
    assert policy.commands[0].run == ("make", "docs")
    assert policy.commands[0].seconds == 300
    assert matches("deploy/prod.yaml", policy.protected)
    assert matches(".github/workflows/ci.yml", policy.protected)
    assert policy.waivers[0].expires == "2030-01-31"
    assert (policy.suite, policy.within) == ("concerned", ("tests/unit",))
    assert policy.advisories == "/srv/osv/all.zip"
    schema = json.loads(policyfile.schema())
    import yaml

    jsonschema.validate(json.loads(json.dumps(yaml.safe_load(WHOLE), default=str)), schema)
    assert set(schema["properties"]) == set(policyfile.FIELDS)
    assert set(schema["properties"]["thresholds"]["properties"]) == set(THRESHOLDS)
    for name, value in THRESHOLDS.items():
        assert schema["properties"]["thresholds"]["properties"][name]["default"] == value


def test_all_faults_are_told_at_once_with_their_lines() -> None:
    text = (
        "version: 1\nrequird: [lint]\nrequired: [lnt]\nadvisory: lint\n"
        "thresholds: {coverage: high, mutation: 101}\ntests: none\nwaivers:\n  - gate: nothing\n"
        "    digest: xyz\n    expires: tomorrow\ncommands:\n  - {gate: tests, run: []}\n"
        "advisories: {source: osv.zip}\nsuite: {select: some}\n"
    )
    found = policyfile.faults_of(text.encode(), catalogue.NAMES)
    assert {fault.line for fault in found} == {2, 3, 4, 5, 6, 8, 9, 10, 12, 13, 14}
    assert all(fault.remedy for fault in found)
    with pytest.raises(ConfigurationError, match="did you mean `lint`"):
        read(text)


@pytest.mark.parametrize(
    "text", ["", "- a\n", "a: &x 1\nb: *x\n", "\t", "version: 1\nversion: 1\n"]
)
def test_what_is_no_policy_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError):
        read(text)


def test_a_policy_that_is_no_text_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="UTF-8"):
        policyfile.read(b"version: 1\n# \xff\n", catalogue.NAMES)


@pytest.mark.parametrize(
    ("path", "glob", "fits"),
    [
        ("src/a/b.py", "src/**", True), ("src/a.py", "src/*.py", True),
        ("src/a/b.py", "src/*.py", False), ("a.py", "**/*.py", True), ("srcs/a.py", "src", False),
        ("src/x", "src", True), ("src/x", "src/", True), ("a+b.py", "a+b.py", True),
        ("ab.py", "a?.py", True),
    ],
)  # fmt: skip
def test_globs_stay_where_they_should(path: str, glob: str, fits: bool) -> None:
    assert matches(path, [glob]) is fits


# -- outcomes and waivers ---------------------------------------------------------------------


def evidence(gate: str, verdict: Verdict, **given: object) -> GateEvidence:
    fields: dict[str, object] = {
        "gate": gate, "verdict": verdict, "summary": "said", "examined": 1, "command": ["x"],
        "tool": "x", "tool_version": "1", "exit_code": 0, "started_at": "2026-01-01T00:00:00Z",
        "ended_at": "2026-01-01T00:00:01Z", "tree": TREE, "fence": None,
    }  # fmt: skip
    return GateEvidence.model_validate(fields | given)


def outcome(*seen: GateEvidence, waived: tuple[str, ...] = ()) -> Outcome:
    chosen = [
        GateSelection(gate=one.gate, selected=True, reason="r", enforcement=one.enforcement)
        for one in seen
    ]
    return decide(chosen, seen, waived)[0]


def test_only_pass_passes_and_what_cannot_be_judged_goes_to_a_person() -> None:
    good = evidence("tests", Verdict.PASS)
    assert outcome(good) is Outcome.ACCEPTED
    assert outcome(good, evidence("lint", Verdict.FAIL)) is Outcome.REJECTED
    assert outcome(good, evidence("lint", Verdict.FAIL, ask="meant?")) is Outcome.PERSON
    assert outcome(good, evidence("lint", Verdict.ERROR)) is Outcome.PERSON
    assert outcome(good, evidence("lint", Verdict.NOT_RUN)) is Outcome.PERSON
    assert outcome(evidence("tests", Verdict.PASS, examined=0)) is Outcome.PERSON
    assert outcome() is Outcome.PERSON
    both = (evidence("lint", Verdict.FAIL, ask="meant?"), evidence("tests", Verdict.FAIL))
    assert outcome(*both) is Outcome.REJECTED


def test_advisory_gates_inform_and_never_decide() -> None:
    soft = evidence("complexity", Verdict.FAIL, enforcement=Enforcement.ADVISORY)
    assert outcome(evidence("tests", Verdict.PASS), soft) is Outcome.ACCEPTED
    assert outcome(soft) is Outcome.PERSON


def test_a_waiver_counts_for_its_digest_until_its_day_and_for_failures_only() -> None:
    found = evidence(
        "lint", Verdict.FAIL, findings=[Finding(rule="F1", message="line 7", path="a.py")]
    )
    moved = evidence(
        "lint", Verdict.FAIL, findings=[Finding(rule="F1", message="line 9", path="a.py")]
    )
    other = evidence(
        "lint", Verdict.FAIL, findings=[Finding(rule="F2", message="line 7", path="a.py")]
    )
    waiver = Waiver("lint", digest(found), "ada", "reviewed", "2030-01-31")
    policy = Policy(waivers=(waiver,))
    assert used(policy, [moved], "2030-01-31")[0].counts
    assert not used(policy, [other], "2030-01-31")[0].counts
    assert "expired" in used(policy, [found], "2030-02-01")[0].why
    broken = evidence("lint", Verdict.ERROR, findings=found.findings)
    assert not used(policy, [broken], "2030-01-01")[0].counts
    assert outcome(evidence("tests", Verdict.PASS), found, waived=("lint",)) is Outcome.ACCEPTED
