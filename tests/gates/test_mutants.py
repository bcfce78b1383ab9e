"""Faults in changed lines, and the coverage of those lines: counted, bounded, and only advice."""

from __future__ import annotations

import ast

from comparing import FIXED, GOLD, NEW_EDGE, SHOP

from shipway.domain.gates import Verdict
from shipway.domain.policy import Policy
from shipway.gates import coverage, mutants
from shipway.gates.mutants.mutate import mutants as plant
from shipway.gates.mutants.mutate import spread


def planted(source: str, *lines: int) -> set[str]:
    wanted = frozenset(lines or range(1, source.count("\n") + 2))
    found = plant("a.py", source.encode(), wanted)
    for one in found:
        ast.parse(one.apply(source.encode()))
    return {one.new for one in found}


def test_each_kind_of_fault() -> None:
    assert planted("x = a == b\n") == {"a != b"}
    assert planted("x = a + b\n") == {"a - b"}
    assert planted("x = a and b\n") == {"a or b"}
    assert planted("x = not a\n") == {"a"}
    assert planted("x = 4\n") == {"5"}
    assert planted("x = 'é' < y\n") == {"'é' <= y", "'xé'"}
    assert planted("if a:\n    b()\n") == {"not (a)", "pass"}
    assert planted("def f():\n    return a\n") == {"None"}
    assert planted("raise E\n") == {"pass"}


def test_only_the_given_lines_and_no_prose_or_types() -> None:
    source = '"""One."""\nx: int = 1\n\ndef f(a: "str") -> "int":\n    """Two."""\n    return a\n'
    assert planted(source, 2) == {"2"}
    assert planted(source, 1, 4, 5) == set()


def test_a_bounded_number_from_everywhere() -> None:
    found = plant(
        "a.py", "".join(f"x{n} = {n}\n" for n in range(50)).encode(), frozenset(range(51))
    )
    chosen = spread(found, 10)
    assert len(found) == 50
    assert len(chosen) == 10
    assert chosen[-1].line > 40


def test_killed_and_survived_are_counted(compare) -> None:
    seen = mutants.RULE.judge(compare(GOLD, policy=Policy(thresholds={"mutants": 4.0})))
    assert seen.verdict is Verdict.PASS
    assert seen.counts["tried"] == seen.examined == 3
    assert seen.counts["killed"] == 3
    assert seen.measurements[0].value == 100.0


def test_tests_that_notice_nothing_let_mutants_survive(compare) -> None:
    weak = "import shop\n\n\ndef test_any():\n    assert shop.total(1, 1)\n    assert shop.name()\n"
    change = {
        "shop.py": FIXED + "\n\ndef tax(price):\n    return price * 5\n",
        "tests/test_shop.py": weak,
    }
    seen = mutants.RULE.judge(compare(change, policy=Policy(thresholds={"mutants": 3.0})))
    assert seen.verdict is Verdict.FAIL
    assert seen.counts["tried"] == 3
    assert seen.counts["unreached"] >= 1
    assert seen.counts["killed"] + seen.counts["survived"] + seen.counts["unreached"] == 3
    assert all(one.path == "shop.py" and one.line for one in seen.findings)


def test_changed_lines_that_no_test_runs(compare) -> None:
    change = {
        "shop.py": FIXED + "\n\ndef tax(price):\n    rate = 5\n    return price // rate\n",
        "tests/test_shop.py": NEW_EDGE,
    }
    seen = coverage.RULE.judge(compare(change))
    assert seen.counts == {"run": 2, "missed": 2, "files": 1}
    assert seen.examined == 4
    assert seen.verdict is Verdict.FAIL  # 50 % of at least 60 %
    assert len(seen.findings) == 2
    eased = coverage.RULE.judge(compare(change, policy=Policy(thresholds={"changed_coverage": 50})))
    assert eased.verdict is Verdict.PASS


def test_a_change_without_code_selects_neither(compare) -> None:
    base = {**SHOP, "README.md": "Shop\n"}
    for gate in (coverage.RULE, mutants.RULE):
        assert gate.select(compare({"README.md": "The shop\n"}, base=base))[0] is False
        text = SHOP["shop.py"].replace('"""Prices."""', '"""All prices."""')
        assert gate.select(compare({"shop.py": text}))[0] is False
