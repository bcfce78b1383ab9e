"""Times a whole check against the same tools run by hand, one after the other, in the same minute."""

from __future__ import annotations

import itertools
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from shipway.gates.tools import runner_environment, tool_environment
from shipway.workspace.environments import Environment, Environments
from shipway.workspace.fence import Fence

SHIPWAY = Path(sys.executable).parent / "shipway"
MODULES, TESTS = 30, 20
ASKED, AT_ONCE = 1.3, 1.0
SOURCE = '''"""Numbers of kind {n}."""


def work(value: int) -> int:
    """A little arithmetic, so that tests take some time."""
    total = 0
    for step in range(20_000):
        total += (value * step) % ({n} + 7)
    return total


def double(value: int) -> int:
    return value * {factor}
'''
TEST = """import pytest

from numbers_of import kind_{n}


@pytest.mark.parametrize("value", range({tests}))
def test_work(value):
    assert kind_{n}.work(value) >= 0


def test_double():
    assert kind_{n}.double({given}) == {wanted}
"""
CONFIGURATION = """[project]
name = "numbers-of"
version = "1"
[tool.mypy]
strict = true
files = ["numbers_of"]
[tool.ruff]
[tool.bandit]
"""
CHANGED = ("numbers_of/kind_0.py", "tests/test_kind_0.py")


def run(
    words: Sequence[str | Path], cwd: Path, *, codes: Sequence[int] = (0,),
    env: Mapping[str, str] | None = None,
) -> float:  # fmt: skip
    """Seconds that a command takes; the bench ends where one fails."""
    began = time.monotonic()
    done = subprocess.run(
        [str(word) for word in words], cwd=cwd, env=os.environ | dict(env or {}),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode not in codes:
        sys.exit(f"{words}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}")
    return time.monotonic() - began


def write(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text, encoding="utf-8")


def repository(root: Path) -> None:
    """Thirty modules and 630 tests, then a fix of one module with its test."""
    write(root, "pyproject.toml", CONFIGURATION)
    write(root, "numbers_of/__init__.py", '"""Numbers."""\n')
    for n in range(MODULES):
        wrong = 3 if n == 0 else 2
        write(root, f"numbers_of/kind_{n}.py", SOURCE.format(n=n, factor=wrong))
        write(root, f"tests/test_kind_{n}.py", TEST.format(n=n, tests=TESTS, given=0, wanted=0))
    git(root, "init", "--quiet", "--initial-branch=main")
    commit(root, "chore: numbers")
    write(root, CHANGED[0], SOURCE.format(n=0, factor=2))
    write(root, CHANGED[1], TEST.format(n=0, tests=TESTS, given=2, wanted=4))
    commit(root, "fix: the first kind is doubled")


def git(root: Path, *words: str) -> None:
    who = ["-c", "user.name=bench", "-c", "user.email=bench@example.org"]
    run(["git", *who, *words], root)


def commit(root: Path, message: str) -> None:
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", message)


def by_hand(root: Path, place: Path, tools: Environment, runner: Environment) -> dict[str, float]:
    """What a careful person would run, in plain checkouts without any wall."""
    before, old = place / "before", place / "old"
    for checkout in (before, old):
        git(root, "worktree", "add", "--quiet", "--detach", str(checkout), "HEAD")
    git(before, "checkout", "--quiet", "HEAD~1", "--", CHANGED[0])
    git(old, "checkout", "--quiet", "HEAD~1", "--", CHANGED[1])
    python = runner.python
    plain: list[str | Path] = ["-m", "pytest", "-q", "-p", "no:cacheprovider"]
    path = {"PYTHONPATH": "."}
    mypy: list[str | Path] = [
        tools.bin("mypy"),
        "--python-executable",
        python,
        "--cache-dir",
        place / "mypy",
    ]
    return {
        "ruff": run([tools.bin("ruff"), "check", "--no-cache", "."], root),
        "mypy": run(mypy, root),
        "bandit": run([tools.bin("bandit"), "-q", CHANGED[0]], root),
        "detect-secrets": run([tools.bin("detect-secrets"), "scan", *CHANGED], root),
        "import": run([python, "-c", "import numbers_of"], root),
        "pytest with coverage": run(
            [python, "-m", "coverage", "run", "--branch", f"--data-file={place / 'data'}",
             "--source=numbers_of", *plain], root, env=path,
        ),
        "new test, old source": run([python, *plain, CHANGED[1]], before, codes=(1,), env=path),
        "old test, new source": run([python, *plain, CHANGED[1]], old, env=path),
    }  # fmt: skip


def _computed() -> float:
    """Seconds of processor that everything took that was run and waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="shipway-bench-") as name:
        place = Path(name)
        root = place / "repository"
        repository(root)
        cache = place / "cache"
        state = {"SHIPWAY_HOME": str(place / "home"), "SHIPWAY_CACHE": str(cache)}
        # As an installed program has it: its modules are compiled once, not at each start.
        state |= {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(place / "compiled")}
        words: list[str | Path] = [SHIPWAY, "check", "HEAD", "--base", "HEAD~1"]
        own = [f"--gate={gate}" for gate in (
            "scope", "file-size", "message", "complexity", "dead-code", "build", "lint", "secrets",
            "security", "types", "tests", "proof", "tamper", "coverage",
        )]  # fmt: skip
        first = run([*words, *own], root, env=state)
        environments = Environments(cache, Fence("degraded"), Path(sys.executable))
        tools, runner = tool_environment(environments), runner_environment(environments)
        used = [_computed()]
        hand = by_hand(root, place, tools, runner)
        used.append(_computed())
        again = run([*words, *own, "--again"], root, env=state)
        used.append(_computed())
        known = run([*words, *own], root, env=state)
        used.append(_computed())
    by_tools, by_us, by_memory = (after - before for before, after in itertools.pairwise(used))
    total = sum(hand.values())
    print(
        f"\na check of {MODULES} modules and {MODULES * (TESTS + 1)} tests, all gates but mutants"
    )
    for tool, took in hand.items():
        print(f"  {tool:22} {took:6.1f} s")
    print(f"  by hand, in all        {total:6.1f} s")
    print(f"  shipway check          {again:6.1f} s   {again / total:.2f} x (asked: {ASKED} x)")
    print(f"  of processor, by hand  {by_tools:6.1f} s")
    print(f"  of processor, check    {by_us:6.1f} s   {by_us / by_tools:.2f} x")
    print(f"  nothing changed        {known:6.2f} s   (asked: below {AT_ONCE} s)")
    print(f"  of processor           {by_memory:6.2f} s")
    print(f"  the very first         {first:6.1f} s   with environments to be built")


if __name__ == "__main__":
    main()
