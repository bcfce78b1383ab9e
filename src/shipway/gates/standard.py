"""The gates of the validate stage as gates of `shipway check`: style, types, tests, weaknesses, secrets."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import PurePosixPath

from shipway.contracts.evidence import Finding, GateEvidence
from shipway.domain.gates import Verdict
from shipway.errors import CommandError
from shipway.gates import selection, static
from shipway.gates.bench import Bench
from shipway.gates.cases import read
from shipway.gates.changes import Change
from shipway.gates.comparison import Comparison
from shipway.gates.gate import Rule
from shipway.gates.shape import is_test
from shipway.gates.tools import checker_environment
from shipway.workspace.environments import Environment

_CHANCE = frozenset({"base64-high-entropy-string", "hex-high-entropy-string"})
_GUESSES = _CHANCE | {"secret-keyword", "basic-auth-credentials"}
_ADDRESS = re.compile(r"://[^\s:/@]*:([^\s/@]+)@")
_PLACE = re.compile(r"(?i)password|passwd|pass|pwd|pw|secret|x+|\*+|\.+|<[^>]*>|\$?\{[^}]*\}|\$\w+")
_PROSE = frozenset({".md", ".rst", ".txt", ".adoc"})
_BESIDE = frozenset({"docs", "doc", "examples", "example", "fixtures"})
# Syntax, comparisons that cannot be meant, broken statements, names that are not there.
_FAULTS = ("E9", "F63", "F7", "F82", "invalid-syntax")


def _rule(gate: str) -> Callable[[Comparison], tuple[bool, str]]:
    def select(comparison: Comparison) -> tuple[bool, str]:
        chosen = comparison.once(
            "standard selection",
            lambda: selection.select(comparison.head.bench.project, comparison.base.bench.project),
        )
        found = next(one for one in chosen if one.gate == gate)
        return found.selected, found.reason

    return select


def _select_types(comparison: Comparison) -> tuple[bool, str]:
    """The checker that is configured: mypy, else pyright; without any, mypy on what changed."""
    selected, reason = _rule("types")(comparison)
    if selected or comparison.head.bench.project.stack != "python":
        return selected, reason
    if _uses_pyright(comparison):
        return True, "the project configures pyright"
    count = len(looked_at("types", comparison))
    if not count:
        return False, "no type checker is configured, and no source that one would look at changed"
    return True, f"no type checker is configured: mypy looks at {count} changed files, and informs"


def _types_inform(comparison: Comparison) -> bool:
    """Nobody holds a project to a checker that it does not use."""
    return not _rule("types")(comparison)[0] and not _uses_pyright(comparison)


def _uses_pyright(comparison: Comparison) -> bool:
    """Where the base configures one of the two, the head does not choose."""
    both = [comparison.base.bench.project, comparison.head.bench.project]
    return not any(one.has_mypy for one in both) and any(one.has_pyright for one in both)


def _select_changed(gate: str) -> Callable[[Comparison], tuple[bool, str]]:
    """For tools that look at each file by itself: only changed files can hold anything new."""

    def select(comparison: Comparison) -> tuple[bool, str]:
        selected, reason = _rule(gate)(comparison)
        count = len(looked_at(gate, comparison))
        if selected and not count:
            return False, "no file changed that it looks at"
        return selected, f"{reason}; {count} changed" if selected else reason

    return select


def looked_at(gate: str, comparison: Comparison) -> list[Change]:
    """The changed files that a tool which looks at each by itself has to see."""
    sources = set(comparison.head.bench.project.sources)
    return [
        one
        for one in comparison.changes
        if not one.is_gone
        and (gate == "secrets" or one.path in sources)
        and (comparison.head.bench.tree / one.path).is_file()
        and not (comparison.head.bench.tree / one.path).is_symlink()
    ]


def _guessed(finding: Finding) -> bool:
    """A secret that is only guessed, where made-up ones are the rule: in tests and prose."""
    place = PurePosixPath(finding.path or "")
    beside = is_test(place) or place.suffix in _PROSE or bool(_BESIDE & set(place.parts))
    return beside and finding.rule in _GUESSES


def _stands_for_one(finding: Finding, text: bytes) -> bool:
    """An address that shows where a password goes, with a word in its place."""
    lines = text.decode("utf-8", "replace").splitlines()
    at = finding.line or 0
    if finding.rule != "basic-auth-credentials" or not 0 < at <= len(lines):
        return False
    found = _ADDRESS.findall(lines[at - 1])
    return bool(found) and all(_PLACE.fullmatch(one) for one in found)


def _style(finding: Finding) -> bool:
    """What ruff says of style; what it says of names and syntax is a fault in any project."""
    return not finding.rule.startswith(_FAULTS)


def soften(seen: GateEvidence, harmless: Callable[[Finding], bool], why: str) -> GateEvidence:
    """Findings that would refuse good changes become warnings, and stay in the evidence."""
    if seen.verdict is not Verdict.FAIL:
        return seen
    found = [
        one.model_copy(update={"severity": "warning"}) if harmless(one) else one
        for one in seen.findings
    ]
    if any(one.severity == "error" for one in found):
        return seen.model_copy(update={"findings": found})
    said = f"{seen.examined} files, {len(found)} findings that only inform: {why}"
    return seen.model_copy(update={"verdict": Verdict.PASS, "summary": said, "findings": found})


def _secrets(comparison: Comparison) -> GateEvidence:
    """A guess in a test informs; a guess by chance alone is asked about; all else is a secret."""
    tree = comparison.head.bench.tree

    def harmless(finding: Finding) -> bool:
        return _guessed(finding) or _stands_for_one(finding, read(tree, finding.path))

    seen = soften(_judge_changed("secrets")(comparison), harmless, "guesses in tests and prose")
    bad = [one for one in seen.findings if one.severity == "error"]
    if seen.verdict is Verdict.FAIL and bad and all(one.rule in _CHANCE for one in bad):
        ask = f"{bad[0].path}:{bad[0].line} looks like chance: is it a key, or a harmless constant?"
        return seen.model_copy(update={"ask": ask})
    return seen


def _security(comparison: Comparison) -> GateEvidence:
    """A project that does not use bandit is asked about what it finds."""
    seen = _judge_changed("security")(comparison)
    used = comparison.base.bench.project.has_bandit or comparison.head.bench.project.has_bandit
    bad = [one for one in seen.findings if one.severity == "error"]
    if seen.verdict is not Verdict.FAIL or not bad or used:
        return seen
    first = bad[0]
    ask = f"{first.path}:{first.line} {first.rule} {first.message}: is it safe where it stands?"
    return seen.model_copy(update={"ask": ask})


def _judge_changed(gate: str) -> Callable[[Comparison], GateEvidence]:
    def judge(comparison: Comparison) -> GateEvidence:
        found = looked_at(gate, comparison)
        head = comparison.only(comparison.head, {one.path: one.path for one in found})
        before = {one.path: one.before for one in found if one.before}
        # A file that was renamed lies on both sides under its new name.
        base = comparison.only(comparison.base, before) if before else None
        return static.judge(gate, head, base)

    return judge


def _lint(comparison: Comparison) -> GateEvidence:
    head, base = comparison.head.bench, comparison.base.bench
    if _uses_flake8(comparison):
        seen = _by_flake8(comparison)
        if seen.verdict is not Verdict.ERROR:
            return _untouched_informs(comparison, seen)
    seen = static.judge("lint", head, base, comparison.renamed(), held_to=False)
    if seen.verdict is Verdict.ERROR and _unusable(comparison):
        return _lint_by_default(comparison)
    seen = _of_its_day(comparison, seen, "ruff", (head, base))
    seen = _untouched_informs(comparison, seen)
    if head.project.has_ruff or base.project.has_ruff:
        return seen
    return soften(seen, _style, "the project does not use ruff")


def _untouched_informs(comparison: Comparison, seen: GateEvidence) -> GateEvidence:
    """Style is looked at file by file: elsewhere only its configuration can be what changed."""
    touched = {one.path for one in comparison.changes}
    return soften(seen, lambda one: one.path not in touched, "in files that were not touched")


def _of_its_day(
    comparison: Comparison, seen: GateEvidence, tool: str, sides: tuple[Bench, Bench]
) -> GateEvidence:
    """What a tool finds in an old project that the same tool did not find in its day only informs."""
    if seen.verdict is not Verdict.FAIL or comparison.day is None:
        return seen
    path = comparison.base.bench.work / f"{tool}.txt"
    path.write_text(f"{tool}\n", encoding="utf-8")
    try:
        tools = comparison.environments.build(
            [path], before=comparison.day, say=comparison.say, cancel=comparison.cancel
        )
    except CommandError:  # it was not there yet: the one that is here decides
        return seen
    head, base = (replace(comparison.apart(one), tools=tools) for one in sides)
    then = static.judge(seen.gate, head, base, comparison.renamed(), held_to=False)
    if then.verdict is not Verdict.PASS:
        return seen
    why = f"{tool} {then.tool_version} of {comparison.day} does not find them"
    return soften(seen, lambda _one: True, why)


def _uses_flake8(comparison: Comparison) -> bool:
    both = [comparison.base.bench.project, comparison.head.bench.project]
    return not any(one.has_ruff for one in both) and any(one.has_flake8 for one in both)


def _by_flake8(comparison: Comparison) -> GateEvidence:
    """By the project's own flake8 and its plug-ins, which are in the environment of its tests."""
    own = comparison.prepared(comparison.head).candidate
    checker = None
    if own is None or not own.bin("flake8").is_file():
        checker = _checker(comparison, "flake8")
    head, base = (
        replace(
            comparison.apart(side.bench),
            project=replace(side.bench.project, by_flake8=True),
            candidate=own,
            checker=checker,
        )
        for side in (comparison.head, comparison.base)
    )
    return static.judge("lint", head, base, comparison.renamed(), held_to=False)


def _checker(comparison: Comparison, name: str) -> Environment:
    """A pinned tool that only some projects need, built when the first does."""
    return comparison.once(
        f"checker:{name}",
        lambda: checker_environment(
            comparison.environments.ours, name, say=comparison.say, cancel=comparison.cancel
        ),
    )


def _unusable(comparison: Comparison) -> bool:
    """Whether the base's own configuration is one that this ruff does not read."""
    base = comparison.apart(comparison.base.bench)
    return static.judge("lint", base, None).verdict is Verdict.ERROR


def _lint_by_default(comparison: Comparison) -> GateEvidence:
    """A configuration written for another ruff says nothing here; broken syntax and names still do."""
    head, base = (
        replace(bench, project=replace(bench.project, ruff_isolated=True))
        for bench in (
            comparison.apart(comparison.head.bench), comparison.apart(comparison.base.bench),
        )
    )  # fmt: skip
    seen = static.judge("lint", head, base, comparison.renamed(), held_to=False)
    why = "the project's configuration is for another ruff"
    seen = soften(seen, _style, why)
    return seen.model_copy(update={"summary": f"{seen.summary} ({why})"})


def _types(comparison: Comparison) -> GateEvidence:
    """Both sides in the head's environment: what it installs is not what is compared."""
    if _uses_pyright(comparison):
        return _by_pyright(comparison)
    if _types_inform(comparison):
        return _alone(comparison)
    head = comparison.prepared(comparison.head)
    base = replace(comparison.base.bench, candidate=head.candidate, unbuilt=head.unbuilt)
    seen = static.judge(
        "types", comparison.apart(head), base, comparison.renamed(), held_to=False
    )  # fmt: skip
    if comparison.day is not None and seen.counts.get("known"):
        # What it was checked with in its day, stubs and all, is not what is here.
        seen = soften(seen, lambda _one: True, "the checker does not accept this old base either")
    seen = _of_its_day(comparison, seen, "mypy", (head, base))
    # Whether a comment is needed is another version's to say; it breaks nothing.
    seen = soften(
        seen, lambda one: one.rule == "unused-ignore", "comments that are not needed here"
    )
    if seen.verdict is not Verdict.ERROR or head.candidate is None:
        return seen
    again = static.judge("types", comparison.apart(base), None)
    return _types_alone(comparison, seen) if again.verdict is Verdict.ERROR else seen


def _by_pyright(comparison: Comparison) -> GateEvidence:
    """The same by pyright, in checkouts of its own, since it may be told how strict it is."""
    prepared = comparison.prepared(comparison.head)
    checker = _checker(comparison, "pyright")
    head, base = (
        replace(
            comparison.fresh(side.bench, side.commit),
            project=replace(side.bench.project, has_pyright=True),
            candidate=prepared.candidate,
            unbuilt=prepared.unbuilt,
            checker=checker,
        )
        for side in (comparison.head, comparison.base)
    )
    return static.judge("types", head, base, comparison.renamed(), held_to=False)


def _types_alone(comparison: Comparison, seen: GateEvidence) -> GateEvidence:
    """Where mypy cannot judge the base either: the changed files by themselves, by its defaults."""
    if not any(one.before for one in looked_at("types", comparison)):
        return seen
    found = _alone(comparison)
    said = f"{found.summary} (changed files alone: {seen.summary})"
    return found.model_copy(update={"summary": said})


def _alone(comparison: Comparison) -> GateEvidence:
    """The changed files, without the project's configuration and with all else taken on trust."""
    changed = looked_at("types", comparison)
    candidate = comparison.prepared(comparison.head)

    def side(bench: Bench, names: list[str]) -> Bench:
        return replace(
            comparison.apart(bench),
            project=replace(bench.project, types_of=tuple(names)),
            candidate=candidate.candidate,
            unbuilt=candidate.unbuilt,
        )

    before = [one.before for one in changed if one.before]
    head = side(comparison.head.bench, [one.path for one in changed])
    base = side(comparison.base.bench, before) if before else None
    return static.judge("types", head, base, comparison.renamed(), held_to=False)


LINT = Rule(_rule("lint"), _lint)
SECRETS = Rule(_select_changed("secrets"), _secrets)
SECURITY = Rule(_select_changed("security"), _security)
TYPES = Rule(_select_types, _types, _types_inform)
