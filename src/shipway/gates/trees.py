"""The mixed trees that measure a change: the head's tests on the base's source, and the other way round."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from shipway.gates import conventions
from shipway.gates.bench import Bench
from shipway.gates.changes import Change
from shipway.gates.comparison import Comparison
from shipway.gates.look import Doubt
from shipway.gates.roles import Role, Roles, having, paths, roles
from shipway.gates.scope import outside
from shipway.gates.settings import settings
from shipway.gates.suite import ERROR, FAILED, Suite, chosen_files, covers, head_suite, run_suite

TESTING = (Role.TEST, Role.SUPPORT)
# A test that hangs on one tree only should not hold everything up for as long as a whole suite may.
LEAST_SECONDS, TIMES = 60.0, 5.0


@dataclass(frozen=True, slots=True)
class Parts:
    """A change taken apart: ``tests`` are modules, ``support`` what they stand on.

    ``runner`` is the part of ``configuration`` that says how tests are run.
    """

    roles: Roles
    tests: tuple[Change, ...]
    support: tuple[Change, ...]
    configuration: tuple[Change, ...]
    source: tuple[Change, ...]
    rest: tuple[Change, ...]
    runner: tuple[Change, ...] = ()

    @property
    def testing(self) -> tuple[Change, ...]:
        return (*self.tests, *self.support)

    @property
    def cause(self) -> tuple[Change, ...]:
        """What a fix consists of: its source and data, else whatever else it changed."""
        return self.source or self.configuration or self.rest


def parts(comparison: Comparison) -> Parts:
    """The change by the roles of its files."""

    def take_apart() -> Parts:
        known, changes = roles(comparison), comparison.changes
        tests = having(changes, known, Role.TEST)
        support = tuple(one for one in having(changes, known, Role.SUPPORT) if one not in tests)
        left = [one for one in changes if one not in tests and one not in support]
        configuration = having(left, known, Role.CONFIGURATION)
        trees = comparison.base.bench.tree, comparison.head.bench.tree
        return Parts(
            known,
            tests,
            support,
            configuration,
            having(left, known, Role.SOURCE, Role.OTHER),
            having(left, known, Role.WORDS, Role.POLICY),
            tuple(one for one in configuration if _runs_tests(trees, one, other=known.other)),
        )

    return comparison.once("parts", take_apart)


def _runs_tests(trees: tuple[Path, Path], change: Change, *, other: bool) -> bool:
    """Whether what a configuration file says of running tests is not what it was."""
    base, head = trees
    if other:
        now = None if change.is_gone else change.path
        return conventions.how(base, change.before) != conventions.how(head, now)
    before = settings(base, change.before).get("pytest")
    return before != settings(head, None if change.is_gone else change.path).get("pytest")


def _at(changes: tuple[Change, ...], commit: str) -> Mapping[str, str | None]:
    return dict.fromkeys(paths(changes), commit)


def without_cause(comparison: Comparison) -> str:
    """The head, but the change to the source alone is reverted: its tests lie on the base's source."""
    cause = parts(comparison).cause
    return comparison.once(
        "tree:without-cause",
        lambda: comparison.compose(comparison.head.commit, _at(cause, comparison.base.commit)),
    )


def with_old_tests(comparison: Comparison) -> str:
    """The head's source under the base's tests, with what they stand on and their configuration."""
    known = parts(comparison)
    back = (*known.testing, *known.runner)
    return comparison.once(
        "tree:old-tests",
        lambda: comparison.compose(comparison.head.commit, _at(back, comparison.base.commit)),
    )


def run(
    comparison: Comparison, commit: str, files: tuple[str, ...] | None, *, say: str, bench: Bench,
    only: frozenset[str] | None = None, coverage: bool = False,
) -> Suite:  # fmt: skip
    """A suite on a mixed tree, which may take some times as long as the head's own."""
    usual = head_suite(comparison).seconds
    seconds = min(bench.patience.seconds, max(LEAST_SECONDS, TIMES * usual))
    place = comparison.fresh(bench, commit)
    return run_suite(place, files=files, only=only, seconds=seconds, coverage=coverage, say=say)


def failing_on_base(comparison: Comparison, nodes: frozenset[str]) -> frozenset[str]:
    """Tests, once passed on the base, that fail there too when they are run as the head's were.

    Alone of their files, with coverage and at this moment: tests of time and of depth do.
    """

    def again() -> frozenset[str]:
        suite = run(
            comparison, comparison.base.commit, None, only=nodes, coverage=covers(comparison),
            bench=comparison.candidate(comparison.base), say="failed tests on the base once more",
        )  # fmt: skip
        return nodes & suite.having(FAILED, ERROR) if suite.whole else frozenset()

    return comparison.once(f"failing-on-base:{sorted(nodes)}", again)


def _refuse_outside(comparison: Comparison, files: tuple[str, ...]) -> None:
    """Raises Doubt for changed tests that cannot be run here: nobody knows what they say."""
    left = outside(comparison, files)
    if left:
        more = f" and {len(left) - 1} more" if len(left) > 1 else ""
        raise Doubt(f"the base's policy does not let {left[0]}{more} be run (suite: within)")


def new_tests(comparison: Comparison) -> Suite:
    """The head's changed tests by themselves: those of a suite that runs them under another file."""
    files = tuple(one.path for one in parts(comparison).tests if not one.is_gone)
    return comparison.once(
        "suite:new-tests",
        lambda: run(
            comparison, comparison.head.commit, files,
            bench=comparison.candidate(comparison.head), say="the changed tests by themselves",
        ),
    )  # fmt: skip


def new_tests_without_cause(comparison: Comparison) -> Suite:
    """The head's changed tests where the change to the source is taken back."""
    known = parts(comparison)
    files = tuple(one.path for one in known.tests if not one.is_gone)
    _refuse_outside(comparison, files)
    # Data or fixtures that changed can be anybody's.
    chosen = files if files and not known.support else chosen_files(comparison)
    bench = comparison.candidate(comparison.head)
    return comparison.once(
        "suite:without-cause",
        lambda: run(
            comparison, without_cause(comparison), chosen,
            bench=bench, say="the head's tests without the change to the source",
        ),
    )  # fmt: skip


def old_tests(comparison: Comparison) -> Suite:
    """The base's tests on the head's source: the changed ones, or all when their ground changed."""
    known = parts(comparison)
    files = tuple(one.before for one in known.tests if one.before)
    _refuse_outside(comparison, files)
    chosen = chosen_files(comparison) if known.support or known.runner else files
    bench = comparison.candidate(comparison.head)
    return comparison.once(
        "suite:old-tests",
        lambda: run(
            comparison, with_old_tests(comparison), chosen,
            bench=bench, say="the base's tests on the head's source",
        ),
    )  # fmt: skip
