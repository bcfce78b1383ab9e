"""A fix or a feature counts only with a test that is red without the change and green with it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from comparing import FIXED, GOLD, NEW_EDGE, SHOP

from shipway.contracts.evidence import GateEvidence
from shipway.domain.gates import Verdict
from shipway.domain.policy import Policy
from shipway.domain.states import Claim
from shipway.gates import proof, tamper
from shipway.gates.comparison import Comparison
from shipway.gates.look import Doubt
from shipway.workspace.environments import Environments, Other


def judge(comparison: Comparison) -> GateEvidence:
    selected, reason = proof.RULE.select(comparison)
    assert selected, reason
    return proof.RULE.judge(comparison)


def proving(evidence: GateEvidence) -> set[str]:
    return {
        one.message.split(":: ")[0].split(": without")[0]
        for one in evidence.findings
        if one.rule == "proving-test"
    }


def test_a_test_that_fails_without_the_change_proves_it(compare) -> None:
    seen = judge(compare(GOLD))
    assert seen.verdict is Verdict.PASS
    assert proving(seen) == {"tests/test_shop.py::test_edge"}
    assert seen.counts == {"proving": 1, "run": 4, "unsteady": 0}
    assert seen.examined == 4
    assert seen.command[:3] == ["python", "-m", "pytest"]
    assert seen.fence is not None
    assert seen.findings[0].reproduce == "python -m pytest 'tests/test_shop.py::test_edge'"


def test_a_comment_is_no_fix_with_or_without_tests(compare) -> None:
    change = {"shop.py": SHOP["shop.py"] + "\n# Looked at.\n", "README.md": "# Looked at\n"}
    for policy in (None, Policy(no_tests="a sketch")):
        comparison = compare(change, policy=policy)
        selected, _ = proof.RULE.select(comparison)
        assert selected
        seen = proof.RULE.judge(comparison)
        assert seen.verdict is Verdict.FAIL
        assert "comments" in seen.summary
    assert not proof.RULE.select(compare({"shop.py": FIXED}, policy=Policy(no_tests="a sketch")))[0]


def test_a_fix_without_any_test_is_not_proven(compare) -> None:
    base = {**SHOP, "tests/test_shop.py": SHOP["tests/test_shop.py"].replace("10, 10", "10, 9")
            .replace("== 100", "== 90")}  # fmt: skip
    seen = judge(compare({"shop.py": FIXED}, base=base))
    assert seen.verdict is Verdict.FAIL
    assert "not proven" in seen.summary


def test_tests_without_the_change_prove_nothing(compare) -> None:
    seen = judge(compare({"tests/test_shop.py": NEW_EDGE}))
    assert seen.verdict is Verdict.FAIL
    assert "nothing but tests" in seen.summary


def test_a_test_that_passes_either_way_proves_nothing(compare) -> None:
    weak = SHOP["tests/test_shop.py"].replace("(10, 10) == 100", "(10, 10)")
    seen = judge(compare({"shop.py": FIXED, "tests/test_shop.py": weak}))
    assert seen.verdict is Verdict.FAIL
    assert seen.counts["proving"] == 0


def test_a_test_of_something_new_proves_a_feature_but_its_old_neighbours_do_not(compare) -> None:
    files = {
        "shop.py": SHOP["shop.py"] + "\n\ndef tax(price):\n    return price // 5\n",
        "tests/test_shop.py": SHOP["tests/test_shop.py"].replace(
            "import shop\n", "import shop\nfrom shop import tax\n"
        )
        + "\n\ndef test_tax():\n    assert tax(10) == 2\n",
    }
    seen = judge(compare(files, claim=Claim.FEATURE))
    assert seen.verdict is Verdict.PASS
    assert proving(seen) == {"tests/test_shop.py::test_tax"}


def test_each_parameter_is_a_test_and_unittest_is_run_too(compare) -> None:
    test = """import unittest

import pytest
import shop


@pytest.mark.parametrize(("count", "price"), [(1, 10), (9, 90), (10, 90)])
def test_price(count, price):
    assert shop.total(10, count) == price


class Shop(unittest.TestCase):
    def test_edge(self):
        with self.subTest("ten"):
            self.assertEqual(shop.total(10, 10), 90)

    def test_name(self):
        self.assertEqual(shop.name(), "shop")
"""
    seen = judge(
        compare({"shop.py": FIXED, "tests/test_more.py": test, "tests/test_shop.py": NEW_EDGE})
    )
    assert seen.verdict is Verdict.PASS
    assert proving(seen) == {
        "tests/test_more.py::test_price[10-90]",
        "tests/test_more.py::Shop::test_edge",
        "tests/test_shop.py::test_edge",
    }


def test_a_test_that_hangs_without_the_change_proves_it(compare) -> None:
    base = {
        "loop.py": "def run():\n    while True:\n        pass\n",
        "tests/test_a.py": "def test_a():\n    assert True is not False\n",
    }
    change = {
        "loop.py": "def run():\n    return 1\n",
        "tests/test_loop.py": "import loop\n\n\ndef test_run():\n    assert loop.run() == 1\n",
    }
    seen = judge(compare(change, base=base, seconds=6.0))
    assert seen.verdict is Verdict.PASS
    assert "does not end" in seen.findings[0].message


def test_for_a_refactoring_it_is_information(compare) -> None:
    change = {"shop.py": SHOP["shop.py"].replace("price * count * 90", "count * price * 90")}
    seen = judge(compare(change, claim=Claim.REFACTOR))
    assert seen.verdict is Verdict.PASS
    assert "needs none" in seen.summary


def test_an_existing_failure_that_passes_now_proves_a_fix(compare) -> None:
    seen = judge(compare({"shop.py": FIXED}, base={**SHOP, "tests/test_shop.py": NEW_EDGE}))
    assert seen.verdict is Verdict.PASS
    assert proving(seen) == {"tests/test_shop.py::test_edge"}


def test_no_change_is_nothing_to_judge(compare) -> None:
    assert proof.RULE.select(compare({})) == (False, "nothing changed")


def test_a_test_that_loads_on_neither_side_proves_nothing_and_rejects_nothing(compare) -> None:
    """Here something is missing: a person has to look."""
    broken = "import not_there\n\n\ndef test_a():\n    assert not_there.f() == 1\n"
    with pytest.raises(Doubt, match="does not load"):
        judge(compare({"shop.py": FIXED, "tests/test_new.py": broken}))


def test_nor_does_one_whose_data_are_not_there_whatever_place_its_error_names(compare) -> None:
    """Each side lies in a place of its own, so the words of the two errors differ."""
    broken = (
        "import os\n\nCASES = os.listdir(os.path.abspath('no-such-data'))\n\n\n"
        "def test_a():\n    assert CASES\n"
    )
    with pytest.raises(Doubt, match="does not load"):
        judge(compare({"shop.py": FIXED, "tests/test_new.py": broken}))


def test_a_package_that_pytest_itself_uses_is_tested_as_it_is_in_the_tree(compare) -> None:
    """pytest has loaded the installed one by then; what it uses itself stays the installed one."""
    base = {
        "pyproject.toml": '[project]\nname = "iniconfig"\nversion = "9.9"\n',
        "src/iniconfig/__init__.py": "class IniConfig:\n    size = 0\n",
        "tests/test_it.py": "from iniconfig import IniConfig\n\n\ndef test_a():\n    assert IniConfig\n",
    }
    change = {
        "src/iniconfig/__init__.py": "class IniConfig:\n    size = 1\n",
        "tests/test_it.py": base["tests/test_it.py"] + "    assert IniConfig.size == 1\n",
    }
    seen = judge(compare(change, base=base))
    assert proving(seen) == {"tests/test_it.py::test_a"}, seen.summary


def test_tests_that_the_suite_runs_under_another_file_prove_it_by_themselves(compare) -> None:
    base = {
        **SHOP,
        "pytest.ini": "[pytest]\npython_files = every.py\n",
        "tests/every.py": "from test_shop import *\n",
    }
    comparison = compare(GOLD, base=base)
    seen = judge(comparison)
    assert seen.verdict is Verdict.PASS, seen.summary
    assert proving(seen) == {"tests/test_shop.py::test_edge"}
    assert tamper.RULE.judge(comparison).verdict is Verdict.PASS
    weak = {**GOLD, "tests/test_shop.py": NEW_EDGE.replace("== 90", "")}
    assert judge(compare(weak, base=base)).verdict is Verdict.FAIL


def test_what_fails_under_another_python_only_is_shown_there(
    compare, environments, fence, tmp_path, monkeypatch
) -> None:
    """The other one is the same Python at another place, which the tests can tell."""
    other = Environments(tmp_path / "elsewhere", fence, Path(sys.executable))
    other._ours = environments.ours
    found = [Other("3.99", other, None)]
    monkeypatch.setattr(environments, "others", lambda _requires, _day: found)
    tests = SHOP["tests/test_shop.py"].replace("import shop", "import sys\n\nimport shop")
    tests = tests.replace("== 100", "== (90 if 'elsewhere' in sys.prefix else shop.total(10, 10))")
    base = {**SHOP, "setup.cfg": "[options]\npython_requires = >=3.8\n"}
    seen = judge(compare({"shop.py": FIXED, "tests/test_shop.py": tests}, base=base))
    assert seen.verdict is Verdict.PASS, seen.summary
    assert proving(seen) == {"tests/test_shop.py::test_edge"}
    assert "Python 3.99" in seen.summary
    weak = tests.replace("'elsewhere'", "'nowhere'")
    seen = judge(compare({"shop.py": FIXED, "tests/test_shop.py": weak}, base=base))
    assert seen.verdict is Verdict.FAIL
