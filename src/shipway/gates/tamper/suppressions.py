"""Comments that tell a tool to look away, where nothing was there to look away from before."""

from __future__ import annotations

import difflib
import io
import itertools
import re
import tokenize
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from shipway.gates.cases import read
from shipway.gates.comparison import Comparison
from shipway.gates.roles import Role
from shipway.gates.tamper.trick import Level, Trick
from shipway.gates.trees import parts

KINDS = {
    "noqa": re.compile(r"#\s*noqa\b(?P<codes>\s*:\s*[\w, ]+)?", re.IGNORECASE),
    "type: ignore": re.compile(r"#\s*type:\s*ignore\b(?P<codes>\[[^\]]*\])?"),
    "pyright: ignore": re.compile(r"#\s*pyright:\s*ignore\b(?P<codes>\[[^\]]*\])?"),
    "nosec": re.compile(r"#\s*nosec\b(?P<codes>\s*:?\s*B\d+)?"),
    "pragma: no cover": re.compile(r"#\s*pragma:\s*no\s*(?:cover|branch)\b(?P<codes>)"),
    "pylint: disable": re.compile(r"#\s*pylint:\s*disable\b(?P<codes>=[\w,-]+)?"),
    "pragma: allowlist secret": re.compile(r"#\s*pragma:\s*(?:allowlist|whitelist)\s*(?P<codes>secret)"),
}  # fmt: skip
WHOLE = re.compile(
    r"#\s*(ruff:\s*noqa|flake8[:=]\s*noqa|mypy:\s*(ignore-errors|disable-error-code)"
    r"|pylint:\s*skip-file|pyright:\s*(basic|ignore-errors|strict=false))", re.IGNORECASE,
)  # fmt: skip
# Code that a suite on one machine cannot reach is left out by custom.
UNREACHED = re.compile(
    r"TYPE_CHECKING|NotImplementedError|ImportError|ModuleNotFoundError|__name__|version_info"
    r"|sys\.platform|os\.name|abstractmethod|@overload|Protocol|^\s*\.\.\.|assert_never|Unreachable"
    r"|AssertionError|^\s*pass|\bdef __repr__|^\s*(else|except|finally)\b|PYPY|\bwin32\b",
    re.IGNORECASE,
)
SHARP = frozenset({"nosec", "pragma: allowlist secret"})


@dataclass(frozen=True, slots=True)
class Comment:
    """One comment that suppresses; ``code`` is its line without the comment and without spaces."""

    kind: str
    bare: bool
    code: str
    line: int
    text: str
    whole: bool = False


def comments(text: bytes) -> list[Comment]:
    """Every suppression of a Python file; what cannot be read has none."""
    found = []
    try:
        tokens = list(tokenize.tokenize(io.BytesIO(text).readline))
    except (tokenize.TokenError, SyntaxError, ValueError):
        return []
    for token in tokens:
        if token.type != tokenize.COMMENT:
            continue
        code = token.line[: token.start[1]]
        squeezed = re.sub(r"\s+", "", code)
        said = token.string
        if WHOLE.search(said):
            found.append(Comment("whole file", True, "", token.start[0], said, True))
            continue
        for kind, pattern in KINDS.items():
            match = pattern.search(said)
            if match is not None:
                whole = kind == "type: ignore" and not squeezed and token.start[0] <= 3
                bare = not match["codes"]
                found.append(Comment(kind, bare, squeezed, token.start[0], code.strip(), whole))
    return found


class _Lines:
    """The lines of a text without spaces, blank ones and suppressions, each with its neighbours.

    `@property` or `else:` stands in many places: a line is the same with one beside it. ``plain``
    counts, for each kind of suppression, the pairs that have none of it.
    """

    def __init__(self, text: bytes, there: list[Comment]) -> None:
        numbered = enumerate(text.decode("utf-8", "replace").splitlines(), 1)
        bare = [(number, _bare(line)) for number, line in numbered]
        self._lines = [(number, line) for number, line in bare if line]
        self._suppressed = {(each.kind, each.line) for each in there}

    def plain(self, kind: str) -> Counter[tuple[str, str]]:
        """How often each pair of lines stands there without a suppression of this kind."""
        return Counter(
            (one[1], other[1])
            for one, other in itertools.pairwise(self._lines)
            if not {(kind, one[0]), (kind, other[0])} & self._suppressed
        )

    def kept(self, base: _Lines) -> set[int]:
        """The numbers of the lines that a diff against the base does not show as added."""
        texts = [line for _, line in base._lines], [line for _, line in self._lines]
        blocks = difflib.SequenceMatcher(None, *texts, autojunk=False).get_matching_blocks()
        return {
            self._lines[at][0] for one in blocks for at in range(one.b, one.b + one.size)
        }  # fmt: skip

    def around(self, each: Comment) -> set[tuple[str, str]]:
        """The line of a comment with the one before it, and with the one after it."""
        at = next((n for n, (number, _) in enumerate(self._lines) if number == each.line), None)
        if at is None:
            return set()
        # A decorator belongs to what follows it.
        first = at if each.code.startswith("@") else max(at - 1, 0)
        near = self._lines[first : at + 2]
        return {(one[1], other[1]) for one, other in itertools.pairwise(near)}


def _bare(line: str) -> str:
    for pattern in KINDS.values():
        line = pattern.sub("", line)
    return re.sub(r"\s+", "", line)


def suppressions(comparison: Comparison) -> Iterator[Trick]:
    """New suppressions: beside old code they hide something; beside new code most are custom."""
    known = parts(comparison)
    for one in comparison.changes:
        if one.is_gone or not one.path.endswith((".py", ".pyi")):
            continue
        base = read(comparison.base.bench.tree, one.before)
        head = read(comparison.head.bench.tree, one.path)
        old, new = comments(base), comments(head)
        had = Counter((each.kind, each.code) for each in old)
        kinds = Counter(each.kind for each in old)
        kept = Counter(each.kind for each in new)
        if not Counter((each.kind, each.code) for each in new) - had:
            continue
        before, after = _Lines(base, old), _Lines(head, new)
        stayed = after.kept(before)
        # Of several alike those that stood there before are the old ones.
        for each in sorted(new, key=lambda each: each.line not in stayed):
            if had[each.kind, each.code] > 0:
                had[each.kind, each.code] -= 1
                continue
            tested = known.roles.of(one.path) in {Role.TEST, Role.SUPPORT}
            stood = bool(each.code) and _stood(each, before, after, stayed)
            level = _level(
                each, stood=stood, tested=tested, more=kept[each.kind] > kinds[each.kind]
            )
            said = f"`{each.kind}` was added beside {_beside(each, stood=stood)}"
            yield Trick(level, "suppression-added", said, one.path, each.line)


def _stood(each: Comment, before: _Lines, after: _Lines, stayed: set[int]) -> bool:
    """Whether the line of a comment stood there without it, and is no new copy of one that does."""
    was, now = before.plain(each.kind), after.plain(each.kind)
    known = [pair for pair in after.around(each) if was[pair]]
    if any(was[pair] > now[pair] for pair in known):
        return True
    return bool(known) and each.line in stayed


def _beside(each: Comment, *, stood: bool) -> str:
    if each.whole:
        return "nothing: it holds for the whole file"
    return "code that stood there without it" if stood else f"`{each.text[:80]}`"


def _level(each: Comment, *, stood: bool, tested: bool, more: bool) -> Level:
    if each.whole:
        return Level.NOTE if tested else Level.ASK
    if tested or not more:
        # A suppression that moved with its line is no more than there was.
        return Level.NOTE
    if each.kind in SHARP:
        return Level.ASK
    if stood:
        return Level.ASK
    if each.kind == "pragma: no cover" and not UNREACHED.search(each.text):
        return Level.ASK
    return Level.NOTE
