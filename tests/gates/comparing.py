"""Builds comparisons of two small trees, as `shipway check` does, for the gates that judge them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from shipway.contracts.change_plan import ChangePlan
from shipway.domain.policy import Policy
from shipway.domain.states import Claim
from shipway.gates.bench import TESTS, Bench
from shipway.gates.changes import between
from shipway.gates.comparison import Comparison, Side
from shipway.gates.outfit import Outfitter
from shipway.gates.project import survey
from shipway.gates.stack import look
from shipway.gates.tools import tool_environment
from shipway.workspace.environments import Environments
from shipway.workspace.fence import Fence
from shipway.workspace.git import Capture, Hub

SHOP = {
    "shop.py": '''"""Prices."""


def total(price, count):
    if count > 10:
        return price * count * 90 // 100
    return price * count


def name():
    return "shop"
''',
    "tests/test_shop.py": """import shop


def test_total():
    assert shop.total(3, 2) == 6


def test_discount():
    assert shop.total(10, 20) == 180


def test_edge():
    assert shop.total(10, 10) == 100


def test_name():
    assert shop.name() == "shop"
""",
}
FIXED = SHOP["shop.py"].replace("count > 10", "count >= 10")
NEW_EDGE = SHOP["tests/test_shop.py"].replace("(10, 10) == 100", "(10, 10) == 90")
GOLD = {"shop.py": FIXED, "tests/test_shop.py": NEW_EDGE}


class Maker:
    """Compares a base with a head; ``base`` defaults to SHOP, ``change`` lies over it."""

    def __init__(
        self, hub: Hub, fence: Fence, environments: Environments, shelf: object, work: Path,
        commit: Callable[..., Capture],
    ) -> None:  # fmt: skip
        self.hub, self.fence, self.environments = hub, fence, environments
        self.shelf, self.work, self.commit = shelf, work, commit
        self.count = 0

    def __call__(
        self, change: Mapping[str, str | None], *, base: Mapping[str, str] = SHOP,
        claim: Claim = Claim.FIX, policy: Policy | None = None, seconds: float = 60.0,
    ) -> Comparison:  # fmt: skip
        self.count += 1
        work = self.work / str(self.count)
        work.mkdir(parents=True)
        before = self.commit(base)
        after = self.commit(change, on=before) if change else before
        tools = tool_environment(self.environments)
        test = None

        def side(name: str, one: Capture) -> Side:
            nonlocal test
            tree = self.hub.checkout(one.commit, work / name / "tree")
            (work / name / "work").mkdir()
            stack = look(tree.path)
            test = test or stack.test
            plan = ChangePlan(
                name="shop", title="A change", requirement="Change it.", claim=claim,
                base=before.commit, target="main", stack=stack.stack, layout=stack.layout,
                requirements=stack.requirements, test=test,
            )  # fmt: skip
            bench = Bench(
                fence=self.fence, shelf=self.shelf, tools=tools, project=survey(tree.path, plan),
                tree=tree.path, readable=tree.readable, tree_id=one.tree, work=work / name / "work",
                patience=replace(TESTS, seconds=seconds), cancel=threading.Event(),
                say=lambda _line: None,
            )  # fmt: skip
            return Side(name, one.commit, one.tree, stack, bench)

        (work / "gates").mkdir()
        return Comparison(
            hub=self.hub, base=side("base", before), head=side("head", after),
            changes=between(self.hub, before.commit, after.commit), claim=claim, claimed_by="test",
            policy=policy or Policy(), work=work / "gates",
            outfitter=Outfitter(self.environments, lambda _line: None, threading.Event()),
        )  # fmt: skip
