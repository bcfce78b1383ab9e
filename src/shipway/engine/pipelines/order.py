"""Which stage comes before which: dependencies, cycles, and whose results are sure to be there."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping

from shipway.domain.conditions import Both, Condition
from shipway.domain.pipeline import When
from shipway.engine.pipelines.shape import StageDraft
from shipway.specs.placed.faults import Faults, did_you_mean


class Order:
    """The dependencies of a draft's stages, by id; unknown ones are left out."""

    def __init__(self, stages: Iterable[StageDraft]) -> None:
        self.stages: dict[str, StageDraft] = {}
        for stage in stages:
            self.stages.setdefault(stage.id.value, stage)
        self._before = {name: self._reach(name) for name in self.stages}

    def direct(self, name: str) -> list[str]:
        needs = self.stages[name].needs
        return [need.value.stage for need in needs if need.value.stage in self.stages]

    def before(self, name: str) -> frozenset[str]:
        """Every stage that is over when this one starts."""
        return self._before[name]

    def sure(self, name: str) -> set[str]:
        """The stages that have certainly passed when this one starts."""
        own = self.stages[name].when
        passed: set[str] = set()
        for other in self._successes(name):
            stage = self.stages[other]
            if not stage.when or implies(own.value if own else None, stage.when.value):
                passed.add(other)
        return passed

    def cycles(self) -> list[list[str]]:
        """One way round for each knot of stages that wait for each other."""
        knots: list[list[str]] = []
        known: set[str] = set()
        for name in self.stages:
            if name in self._before[name] and name not in known:
                known |= {
                    other
                    for other in self._before[name]
                    if other == name or name in self._before[other]
                }
                knots.append(self._way_round(name))
        return knots

    def _reach(self, name: str) -> frozenset[str]:
        seen: set[str] = set()
        todo = deque(self.direct(name))
        while todo:
            other = todo.popleft()
            if other not in seen:
                seen.add(other)
                todo.extend(self.direct(other))
        return frozenset(seen)

    def _way_round(self, name: str) -> list[str]:
        came_from: dict[str, str] = {}
        todo = deque([name])
        while todo:
            stage = todo.popleft()
            for other in self.direct(stage):
                if other == name:
                    return _back(came_from, stage, name)
                if other not in came_from:
                    came_from[other] = stage
                    todo.append(other)
        raise ValueError(f"{name} is in no cycle")

    def _successes(self, name: str) -> set[str]:
        """Stages that passed, or were not needed, by dependencies on success.

        A dependency on ``completed`` says nothing of that stage, but it started or was judged
        unneeded, so what came before it by success still holds; ``always`` says nothing at all.
        """
        found: set[str] = set()
        seen: set[str] = set()
        todo = [name]
        while todo:
            for need in self.stages[todo.pop()].needs:
                other = need.value.stage
                if other not in self.stages or need.value.on is When.ALWAYS:
                    continue
                if need.value.on is When.SUCCESS:
                    found.add(other)
                if other not in seen:
                    seen.add(other)
                    todo.append(other)
        return found - {name}


def implies(condition: Condition | None, other: Condition) -> bool:
    """Whether ``other`` is the condition itself, or one of the parts that it joins by ``and``."""
    if condition == other:
        return True
    return isinstance(condition, Both) and condition.op == "and" and other in condition.parts


def check(order: Order, stages: Iterable[StageDraft], faults: Faults) -> None:
    """Ids, dependencies, cycles, and stages that can never start."""
    _ids(stages, faults)
    for stage in stages:
        _needs(stage, order.stages, faults)
    in_knots: set[str] = set()
    for way in order.cycles():
        in_knots.update(way)
        _knot(way, order, faults)
    for name, stage in order.stages.items():
        if name in order.before(name):
            continue
        blocked = [other for other in order.before(name) if other in order.before(other)]
        if blocked:
            faults.add(
                stage.id.spot,
                f"`{name}` can never start: it waits for `{min(blocked)}`, which is in a cycle",
                "break the cycle, or drop the dependency",
            )


def _ids(stages: Iterable[StageDraft], faults: Faults) -> None:
    first: dict[str, StageDraft] = {}
    asks: dict[str, int] = {}
    for stage in stages:
        name = stage.id.value
        if name in first:
            faults.add(
                stage.id.spot,
                f"there is a stage `{name}` already",
                f"give this one another id; the first is in line {first[name].id.spot.line}",
            )
        elif name:
            first[name] = stage
        for ask in stage.asks:
            if ask.rule.id and ask.rule.id in asks:
                faults.add(
                    ask.spot,
                    f"there is an ask `{ask.rule.id}` already",
                    f"give this one another id; the first is in line {asks[ask.rule.id]}",
                )
            asks.setdefault(ask.rule.id, ask.spot.line)


def _needs(stage: StageDraft, known: Mapping[str, StageDraft], faults: Faults) -> None:
    named: set[str] = set()
    for need in stage.needs:
        other = need.value.stage
        if other not in known:
            others = [name for name in known if name and name != stage.id.value]
            faults.add(need.spot, f"there is no stage `{other[:60]}`", did_you_mean(other, others))
        if other in named:
            faults.add(need.spot, f"`{other[:60]}` is needed twice", "keep one")
        named.add(other)


def _knot(way: list[str], order: Order, faults: Faults) -> None:
    last = order.stages[way[0]]
    closing = next(need for need in last.needs if need.value.stage == way[1])
    faults.add(
        closing.spot,
        f"these stages wait for each other: {' → '.join(way)}",
        "remove one of these dependencies",
    )


def _back(came_from: Mapping[str, str], last: str, name: str) -> list[str]:
    way = [name]
    while last != name:
        way.append(last)
        last = came_from[last]
    return [name, *reversed(way)]
