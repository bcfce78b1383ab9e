"""How a candidate's own tests are started: its words for pytest, and where pytest comes from."""

from __future__ import annotations

from pathlib import Path

from shipway.errors import Category
from shipway.gates.look import Doubt
from shipway.gates.shape import is_test
from shipway.workspace.environments import Environment

RUNNERS = frozenset({"pytest", "py.test"})
VALUED = frozenset({
    "--ignore", "--ignore-glob", "--deselect", "--rootdir", "--confcutdir", "--basetemp", "--cov",
    "--cov-config", "--cov-report", "--junitxml", "--junit-xml", "--log-file", "--doctest-glob", "-c",
})  # fmt: skip


def arguments(test: tuple[str, ...] | None) -> list[str]:
    """What the project's own test command hands to pytest, or what unittest's would be there."""
    words = list(test or ())
    for at, word in enumerate(words):
        if Path(word).name in RUNNERS:
            return _joined(words[at + 1 :])
        if word == "unittest":
            return _from_unittest(words[at + 1 :])
    return []


def _joined(words: list[str]) -> list[str]:
    """With the values of options joined to them: a path that is one is no place to look for tests."""
    found: list[str] = []
    for word in words:
        before = found[-1] if found else ""
        if before in VALUED and not word.startswith("-"):
            found[-1] = f"{before}={word}" if before.startswith("--") else before + word
        else:
            found.append(word)
    return found


def is_own(test: tuple[str, ...] | None) -> bool:
    """Whether the command is neither pytest nor unittest: then it is run as it is."""
    return bool(test) and not any(
        word == "unittest" or Path(word).name in RUNNERS for word in test or ()
    )


def _from_unittest(words: list[str]) -> list[str]:
    """unittest finds ``test*.py``; -s and -p of its discovery say otherwise."""
    pattern, places = "test*.py", []
    given = iter(words)
    for word in given:
        if word in {"-p", "--pattern"}:
            pattern = next(given, pattern)
        elif word in {"-s", "--start-directory"}:
            places.append(next(given, "."))
    return ["-o", f"python_files={pattern}", *places]


def site_packages(environment: Environment) -> Path:
    """Where an environment keeps its packages."""
    found = next(iter(sorted((environment.path / "lib").glob("python*/site-packages"))), None)
    if found is None:
        raise Doubt("the environment has no place for packages", Category.DEPENDENCY)
    return found


def brings_runner(candidate: Environment) -> bool:
    """Whether the candidate's own requirements hold pytest and coverage."""
    place = site_packages(candidate)
    return all((place / name / "__init__.py").is_file() for name in ("pytest", "coverage"))


def provided(tree: Path, layout: str) -> tuple[str, ...]:
    """The packages and modules that the sources of a tree are, as they are imported."""
    root = tree / "src" if layout == "src" else tree
    found = [
        entry.stem
        for entry in sorted(root.iterdir())
        if not entry.is_symlink()
        and not is_test(Path(entry.name))
        and entry.stem.isidentifier()
        and (entry.suffix == ".py" or (entry / "__init__.py").is_file())
    ]
    return tuple(found)
