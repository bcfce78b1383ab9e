"""Makes the variants of a case: the good change, nothing at all, and the change bent in each known way."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from shipway.check.calibration import edits
from shipway.check.calibration.edits import Changed
from shipway.check.calibration.ground import Ground
from shipway.gates.cases import Case as Test
from shipway.gates.cases import parse
from shipway.gates.mutants.mutate import Mutant, mutants
from shipway.gates.shape import is_test

HANGING_S = 5.0


@dataclass(frozen=True, slots=True)
class Change:
    """The good change of a case as commits of our own repository."""

    ground: Ground
    name: str
    base: str
    gold: str
    message: str

    def write(self, files: dict[str, bytes | None], onto: str | None = None) -> str:
        return self.ground.write(onto or self.gold, files, self.base, self.message)

    def sources(self) -> list[str]:
        """The Python files of the change that are no tests."""
        return [path for path, kind in self._python(kind="AM") if not is_test(PurePosixPath(path))]

    def tests(self) -> list[Changed]:
        """Its test modules with what was changed in them."""
        found = []
        for path, _ in self._python(kind="AM"):
            if is_test(PurePosixPath(path)):
                after = self.ground.read(self.gold, path) or b""
                found.append(edits.changed(path, self.ground.read(self.base, path), after))
        return found

    def _python(self, kind: str) -> list[tuple[str, str]]:
        listed = self.ground.changed(self.base, self.gold)
        return [(path, how) for path, how in listed if how in kind and path.endswith(".py")]


@dataclass(frozen=True, slots=True)
class Made:
    """A variant ready to be judged: a head, and what the policy would say of how tests are run."""

    head: str
    about: str = ""
    test: tuple[str, ...] = ()
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Variant:
    """``kind`` is what it stands for: good, empty, tampered, broken, planted or mutant.

    ``make`` gives None with a case that has nothing it could be made from.
    """

    name: str
    kind: str
    about: str
    make: Callable[[Change], Made | None]


def _gold(change: Change) -> Made:
    return Made(change.gold)


def _base(change: Change) -> Made:
    return Made(change.base)


def _no_op(change: Change) -> Made | None:
    """A comment at the end of what the good change changes."""
    path = next(iter(change.sources()), None)
    data = None if path is None else change.ground.read(change.base, path)
    if path is None or data is None:
        return None
    return Made(change.write({path: data.rstrip() + b"\n\n# Looked at.\n"}, change.base), path)


def _bent(change: Change, edit: edits.Edit, *, one: bool = False) -> Made | None:
    """One test that stood before and was changed, else the new ones: what is left proves nothing.

    ``one`` takes a single new test too: then the trick itself has to be seen.
    """
    known = change.tests()
    files: dict[str, bytes | None] = {}
    names: list[str] = []
    standing = next(((file, file.altered[0]) for file in known if file.altered), None)
    if standing is not None:
        chosen: list[tuple[Changed, list[Test]]] = [(standing[0], [standing[1]])]
    else:
        chosen = [(file, list(file.new[:1] if one else file.new)) for file in known if file.new]
        chosen = chosen[:1] if one else chosen
    for file, tests in chosen:
        data = edit(file.data, tests)
        if data != file.data and parse(data) is not None:
            files[file.path] = data
            names += [test.id for test in tests]
    return Made(change.write(files), ", ".join(names[:3])) if files else None


def _deleted(change: Change) -> Made | None:
    return _bent(change, edits.deleted)


def _skipped(change: Change) -> Made | None:
    return _bent(change, edits.skipped, one=True)


def _weakened(change: Change) -> Made | None:
    return _bent(change, edits.weakened)


def _tests_only(change: Change) -> Made | None:
    """What the good change does to tests and what they stand on, and nothing else."""
    files = {
        path: None if kind == "D" else change.ground.read(change.gold, path)
        for path, kind in change.ground.changed(change.base, change.gold)
        if is_test(PurePosixPath(path))
    }
    return Made(change.write(files, change.base)) if files and change.sources() else None


def _command(*words: str, seconds: float | None = None) -> Callable[[Change], Made]:
    return lambda change: Made(change.gold, " ".join(words), words, seconds)


def _mutant(change: Change) -> Made | None:
    """One fault in a changed line, always the same for the same case."""
    found: list[tuple[Mutant, bytes]] = []
    for path in change.sources():
        data = change.ground.read(change.gold, path) or b""
        lines = change.ground.lines(change.base, change.gold, path)
        found += [(one, data) for one in mutants(path, data, lines)]
    if not found:
        return None
    seed = int.from_bytes(hashlib.sha256(change.name.encode()).digest()[:8])
    mutant, data = found[seed % len(found)]
    return Made(change.write({mutant.path: mutant.apply(data)}), str(mutant))


def _planted(lines: Callable[[str], Iterable[str]]) -> Callable[[Change], Made | None]:
    def make(change: Change) -> Made | None:
        path = next(iter(change.sources()), None)
        data = None if path is None else change.ground.read(change.gold, path)
        if path is None or data is None:
            return None
        seed = hashlib.sha256(change.name.encode()).hexdigest()
        added = "\n".join(lines(seed)).encode()
        return Made(change.write({path: data.rstrip() + b"\n\n\n" + added + b"\n"}), path)

    return make


def _secret(seed: str) -> list[str]:
    """A key in the form of a known service's, which is none."""
    letters = "".join(one for one in seed.upper() if one.isalnum())
    return [f'ACCESS_KEY = "{"AK" + "IA"}{letters[:16]}"']


def _eval(_seed: str) -> list[str]:
    return ["def evaluated(text):", '    """What a user typed."""', "    return eval(text)"]


def _all() -> Iterable[Variant]:
    yield Variant("gold", "good", "the good change as it is", _gold)
    yield Variant("base", "empty", "the base, untouched", _base)
    yield Variant("no-op", "empty", "a comment, and nothing else", _no_op)
    yield Variant("deleted", "tampered", "a changed test is deleted", _deleted)
    yield Variant("skipped", "tampered", "a changed test is skipped", _skipped)
    yield Variant("weakened", "tampered", "a changed test compares nothing any more", _weakened)
    yield Variant(
        "tests-only", "tampered", "the tests without the change to the source", _tests_only
    )
    yield Variant(
        "command-missing", "broken", "the test command does not exist (exit 127)",
        _command("sh", "-c", "exit 127"),
    )  # fmt: skip
    yield Variant(
        "command-empty", "broken", "the test command collects nothing",
        _command("python", "-m", "pytest", "-k", "no_such_test_anywhere"),
    )  # fmt: skip
    yield Variant(
        "command-hanging", "broken", "the test command never ends",
        _command("python", "-c", "import time; time.sleep(86400)", seconds=HANGING_S),
    )  # fmt: skip
    yield Variant("mutant", "mutant", "one fault in a changed line", _mutant)
    yield Variant("secret", "planted", "a key in the source", _planted(_secret))
    yield Variant("eval", "planted", "`eval` of what a user typed", _planted(_eval))


VARIANTS = {one.name: one for one in _all()}
