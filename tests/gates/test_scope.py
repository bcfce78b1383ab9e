"""Where a suite is too large for the time there is, the tests that a change can concern are run."""

from __future__ import annotations

import pytest

from shipway.domain.gates import Verdict
from shipway.domain.policy import Policy
from shipway.gates import proof, scope, suite_gate, tamper
from shipway.gates.look import Doubt
from shipway.gates.suite import chosen_files, head_suite

BASE = {
    "pkg/__init__.py": "",
    "pkg/shop.py": "def price(n):\n    return n * 3\n",
    "pkg/far.py": "X = 1\n",
    "tests/test_shop.py": "from pkg.shop import price\n\n\ndef test_zero():\n    assert price(0) == 0\n",
    "tests/test_uses.py": "from pkg import far, shop\n\n\ndef test_use():\n    assert shop.price(0) == 0\n",
    "tests/test_far.py": "from pkg.far import X\n\n\ndef test_far():\n    assert X == 1\n",
    "tests/helper.py": "def test_nothing():\n    pass\n",
}
HEAD = {
    **BASE,
    "pkg/shop.py": "def price(n):\n    return n * 2\n",
    "tests/test_shop.py": BASE["tests/test_shop.py"]
    + "\n\ndef test_two():\n    assert price(2) == 4\n",
}


def test_what_a_change_concerns_comes_nearest_first(compare) -> None:
    comparison = compare(HEAD, base=BASE)
    assert scope.concerned(comparison) == ("tests/test_shop.py", "tests/test_uses.py")
    assert set(scope.tests_of(comparison.head.bench.tree)) == {
        "tests/test_shop.py", "tests/test_uses.py", "tests/test_far.py",
    }  # fmt: skip


def test_a_suite_that_is_too_large_is_run_in_part_and_says_so(
    compare, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scope, "MOST_TESTS", 2)
    comparison = compare(HEAD, base=BASE)
    ran = {node.split("::")[0] for node in head_suite(comparison).outcomes}
    assert ran == {"tests/test_shop.py", "tests/test_uses.py"}
    seen = suite_gate.RULE.judge(comparison)
    assert seen.verdict is Verdict.PASS
    assert "2 modules that the change concerns" in seen.summary
    assert chosen_files(comparison) is not None


def test_the_policy_chooses_a_part_and_every_verdict_says_so(compare) -> None:
    comparison = compare(HEAD, base=BASE, policy=Policy(suite="concerned"))
    seen = suite_gate.RULE.judge(comparison)
    assert seen.verdict is Verdict.PASS
    assert "by the policy 2 of 3 modules, those that the change concerns" in seen.summary
    assert seen.counts["modules"] == 2


def test_tests_that_the_policy_leaves_out_are_not_run_and_prove_nothing(compare) -> None:
    policy = Policy(suite="concerned", within=("tests/test_far.py",))
    comparison = compare(HEAD, base=BASE, policy=policy)
    seen = suite_gate.RULE.judge(comparison)
    assert seen.examined == 1
    assert "by the policy all of 1 modules, which leaves 2 out" in seen.summary
    with pytest.raises(Doubt, match=r"does not let tests/test_shop\.py be run"):
        proof.RULE.judge(comparison)
    assert tamper.RULE.judge(comparison).verdict is Verdict.ERROR


def test_a_usual_suite_is_run_whole(compare) -> None:
    comparison = compare(HEAD, base=BASE)
    assert len(head_suite(comparison).outcomes) == 4
    assert chosen_files(comparison) is None
