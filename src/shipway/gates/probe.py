"""Runs a suite with pytest and says what became of each test, sealed with a key that came by stdin.

A script, not a module: it is started as ``python -I probe.py`` by the candidate's Python, so it
imports the standard library, pytest and coverage only, and takes what it needs of them before any
code of the candidate runs. Each line of its report is sealed; a run that is ended before its time,
or a report that somebody else writes, lacks the last line.
"""

from __future__ import annotations

import hashlib
import hmac
import importlib.util
import json
import os
import site
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

MESSAGE = 300
# Last what coverage cannot write down: names that are no UTF-8.
OMITTED = [
    "tests/*", "*/tests/*", "test_*.py", "*/test_*.py", "conftest.py", "setup.py",
    "*[\udc80-\udcff]*",
]  # fmt: skip


def writer(path: str, key: bytes) -> Callable[..., None]:
    """What writes sealed lines. All of it is bound here, before anything can be patched."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
    write, encode, new, sha256, owner = os.write, json.dumps, hmac.new, hashlib.sha256, os.getpid()
    getpid = os.getpid
    count = 0

    def tell(kind: str, **facts: Any) -> None:
        nonlocal count
        if getpid() != owner:  # a test that forked and came back here
            return
        count += 1
        text = encode({"n": count, "kind": kind, **facts})
        seal = new(key, text.encode(), sha256).hexdigest()
        write(handle, f"{seal} {text}\n".encode())

    return tell


class Recorder:
    """A plug-in that tells, for each test, what its call did and what was reported of it.

    Registered first, its wrappers are the innermost: what a ``conftest.py`` makes of an outcome
    comes after, and shows as a difference between the two.
    """

    def __init__(self, tell: Callable[..., None], only: set[str] | None, pytest: Any) -> None:
        self.tell = tell
        self.only = only
        self.skips: tuple[Any, ...] = (pytest.skip.Exception,)
        unittest = sys.modules.get("unittest")
        if unittest is not None:
            self.skips += (unittest.SkipTest,)
        self.raw: dict[str, str] = {}

    def pytest_collection_modifyitems(self, session: Any, config: Any, items: list[Any]) -> Any:
        before = [one.nodeid for one in items]
        yield
        if self.only is not None:
            dropped = [one for one in items if one.nodeid not in self.only]
            items[:] = [one for one in items if one.nodeid in self.only]
            before = [one for one in before if one in self.only]
            if dropped:
                config.hook.pytest_deselected(items=dropped)
        after = [one.nodeid for one in items]
        self.tell("collected", before=before, after=after)

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed or report.skipped:
            kind = "broken" if report.failed else "passed-over"
            self.tell(kind, node=report.nodeid, message=_last(report.longrepr))

    def pytest_runtest_logstart(self, nodeid: str, location: Any) -> None:
        # pytest counts lines from 0; a person's editor does not.
        line = location[1]
        self.tell("start", node=nodeid, line=line + 1 if isinstance(line, int) else None)

    def pytest_runtest_call(self, item: Any) -> Any:
        outcome = yield
        raised = outcome.excinfo
        if raised is None:
            self.raw[item.nodeid] = "passed"
        else:
            skipped = issubclass(raised[0], self.skips)
            self.raw[item.nodeid] = "skipped" if skipped else "raised"

    def pytest_runtest_makereport(self, item: Any, call: Any) -> Any:
        yield
        # unittest hands its errors over in here.
        if (
            call.when == "call"
            and call.excinfo is not None
            and self.raw.get(item.nodeid) == "passed"
        ):
            skipped = issubclass(call.excinfo.type, self.skips)
            self.raw[item.nodeid] = "skipped" if skipped else "raised"

    def pytest_runtest_logreport(self, report: Any) -> None:
        expected = hasattr(report, "wasxfail")
        if report.when == "call" or report.outcome != "passed":
            self.tell(
                "report",
                node=report.nodeid,
                when=report.when,
                outcome=report.outcome,
                raw=self.raw.get(report.nodeid) if report.when == "call" else None,
                xfail=expected,
                message=_last(report.longrepr) if report.outcome != "passed" else "",
            )


def wrapped(pytest: Any) -> None:
    """Old and new pytest both know this kind of wrapper."""
    for name in (
        "pytest_collection_modifyitems", "pytest_runtest_call", "pytest_runtest_makereport",
    ):  # fmt: skip
        first = name == "pytest_collection_modifyitems"
        mark = pytest.hookimpl(hookwrapper=True, tryfirst=first)
        setattr(Recorder, name, mark(getattr(Recorder, name)))


def kept_inside(tree: str, pytest: Any) -> None:
    """A link that leads out of the tree holds no tests of it, and may lead to all there is."""
    top, is_link, real = f"{os.path.realpath(tree)}{os.sep}", os.path.islink, os.path.realpath

    def leads_out(path: Any) -> bool | None:
        return True if is_link(path) and not real(path).startswith(top) else None

    def now(self: Any, collection_path: Any) -> bool | None:
        return leads_out(collection_path)

    def before(self: Any, path: Any) -> bool | None:
        return leads_out(path)

    new = int(pytest.__version__.split(".", maxsplit=1)[0]) >= 7
    Recorder.pytest_ignore_collect = pytest.hookimpl(tryfirst=True)(now if new else before)  # type: ignore[attr-defined]


def _last(longrepr: Any) -> str:
    """What went wrong, in a line."""
    if isinstance(longrepr, tuple):
        return str(longrepr[-1])[:MESSAGE]
    crash = getattr(longrepr, "reprcrash", None)
    text = str(getattr(crash, "message", None) or longrepr or "")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    said = [line[1:].strip() for line in lines if line.startswith("E ")]
    if crash is not None:
        return lines[0][:MESSAGE] if lines else ""
    return (said or lines or [""])[-1][:MESSAGE]


def options(tree: str, stop: int) -> list[str]:
    """What we add to the project's own options, after them: one process, every test, one order."""
    added = [f"--rootdir={tree}", "-p", "no:cacheprovider", "--color=no", f"--maxfail={stop}", "-q"]
    # A file that does not load is told, and the others say what they have to say.
    added += ["--tb=short", "-o", "junit_family=xunit1", "--continue-on-collection-errors"]
    # A project that makes warnings errors did not mean those of a pytest newer than its own.
    if hasattr(sys.modules["pytest"], "PytestDeprecationWarning"):
        added += ["-W", "ignore::pytest.PytestDeprecationWarning"]
    known = {
        "pytest_cov": ["--no-cov"],
        "xdist": ["-n0"],
        "pytest_randomly": ["-p", "no:randomly"],
        "pytest_random_order": ["-p", "no:random_order"],
    }
    for module, words in known.items():
        if importlib.util.find_spec(module):
            added += words
    return added


def measured(asked: dict[str, Any]) -> Any:
    """Branch coverage as the project configures it; without a word from it, of its own sources.

    A configuration that asks for what is not here is left aside: the tests count.
    """
    if not asked.get("coverage"):
        return None
    import coverage

    data = str(Path(asked["out"]) / "coverage.data")
    try:
        cover = coverage.Coverage(data_file=data, branch=True)
        configure(cover, asked["sources"])
        cover.start()
    except coverage.CoverageException as error:
        sys.stderr.write(f"the project's coverage configuration cannot be used: {error}\n")
        cover = coverage.Coverage(data_file=data, branch=True, config_file=False)
        configure(cover, asked["sources"])
        cover.start()
    return cover


def configure(cover: Any, sources: list[str]) -> None:
    """What coverage looks at, unless the project says so itself."""
    cover.set_option("run:parallel", False)
    if any(option(cover, f"run:{name}") for name in ("source", "source_pkgs", "include")):
        return
    cover.set_option("run:source", sources)
    if not option(cover, "run:omit"):
        cover.set_option("run:omit", OMITTED)


def option(cover: Any, name: str) -> Any:
    """What is configured under a name; None also where this coverage does not know it yet."""
    import coverage

    try:
        return cover.get_option(name)
    except coverage.CoverageException:
        return None


def finish(cover: Any, out: str) -> float | None:
    """Write the report; the least that the project asks for, if it asks for any.

    A source that coverage stumbles over (no UTF-8, no Python) costs the report and not the tests.
    """
    cover.stop()
    try:
        cover.json_report(outfile=str(Path(out) / "coverage.json"))
    except Exception as error:  # noqa: BLE001 - the reader of the report says that there is none
        said = f"no coverage: {type(error).__name__}: {error}\n"
        sys.stderr.write(said.encode("ascii", "replace").decode())
    least = option(cover, "report:fail_under")
    return float(least) if isinstance(least, (int, float)) else None


def hand_over(own: list[str]) -> None:
    """Forget what pytest loaded of the packages that the project itself is, installed beside it.

    pytest keeps what it has; whoever imports such a package from now on gets the candidate's.
    """
    for name, module in list(sys.modules.items()):
        place = getattr(module, "__file__", None) or ""
        if name.split(".", maxsplit=1)[0] in own and "site-packages" in Path(place).parts:
            del sys.modules[name]


def programs(paths: list[str]) -> list[str]:
    """Where the candidate's own programs are, and the Python that they run with."""
    own = [str(one) for path in paths for one in Path(path).glob("*.dist-info/bin")]
    return [*own, str(Path(sys.executable).parent)]


def main() -> NoReturn:
    asked = json.loads(sys.stdin.buffer.read())
    quiet = os.open(os.devnull, os.O_RDONLY)
    os.dup2(quiet, 0)
    os.close(quiet)
    key = bytes.fromhex(asked.pop("key"))
    tell = writer(asked["report"], key)
    del key
    if asked.get("overlay"):
        site.addsitedir(asked["overlay"])
    is_runner = "_pytest" in asked["own"]
    if is_runner:  # pytest itself is tested, and only it can run its own tests
        sys.path[:0] = asked["paths"]
    import pytest

    if asked["coverage"]:
        import coverage  # noqa: F401 - before a file of the candidate's can be called so

    if not is_runner:
        hand_over(asked["own"])
        sys.path[:0] = asked["paths"]
    # Processes that the tests start find the candidate too, and its programs.
    os.environ["PYTHONPATH"] = os.pathsep.join(asked["paths"])
    os.environ["PATH"] = os.pathsep.join([*programs(asked["paths"]), os.environ["PATH"]])
    wrapped(pytest)
    kept_inside(asked["tree"], pytest)
    only = None if asked["only"] is None else set(asked["only"])
    recorder = Recorder(tell, only, pytest)
    cover = measured(asked)
    run, version = pytest.main, pytest.__version__
    leave = os._exit
    code = int(run([*asked["words"], *options(asked["tree"], asked["stop"])], plugins=[recorder]))
    least = None if cover is None else finish(cover, asked["out"])
    tell("end", exit=code, pytest=version, least=least)
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads and exit handlers of the candidate have no say in how this ends.
    leave(code)


if __name__ == "__main__":
    main()
