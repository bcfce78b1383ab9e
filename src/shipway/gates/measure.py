"""Runs pytest under branch coverage inside a candidate's environment and keeps its own count.

A script, not a module: it is started as ``python -I measure.py`` by the candidate's Python, so it
imports the standard library, pytest and coverage only. The tree comes first on ``sys.path`` only
after both tools were imported: a ``pytest.py`` in a candidate must not become the judge.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import site
import sys
from pathlib import Path
from typing import Any

OMITTED = [
    "tests/*",
    "*/tests/*",
    "test_*.py",
    "*/test_*.py",
    "conftest.py",
    "setup.py",
    "noxfile.py",
]


class Count:
    """A plug-in that keeps what happened to each test, to be compared with the JUnit report."""

    def __init__(self) -> None:
        self.collected = 0
        self.outcomes: dict[str, set[str]] = {}
        self.broken = 0
        self.passed_over = 0

    def pytest_collection_finish(self, session: Any) -> None:
        self.collected = len(session.items)

    def pytest_collectreport(self, report: Any) -> None:
        self.broken += report.failed
        self.passed_over += report.skipped

    def pytest_runtest_logreport(self, report: Any) -> None:
        seen = self.outcomes.setdefault(report.nodeid, set())
        if report.failed:
            seen.add("failed" if report.when == "call" else "errors")
        elif report.skipped:
            seen.add("skipped")
        elif report.when == "call":
            seen.add("passed")

    def totals(self) -> dict[str, int]:
        """A test that failed and whose tear-down broke counts as both, as in JUnit."""
        each = self.outcomes.values()
        bad = {"failed", "errors"}
        return {
            "collected": max(self.collected, len(self.outcomes)),
            "failed": sum("failed" in seen for seen in each),
            "errors": sum("errors" in seen for seen in each) + self.broken,
            "passed": sum("passed" in seen and not seen & bad for seen in each),
            "skipped": sum(seen == {"skipped"} for seen in each) + self.passed_over,
        }


def start_coverage(reports: Path, sources: list[str]) -> Any:
    """Branch coverage as the project configures it; without a word from it, of its own sources."""
    import coverage

    cover = coverage.Coverage(data_file=str(reports / "coverage.data"), branch=True)
    cover.set_option("run:parallel", False)
    if not any(cover.get_option(f"run:{name}") for name in ("source", "source_pkgs", "include")):
        cover.set_option("run:source", sources)
        if not cover.get_option("run:omit"):
            cover.set_option("run:omit", OMITTED)
    cover.start()
    return cover


def options(reports: Path) -> list[str]:
    """What we add to the project's own options; its configuration stays in force otherwise."""
    added = [
        "-p",
        "no:cacheprovider",
        "--color=no",
        f"--junitxml={reports / 'junit.xml'}",
        "-o",
        "junit_family=xunit1",
    ]
    # Two tracers in one process take each other's data.
    return [*added, "--no-cov"] if importlib.util.find_spec("pytest_cov") else added


def report(cover: Any, reports: Path) -> None:
    """The coverage report; a run without any code of the candidate has none, and says so."""
    import coverage

    cover.stop()
    try:
        cover.json_report(outfile=str(reports / "coverage.json"))
    except coverage.exceptions.NoDataError:
        sys.stderr.write("no code of the candidate was run under coverage\n")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--reports", type=Path, required=True)
    parser.add_argument("--source", action="append", default=[])
    parser.add_argument("--path", action="append", default=[])
    parser.add_argument("--overlay")
    parser.add_argument("arguments", nargs="*")
    asked = parser.parse_args()
    if asked.overlay:
        site.addsitedir(asked.overlay)

    import coverage
    import pytest

    sys.path[:0] = asked.path
    # Processes that the tests start find the candidate too.
    os.environ["PYTHONPATH"] = os.pathsep.join(asked.path)
    count = Count()
    cover = start_coverage(asked.reports, asked.source)
    try:
        code = int(pytest.main([*options(asked.reports), *asked.arguments], plugins=[count]))
    finally:
        report(cover, asked.reports)
    seen = {
        **count.totals(),
        "exit": code,
        "tools": {"pytest": pytest.__version__, "coverage": coverage.__version__},
        "fail_under": cover.get_option("report:fail_under"),
    }
    (asked.reports / "count.json").write_text(json.dumps(seen), encoding="utf-8")
    return code


if __name__ == "__main__":
    sys.exit(main())
