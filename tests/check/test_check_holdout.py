"""Checks that live outside the repository: they decide, and nobody who makes a change sees them."""

from __future__ import annotations

import pytest
from checked import BROKEN, MENDED, SHOP, gate, policy, write

from shipway.contracts.check import Outcome
from shipway.domain.gates import Verdict
from shipway.errors import ConfigurationError

SECRET = "from shop import price\n\n\ndef test_of_the_customer():\n    assert price(21) == 42\n"
# A candidate that looks for the checks and answers only what they ask.
PEEKING = {
    **BROKEN,
    "shop.py": (
        "import pathlib, sys\n\n\ndef price(n):\n"
        "    place = pathlib.Path('PLACE')\n"
        "    seen = place.is_dir() and any(place.iterdir())\n"
        "    return n * (2 if seen else 5)\n"
    ),
}
SKIPPING = {**BROKEN, "conftest.py": "def pytest_collection_modifyitems(items):\n"
            "    items[:] = [one for one in items if 'holdout' not in one.nodeid]\n"}  # fmt: skip


@pytest.fixture
def kept(tmp_path):
    place = tmp_path / "kept" / "customer"
    write(place, {"test_customer.py": SECRET})
    return place


@pytest.mark.parametrize(
    ("change", "verdict"),
    [(MENDED, Verdict.PASS), (BROKEN, Verdict.FAIL), (PEEKING, Verdict.FAIL),
     (SKIPPING, Verdict.FAIL)],
    ids=["good", "wrong", "peeking", "deselecting"],
)  # fmt: skip
def test_checks_outside_the_repository_decide_and_stay_unseen(
    judge, equipment, git_repository, kept, change, verdict
) -> None:
    rules = policy(f"holdout: ['{kept}']\n")
    change = {name: text.replace("PLACE", str(kept)) for name, text in change.items()}
    repository = git_repository({**SHOP, **rules}, [change])
    report = judge(repository, base="HEAD~1", gates=("holdout",))
    seen = gate(report, "holdout")
    assert seen.verdict is verdict, seen.summary
    told = report.model_dump_json() + (equipment.shelf.read(seen.log).decode() if seen.log else "")
    assert "42" not in seen.summary
    assert "test_of_the_customer" not in told
    assert "price(21)" not in told


def test_checks_that_are_not_there_or_not_outside_pass_nothing(
    judge, git_repository, tmp_path
) -> None:
    gone = policy(f"holdout: ['{tmp_path / 'gone'}']\n")
    repository = git_repository({**SHOP, **gone}, [MENDED])
    report = judge(repository, base="HEAD~1", gates=("holdout",))
    assert gate(report, "holdout").verdict is Verdict.ERROR
    assert report.outcome is Outcome.PERSON
    wide = policy(f"holdout: ['{tmp_path}']\n")
    repository = git_repository({**SHOP, **wide}, [MENDED], name="wide")
    report = judge(repository, base="HEAD~1", gates=("holdout",))
    assert "holds more than checks" in gate(report, "holdout").summary
    seen = git_repository(
        {**SHOP, **policy(f"holdout: ['{repository.parent / 'seen' / 'x'}']\n")}, [MENDED],
        name="seen",
    )  # fmt: skip
    with pytest.raises(ConfigurationError, match="inside the repository"):
        judge(seen, base="HEAD~1", gates=("holdout",))
