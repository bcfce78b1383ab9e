"""The tests of a change under another Python: a fault of one version shows in no other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from shipway.errors import ShipwayError
from shipway.gates.comparison import Comparison
from shipway.gates.look import Doubt
from shipway.gates.parsers.reading import UnreadableReportError
from shipway.gates.suite import Suite, run_suite
from shipway.gates.trees import parts, without_cause


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What the change's tests say with and without the change under the Python of ``comparison``."""

    python: str
    comparison: Comparison
    green: Suite
    red: Suite

    def again(self, nodes: frozenset[str]) -> Suite:
        """Tests without the change once more."""
        return _run(self.comparison, without_cause(self.comparison), None, nodes)


def elsewhere(comparison: Comparison) -> Iterator[Elsewhere]:
    """The newest and the oldest other Python of this machine that the base says it runs with.

    Without a word from the base there is none. One whose environment cannot be built, or under
    which nothing ends, has nothing to say.
    """
    files = tuple(one.path for one in parts(comparison).tests if not one.is_gone)
    for version, outfitter in comparison.outfitter.others(comparison.base.bench.tree):
        place = comparison.work / f"python-{version}"
        place.mkdir()
        there = replace(comparison, outfitter=outfitter, work=place, covers=False)
        comparison.say(f"trying Python {version}")
        try:
            green = _run(there, comparison.head.commit, files)
            if green.passed:
                red = _run(there, without_cause(comparison), files)
                yield Elsewhere(version, there, green, red)
        except (Doubt, UnreadableReportError, ShipwayError):
            if comparison.cancel.is_set():
                raise


def _run(
    there: Comparison, commit: str, files: tuple[str, ...] | None,
    only: frozenset[str] | None = None,
) -> Suite:  # fmt: skip
    bench = there.candidate(there.head)
    return run_suite(
        there.fresh(bench, commit), files=files, only=only, say="the tests of the change"
    )
