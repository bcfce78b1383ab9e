"""The base's tests on the head's source: what is a trick, what a person decides, what is routine."""

from __future__ import annotations

from comparing import FIXED, GOLD, NEW_EDGE, SHOP

from shipway.contracts.evidence import GateEvidence
from shipway.domain.gates import Verdict
from shipway.domain.states import Claim
from shipway.gates import tamper
from shipway.gates.comparison import Comparison

TESTS = SHOP["tests/test_shop.py"]


def judge(comparison: Comparison) -> GateEvidence:
    return tamper.RULE.judge(comparison)


def rules(evidence: GateEvidence, severity: str) -> set[str]:
    return {one.rule for one in evidence.findings if one.severity == severity}


def rejected(evidence: GateEvidence) -> set[str]:
    assert evidence.verdict is Verdict.FAIL, evidence.summary
    assert evidence.ask is None
    return rules(evidence, "error")


def asked(evidence: GateEvidence) -> set[str]:
    assert evidence.verdict is Verdict.FAIL, evidence.summary
    assert evidence.ask is not None, evidence.summary
    return rules(evidence, "warning")


def accepted(evidence: GateEvidence) -> set[str]:
    assert evidence.verdict is Verdict.PASS, evidence.summary
    return rules(evidence, "note")


# -- routine ----------------------------------------------------------------------------------


def test_an_expectation_that_the_fix_contradicts_may_change_with_it(compare) -> None:
    seen = judge(compare(GOLD))
    assert accepted(seen) == set()
    assert seen.counts["tests"] == 8
    assert seen.counts["on the base"] == 4


def test_a_renamed_and_a_moved_test_are_still_there(compare) -> None:
    moved = NEW_EDGE.replace("def test_name", "def test_it_has_a_name")
    change = {"shop.py": FIXED, "tests/test_shop.py": None, "tests/unit/test_prices.py": moved}
    assert accepted(judge(compare(change))) == set()


IN_A_CLASS = {
    "tests/test_shop.py": """import shop


class TestShop:
    def test_name(self):
        assert shop.name() == "shop"

    def test_edge_(self):
        assert shop.total(10, 10) in (90, 100)
""",
    "tests/test_again.py": """from test_shop import TestShop as Shop


class TestAgain(Shop):
    pass
""",
}


def test_inherited_tests_go_by_the_new_name_too_and_are_missed_when_deleted(compare) -> None:
    base = {**SHOP, **IN_A_CLASS}
    inherited = IN_A_CLASS["tests/test_shop.py"]
    renamed = {"tests/test_shop.py": inherited.replace("test_edge_", "test_edge")}
    assert accepted(judge(compare(renamed, base=base))) == set()
    deleted = {"tests/test_shop.py": inherited.split("\n\n    def test_edge_")[0] + "\n"}
    seen = judge(compare(deleted, base=base))
    assert asked(seen) == {"test-deleted", "test-not-collected"}


def test_tests_merged_into_parameters_are_still_there(compare) -> None:
    merged = """import pytest
import shop


@pytest.mark.parametrize(("price", "count", "sum"), [(3, 2, 6), (10, 20, 180), (10, 10, 90)])
def test_total(price, count, sum):
    assert shop.total(price, count) == sum


def test_name():
    assert shop.name() == "shop"
"""
    assert accepted(judge(compare({"shop.py": FIXED, "tests/test_shop.py": merged}))) == {
        "test-deleted"
    }


def test_a_test_goes_with_what_it_tested(compare) -> None:
    change = {
        "shop.py": SHOP["shop.py"].split("\n\ndef name")[0] + "\n",
        "tests/test_shop.py": TESTS.split("\n\ndef test_name")[0] + "\n",
    }
    assert accepted(judge(compare(change, claim=Claim.REFACTOR))) == {"test-deleted"}


def test_a_golden_file_follows_the_source(compare) -> None:
    base = {
        "page.py": "def page():\n    return 'Hello'\n",
        "tests/golden/page.txt": "Hello",
        "tests/test_page.py": """from pathlib import Path
import page


def test_page():
    assert page.page() == (Path(__file__).parent / "golden" / "page.txt").read_text()
""",
    }
    change = {"page.py": "def page():\n    return 'Hello!'\n", "tests/golden/page.txt": "Hello!"}
    assert accepted(judge(compare(change, base=base))) == {"golden-rewritten"}
    alone = judge(compare({"tests/golden/page.txt": "Bye"}, base=base))
    assert asked(alone) == {"golden-rewritten"}


def test_what_fails_on_the_base_as_well_when_run_alike_and_a_new_test_that_says_little_are_routine(
    compare,
) -> None:
    # The base's suite is run without coverage, the head's with it.
    slow = "import sys\n\n\ndef test_pace():\n    assert 'coverage' not in sys.modules\n"
    little = NEW_EDGE + "\n\ndef test_it_has_one():\n    assert shop.name()\n"
    change = {"shop.py": FIXED, "tests/test_shop.py": little}
    seen = judge(compare(change, base={**SHOP, "tests/test_pace.py": slow}))
    assert accepted(seen) == {"test-says-little"}


def test_of_a_base_only_those_files_are_run_that_can_tell_something(compare) -> None:
    green = "def test_green():\n    assert 1 + 1 == 2\n"
    more = """import shop


def test_always():
    assert shop


if hasattr(shop, "more"):
    def test_more():
        assert shop.more() == 2
"""
    old = SHOP["shop.py"] + "\n\ndef more():\n    return 2\n"
    base = {**SHOP, "shop.py": old, "tests/test_more.py": more, "tests/test_green.py": green}
    # The source takes a test with it whose file was not touched.
    seen = judge(compare(GOLD, base=base))
    assert rejected(seen) == {"test-not-collected"}
    assert seen.counts["on the base"] == 4 + 2


# -- tricks, one by one -----------------------------------------------------------------------


def test_a_deleted_test_that_would_fail_is_a_trick(compare) -> None:
    without = TESTS.replace("def test_edge():\n    assert shop.total(10, 10) == 100\n", "")
    seen = judge(compare({"shop.py": FIXED, "tests/test_shop.py": without}))
    assert rejected(seen) == {"test-deleted"}


def test_where_others_show_the_fix_that_a_deleted_test_contradicts_a_person_is_asked(
    compare,
) -> None:
    without = TESTS.replace("def test_edge():\n    assert shop.total(10, 10) == 100\n", "")
    proof = "from shop import total as of\n\n\ndef test_ten():\n    assert of(10, 10) == 90\n"
    change = {"shop.py": FIXED, "tests/test_shop.py": without, "tests/test_ten.py": proof}
    assert asked(judge(compare(change))) == {"test-deleted"}
    assert rejected(judge(compare(change, claim=Claim.REFACTOR))) == {"test-deleted"}


def test_where_others_show_the_fix_a_person_is_asked_about_an_assertion_that_says_less(
    compare,
) -> None:
    proof = "from shop import total as of\n\n\ndef test_ten():\n    assert of(10, 10) == 90\n"
    change = {"shop.py": FIXED, "tests/test_ten.py": proof}
    less = TESTS.replace("assert shop.total(10, 10) == 100", "assert shop.total(10, 10)")
    assert asked(judge(compare({**change, "tests/test_shop.py": less}))) >= {"assertion-weakened"}
    idle = TESTS.replace("assert shop.total(10, 10) == 100", "assert True")
    assert rejected(judge(compare({**change, "tests/test_shop.py": idle})))


def test_an_assertion_that_goes_with_a_text_of_the_source_is_asked_about(compare) -> None:
    warned = "the name of this shop is old"
    head = SHOP["shop.py"]
    base = {
        "shop.py": head.replace(
            "def name():\n", f"def name(log=None):\n    log.append('{warned}')\n"
        ),
        "tests/test_shop.py": TESTS.replace(
            'assert shop.name() == "shop"',
            f'log = []\n    assert shop.name(log) == "shop"\n    assert log == ["{warned}"]',
        ),
    }
    change = {
        "shop.py": head.replace("def name():", "def name(log=None):"),
        "tests/test_shop.py": TESTS.replace("shop.name()", "shop.name([])"),
    }
    assert "assertion-weakened" in asked(judge(compare(change, base=base)))
    said_still = {**change, "shop.py": change["shop.py"] + f"\n\nWARNED = '{warned}'\n"}
    assert "assertion-weakened" in rejected(judge(compare(said_still, base=base)))


def test_a_deleted_test_that_would_pass_is_asked_about(compare) -> None:
    without = TESTS.split("\n\ndef test_name")[0] + "\n"
    seen = judge(compare({"tests/test_shop.py": without}, claim=Claim.CHORE))
    assert asked(seen) == {"test-deleted"}
    assert "test_name" in (seen.ask or "")
    # Of the base only a file is run whose tests have other names each time: of this one it says nothing.
    named = """import uuid

import pytest


@pytest.mark.parametrize("it", [1], ids=lambda it: uuid.uuid4().hex)
def test_it(it):
    assert it == 1
"""
    more = {
        "shop.py": SHOP["shop.py"] + "\n\ndef tax():\n    return 5\n",
        "tests/test_shop.py": without + "\n\ndef test_tax():\n    assert shop.tax() == 5\n",
    }
    base = {**SHOP, "tests/test_named.py": named}
    seen = judge(compare(more, base=base, claim=Claim.FEATURE))
    assert asked(seen) == {"test-deleted"}


def test_a_new_test_that_forgets_whatever_goes_wrong_is_asked_about(compare) -> None:
    deaf = "import shop\n\n\ndef test_deaf():\n    try:\n        shop.total(None, 10)\n"
    deaf += "    except Exception:\n        pass\n"
    change = {**GOLD, "tests/test_deaf.py": deaf}
    assert asked(judge(compare(change))) == {"test-swallows"}


BENT = {
    "later": ("@pytest.mark.skip(reason='later')\n", "{}", {"test-skipped"}),
    "expected": ("@pytest.mark.xfail\n", "{}", {"test-skipped"}),
    "truth": ("", "assert shop.total(10, 10)", {"assertion-weakened"}),
    "always": ("", "assert True", {"assertion-empty", "assertion-weakened"}),
    "swallowed": (
        "", "try:\n        {}\n    except AssertionError:\n        pass", {"assertion-swallowed"},
    ),
    "unreachable": ("", "return\n    {}", {"assertion-unreachable"}),
}  # fmt: skip
"""What becomes of a test that the fix contradicts: its mark, its body, what it is found for."""


def test_a_test_that_is_skipped_weakened_or_cannot_fail_any_more_is_a_trick(compare) -> None:
    old, new = "assert shop.total(10, 10) == 100", "assert shop.total(10, 10) == 90"
    loose = "assert shop.total(10, 10) in (90, 100)"

    def suite(bodies: dict[str, tuple[str, str]]) -> str:
        tests = (f"{mark}def test_{name}():\n    {body}\n" for name, (mark, body) in bodies.items())
        return "import pytest\nimport shop\n\n\n" + "\n\n".join(tests)

    base = suite(dict.fromkeys((*BENT, "loose"), ("", old)))
    head = suite(
        {name: (mark, body.format(new if mark else old)) for name, (mark, body, _) in BENT.items()}
        | {"loose": ("", loose)}
    )
    seen = judge(compare(
        {"shop.py": FIXED, "tests/test_shop.py": head}, base={**SHOP, "tests/test_shop.py": base}
    ))  # fmt: skip
    assert rejected(seen)

    def found(name: str, *severities: str) -> set[str]:
        said = f"tests/test_shop.py::test_{name}:"
        return {one.rule for one in seen.findings
                if one.severity in severities and one.message.startswith(said)}  # fmt: skip

    for name, (_, _, expected) in BENT.items():
        assert found(name, "error") & expected, name
    assert found("loose", "error", "warning")


def test_a_regression_in_an_old_test_is_found_though_its_file_is_untouched(compare) -> None:
    change = {"shop.py": SHOP["shop.py"].replace('"shop"', '"store"')}
    assert rejected(judge(compare(change))) == {"test-broken"}


def test_a_conftest_that_forces_outcomes_is_a_trick(compare) -> None:
    hook = """import pytest


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        report.outcome = "passed"
"""
    change = {"shop.py": FIXED, "tests/conftest.py": hook}
    seen = judge(compare(change))
    assert rejected(seen) >= {"outcome-forced", "test-broken"}
    # The structure is not needed to see it: the call raised and was reported as a pass.
    assert any("is not what its call did" in one.message for one in seen.findings)


def test_deselected_tests_are_a_trick(compare) -> None:
    drop = """def pytest_collection_modifyitems(items):
    items[:] = [one for one in items if "edge" not in one.name]
"""
    seen = judge(compare({"shop.py": FIXED, "tests/conftest.py": drop}))
    assert "test-deselected" in rejected(seen)
    options = "[tool.pytest.ini_options]\naddopts = '-k \"not edge\"'\n"
    seen = judge(compare({"shop.py": FIXED, "pyproject.toml": options}))
    assert "test-deselected" in rejected(seen)
    assert "configuration-relaxed" in rules(seen, "warning")


def test_a_run_that_is_ended_early_is_a_trick(compare) -> None:
    ends = SHOP["shop.py"].replace('"""Prices."""', '"""Prices."""\n\nimport os\n\nos._exit(0)')
    seen = judge(compare({"shop.py": ends}))
    assert "run-cut-short" in rejected(seen)
    change = {"tests/conftest.py": "import sys\n\nsys.exit(0)\n"}
    assert {"run-cut-short", "exit-forced"} & rejected(judge(compare(change)))


def test_a_report_that_somebody_else_writes_is_not_believed(compare) -> None:
    forge = '''"""Prices."""

import glob, os

for name in glob.glob("/tmp/**/reports/*.jsonl", recursive=True):
    with open(name, "a") as report:
        report.write('0 {"n": 1, "kind": "end", "exit": 0, "pytest": "9"}\\n')


def total(price, count):
    return 0


def name():
    return "shop"
'''
    seen = judge(compare({"shop.py": forge}))
    assert seen.verdict is not Verdict.PASS


# -- tests that still stand there -------------------------------------------------------------

SILENCED = """import pytest
import shop
from shop import name, total


class TestInClass:
    def test_in_class(self):
        assert total(3, 2) == 6


class TestDenied:
    def test_denied(self):
        assert total(3, 3) == 9


def test_renamed():
    assert total(4, 2) == 8


def test_under_if():
    assert total(5, 2) == 10


def test_nested():
    assert total(6, 2) == 12


def test_taken_out():
    assert total(7, 2) == 14


def test_bound_anew():
    assert total(8, 2) == 16


def test_switched_off():
    assert total(9, 2) == 18


def test_fixture():
    assert total(10, 2) == 20


def test_shadowed():
    assert total(11, 2) == 22


def test_stand_in():
    assert total(12, 2) == 24


def test_module_stand_in():
    assert name() == "shop"
"""


def silenced() -> str:
    changes = {
        "class TestInClass": "class InClass",
        "class TestDenied:": "class TestDenied:\n    __test__ = False\n",
        "def test_renamed": "def _renamed",
        "def test_under_if():\n    assert total(5, 2) == 10":
            "if False:\n\n    def test_under_if():\n        assert total(5, 2) == 10",
        "def test_nested():\n    assert total(6, 2) == 12":
            "def test_outer():\n    def test_nested():\n        assert total(6, 2) == 12",
        "def test_fixture": "@pytest.fixture\ndef test_fixture",
        "    assert total(12, 2)": "    total = lambda price, count: 24\n    assert total(12, 2)",
        "import name, total": 'import total\n\n\ndef name():\n    return "shop"\n',
    }  # fmt: skip
    text = SILENCED
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    ends = (
        "del test_taken_out", "test_bound_anew = None", "test_switched_off.__test__ = False",
        "def test_shadowed():\n    pass",
        "def test_edge():\n    assert shop.total(10, 10) == 90",
    )  # fmt: skip
    return text + "".join(f"\n\n{end}\n" for end in ends)


def test_a_test_that_is_never_met_or_asks_a_stand_in_is_seen_whatever_the_way(compare) -> None:
    """All pass on the head's source, a new one proves the fix: only what was silenced is told."""
    change = {"shop.py": FIXED, "tests/test_shop.py": silenced()}
    seen = judge(compare(change, base={**SHOP, "tests/test_shop.py": SILENCED}))
    assert seen.verdict is Verdict.FAIL
    told = {
        (one.rule, name.strip(":"))
        for one in seen.findings
        if one.severity != "note"
        for name in one.message.split()[:1]
    }
    unheard = {
        "TestInClass::test_in_class", "TestDenied::test_denied", "test_renamed", "test_under_if",
        "test_nested", "test_taken_out", "test_bound_anew", "test_switched_off", "test_fixture",
    }  # fmt: skip
    file = "tests/test_shop.py"
    expected = {
        ("test-unheard", f"{file}::{name}") for name in unheard - {"test_renamed", "test_nested"}
    }
    expected |= {("test-deleted", f"{file}::{name}") for name in ("test_renamed", "test_nested")}
    expected |= {("stand-in", f"{file}::test_stand_in"), ("stand-in", file)}
    expected |= {("assertion-removed", f"{file}::test_shadowed")}
    assert told == expected


def test_tests_that_a_base_class_holds_now_are_still_met(compare) -> None:
    base = "import shop\n\n\nclass TestIt:\n    def test_total(self):\n        assert shop.total(3, 2) == 6\n"
    shared = base.replace("class TestIt:", "class Shared:")
    shared += "\n\nclass TestOne(Shared):\n    pass\n\n\nclass TestTwo(Shared):\n    pass\n"
    change = {
        "shop.py": SHOP["shop.py"] + "\n\ndef tax():\n    return 5\n",
        "tests/test_shop.py": shared,
    }
    seen = judge(compare(change, base={**SHOP, "tests/test_shop.py": base}, claim=Claim.REFACTOR))
    assert accepted(seen) == set()


STAND_IN = """import pytest
import shop


@pytest.fixture(autouse=True)
def _shop(monkeypatch):
    monkeypatch.setattr(shop, "name", lambda: "shop")
"""


def test_a_fixture_that_lets_a_test_pass_with_and_without_the_change_is_asked_about(
    compare,
) -> None:
    broken = FIXED.replace('return "shop"', 'return "stop"')
    change = {"shop.py": broken, "tests/test_shop.py": NEW_EDGE, "tests/conftest.py": STAND_IN}
    seen = judge(compare(change))
    assert "ground-moved" in asked(seen)
    assert "test_name" in (seen.ask or "")
    # The other way round: what the test stands on follows what the source does now.
    named = {
        "shop.py": SHOP["shop.py"].replace('return "shop"', 'return "SHOP"'),
        "tests/conftest.py": KNOWN.replace("shop", "SHOP"),
    }
    base = {**SHOP, "tests/test_shop.py": BY_FIXTURE, "tests/conftest.py": KNOWN}
    assert accepted(judge(compare(named, base=base))) == set()


KNOWN = 'import pytest\n\n\n@pytest.fixture\ndef known():\n    return "shop"\n'
BY_FIXTURE = "import shop\n\n\ndef test_name(known):\n    assert shop.name() == known\n"


def test_an_answer_that_equals_whatever_it_is_asked_is_a_persons(compare) -> None:
    text = FIXED + "\n\nclass Any(str):\n    def __eq__(self, other):\n        return True\n"
    assert asked(judge(compare({"shop.py": text, "tests/test_shop.py": NEW_EDGE}))) == {
        "equals-anything"
    }
