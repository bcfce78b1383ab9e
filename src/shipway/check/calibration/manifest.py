"""Reads a corpus: a list of cases, each a repository with a change that is known to be good."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from shipway.check.calibration.variants import VARIANTS
from shipway.contracts.check import Outcome
from shipway.domain.states import Claim
from shipway.errors import ConfigurationError, NotFoundError
from shipway.specs.placed import reading
from shipway.specs.placed.faults import Faults, Spot, did_you_mean
from shipway.specs.placed.form import Form, each
from shipway.specs.placed.reading import Node, Table

FIELDS = ("version", "cases")
CASE = (
    "id", "repository", "base", "gold", "patch", "claim", "test", "requirements", "seconds",
    "variants", "expect",
)  # fmt: skip
_ID = re.compile(r"^[A-Za-z0-9][\w.@+-]{0,119}$")
_CLAIMS = tuple(one.value for one in Claim)
_EXPECTED = (Outcome.ACCEPTED.value, Outcome.PERSON.value)


@dataclass(frozen=True, slots=True)
class Case:
    """One change known to be good, as a commit (``gold``) or as a patch on ``base``.

    ``test`` and ``requirements`` are what the base's policy would say; ``seconds`` is what one run
    of the tests may take; ``expect`` is what should become of the change as it is.
    """

    id: str
    repository: Path
    base: str
    gold: str | None
    patch: Path | None
    claim: Claim | None = None
    test: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    seconds: float | None = None
    variants: tuple[str, ...] = ()
    expect: Outcome = Outcome.ACCEPTED


@dataclass(frozen=True, slots=True)
class Corpus:
    path: Path
    cases: tuple[Case, ...]


def schema() -> str:
    """The JSON Schema that editors check a corpus with."""
    return (resources.files(__package__) / "corpus.schema.json").read_text("utf-8")


def load(path: Path) -> Corpus:
    """The corpus in a file, or in ``corpus.yaml`` of a directory.

    Raises NotFoundError where there is none, ConfigurationError with everything that is wrong.
    """
    file = path / "corpus.yaml" if path.is_dir() else path
    if not file.is_file():
        raise NotFoundError(
            f"there is no corpus at {path}", hint="name a manifest; docs/CALIBRATION.md shows one"
        )
    faults = Faults(file.name, "corpus")
    found = _read(file, faults)
    if faults:
        listed = faults.listed()
        count = f"{len(listed)} fault{'s' if len(listed) != 1 else ''}"
        raise ConfigurationError(
            "\n".join([f"the corpus cannot be used: {count}", *map(str, listed)]),
            hint="docs/CALIBRATION.md says what each field means",
        )
    return Corpus(file.resolve(), tuple(found))


def chosen(corpus: Corpus, names: Collection[str]) -> tuple[Case, ...]:
    """The cases with these ids, all without any; raises NotFoundError for an unknown one."""
    known = {one.id for one in corpus.cases}
    for name in names:
        if name not in known:
            raise NotFoundError(f"the corpus has no case {name}", hint=did_you_mean(name, known))
    return tuple(one for one in corpus.cases if not names or one.id in names)


def _read(file: Path, faults: Faults) -> list[Case]:
    start = "start with `version: 1` and `cases:`"
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        faults.add(Spot(1, 1), "the file cannot be read as UTF-8 text", "save it as UTF-8")
        return []
    root = reading.read(text, faults, start)
    if not isinstance(root, Table):
        if root is not None:
            faults.add(root.spot, "a corpus is a table of fields", start)
        return []
    form = Form(root, FIELDS, "a corpus", faults)
    form.required("version", start)
    form.whole("version", 1, 1, 1)
    seen: set[str] = set()

    def one(node: Node) -> Case | None:
        if not isinstance(node, Table):
            form.wrong("cases", node, "a list of tables", "begin each with `- `")
            return None
        case = _case(Form(node, CASE, "a case", faults), file.parent, faults)
        if case is not None and case.id in seen:
            faults.add(node.spot, f"two cases are called `{case.id}`", "give each its own id")
        seen.add(case.id if case else "")
        return case

    form.required("cases", start)
    return each(form.items("cases", "write a list; each entry begins with `- `"), one)


def _case(form: Form, place: Path, faults: Faults) -> Case | None:
    name = form.text("id", "name it, so that reports can")
    repository = form.text("repository", "name its directory, from where the corpus lies")
    base = form.text("base", "name the commit before the change")
    gold = form.text("gold", "name the commit with the change", needed=False)
    patch = form.text("patch", "name a file with the change", needed=False)
    claim = form.word("claim", _CLAIMS, "")
    expect = form.word("expect", _EXPECTED, Outcome.ACCEPTED.value)
    variants = form.words("variants", "write a list: `[gold, deleted]`")
    for one in variants:
        if one.value not in VARIANTS:
            faults.add(
                one.spot, f"there is no variant `{one.value[:60]}`",
                did_you_mean(one.value, VARIANTS),
            )  # fmt: skip
    if (gold is None) == (patch is None):
        faults.add(form.spot, "a case has either `gold` or `patch`", "keep one of them")
    if name is not None and not _ID.match(name.value):
        faults.add(name.spot, "`id` cannot be used", "use letters, digits and `._@+-`")
        return None
    if name is None or repository is None or base is None:
        return None
    return Case(
        id=name.value,
        repository=(place / repository.value).resolve(),
        base=base.value,
        gold=gold.value if gold else None,
        patch=(place / patch.value).resolve() if patch else None,
        claim=Claim(claim) if claim else None,
        test=tuple(one.value for one in form.words("test", "write the command as a list")),
        requirements=tuple(
            one.value for one in form.words("requirements", "write a list of files")
        ),
        seconds=form.duration("seconds", 1.0, 86400.0, 0.0).value or None,
        variants=tuple(one.value for one in variants),
        expect=Outcome(expect),
    )
