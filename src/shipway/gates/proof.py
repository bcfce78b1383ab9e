"""Gate ``proof``: a fix or a feature is shown by a test that only passes because of the change."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass

from shipway.contracts.evidence import Finding, GateEvidence, Measurement
from shipway.domain.gates import Verdict
from shipway.domain.states import Claim
from shipway.gates import whole
from shipway.gates.cases import Pairing, pairing, parse, plain, read
from shipway.gates.comparison import Comparison
from shipway.gates.elsewhere import elsewhere
from shipway.gates.gate import Rule
from shipway.gates.look import Doubt, Record, evidence
from shipway.gates.parsers.reading import Reading, short
from shipway.gates.roles import Role
from shipway.gates.suite import Suite, base_suite, describe, head_suite
from shipway.gates.trees import new_tests, new_tests_without_cause, parts, run, without_cause

PROVEN = frozenset({Claim.FIX, Claim.FEATURE})
SHOWN, CONFIRMED = 20, 50


@dataclass(frozen=True, slots=True)
class Proof:
    """``proving`` are red without the change and green with it; ``how`` each of them was red.

    ``python`` is another version than the one that everything else is judged with.
    """

    proving: tuple[str, ...]
    how: dict[str, str]
    ran: int
    decided: Suite
    unsteady: tuple[str, ...] = ()
    python: str | None = None


def select(comparison: Comparison) -> tuple[bool, str]:
    """Whether there is something to prove that tests of this stack can show."""
    if not comparison.changes:
        return False, "nothing changed"
    project = comparison.head.bench.project
    if project.stack != "python" and not project.test:
        return False, "no test command is known"
    if comparison.policy.no_tests and not (comparison.claim in PROVEN and is_inert(comparison)):
        return False, f"the policy says there are no tests: {comparison.policy.no_tests}"
    if comparison.claim in PROVEN:
        return True, f"a {comparison.claim.value} is proven by a test"
    return True, f"for a {comparison.claim.value} it is information"


def is_inert(comparison: Comparison) -> bool:
    """Whether only comments and layout of Python files were changed, and words beside them."""
    known = parts(comparison)
    trees = comparison.base.bench.tree, comparison.head.bench.tree
    python = [one for one in comparison.changes if one.path.endswith(".py")]
    others = [one for one in comparison.changes if one not in python]
    if not python or any(known.roles.of(one.path) is not Role.WORDS for one in others):
        return False
    for one in python:
        before, after = parse(read(trees[0], one.before)), parse(read(trees[1], one.path))
        if one.is_gone or before is None or after is None or ast.dump(before) != ast.dump(after):
            return False
    return True


def judge(comparison: Comparison) -> GateEvidence:
    """Red on the base, green on the head, and red again with the change to the source taken back."""
    bench = comparison.head.bench
    record = Record("proof", "pytest")
    record.inputs["base"] = comparison.base.tree
    known = parts(comparison)
    needed = comparison.claim in PROVEN
    if needed and is_inert(comparison):
        return evidence(
            bench, record, Verdict.FAIL,
            "nothing but comments and layout was changed: there is no change that a test could prove",
            Reading(examined=len(comparison.changes)),
        )  # fmt: skip
    other = bench.project.stack != "python"
    if needed and not known.cause:
        return evidence(
            bench, record, Verdict.FAIL,
            "nothing but tests was changed: there is no change that a test could prove",
            Reading(examined=len(comparison.changes)),
        )  # fmt: skip
    if other:
        return whole.prove(comparison, record, needed=needed)
    head = head_suite(comparison)
    describe(record, head)
    if not head.whole:
        base = base_suite(comparison)
        if not base.whole:
            raise Doubt(f"the tests end on neither side; on the base: {base.why}")
        return evidence(
            bench, record, Verdict.FAIL, f"the head's tests: {head.why}", Reading(examined=head.ran)
        )
    proof = _by_tests(comparison, head) if known.testing else _by_old_failures(comparison, head)
    if needed and not proof.proving and not proof.unsteady and known.source and known.tests:
        proof = _by_another_python(comparison, proof)
    describe(record, proof.decided)
    record.outputs["head"] = head.digest
    record.outputs["without the change"] = proof.decided.digest
    return _decide(comparison, record, proof, needed=needed)


def _decide(
    comparison: Comparison, record: Record, proof: Proof, *, needed: bool
) -> GateEvidence:  # fmt: skip
    reading = Reading(
        examined=proof.ran,
        findings=_findings(proof),
        counts={"proving": len(proof.proving), "run": proof.ran, "unsteady": len(proof.unsteady)},
        measurements=[Measurement(name="proving tests", value=len(proof.proving), unit="tests")],
    )
    claim = comparison.claim.value
    if proof.proving:
        first = proof.proving[0]
        where = f" (Python {proof.python})" if proof.python else ""
        said = f"{_many(len(proof.proving))} only with the change{where}, such as {first}"
        return evidence(comparison.head.bench, record, Verdict.PASS, said, reading)
    if needed:
        _believed(comparison)
    if not needed:
        said = f"no test depends on the change; a {claim} needs none"
        return evidence(comparison.head.bench, record, Verdict.PASS, said, reading)
    where = f"of {proof.ran} tests" if proof.ran else "no test"
    why = "none" if proof.ran else "was run"
    said = f"the {claim} is not proven: {where} {why} fails without the change and passes with it"
    if not proof.ran:
        said = f"the {claim} is not proven: no test belongs to it"
    found = evidence(comparison.head.bench, record, Verdict.FAIL, said, reading)
    if proof.ran and parts(comparison).source and parts(comparison).tests:
        ask = (
            f"the tests that come with the {claim} pass without it too, in this environment: is "
            "what they show new, or does it need another platform or version to fail?"
        )
        return found.model_copy(update={"ask": ask})
    if comparison.claimed_by != "default":
        return found
    ask = (
        "nobody said what this change is, and no test depends on it: if it changes behaviour, it "
        "needs one; if it does not, say so with --claim refactor or a commit type"
    )
    return found.model_copy(update={"ask": ask})


def _believed(comparison: Comparison) -> None:
    """Raises Doubt when the tests that belong to the change could not show anything here."""
    files = [one.path for one in parts(comparison).tests if not one.is_gone]
    if not files:
        return
    head, red = head_suite(comparison), new_tests_without_cause(comparison)
    for file in files:
        why = head.broken.get(file)
        if why is not None and file in red.broken:
            raise Doubt(f"{file} does not load, with the change or without it: {why}")
    states = [
        state for node, state in head.outcomes.items() if node.split("::", maxsplit=1)[0] in files
    ]
    if states and set(states) == {"skipped"}:
        why = next((said for said in head.messages.values() if said), "no reason given")
        raise Doubt(f"every test of the change is skipped here: {why}")


def _many(count: int) -> str:
    return f"{count} tests pass" if count > 1 else "1 test passes"


def _findings(proof: Proof) -> list[Finding]:
    """The proof itself, as notes with the command that shows it."""
    shown = [
        Finding(
            rule="proving-test",
            message=short(f"{node}: without the change {proof.how[node]}"),
            path=node.split("::")[0],
            severity="note",
            reproduce=f"python -m pytest '{node}'",
        )
        for node in proof.proving[:SHOWN]
    ]
    return shown + [
        Finding(
            rule="unsteady-test",
            message=short(f"{node}: failed without the change once and passed the next time"),
            path=node.split("::")[0],
            severity="warning",
            reproduce=f"python -m pytest '{node}'",
        )
        for node in proof.unsteady
    ]


def _by_tests(comparison: Comparison, head: Suite) -> Proof:
    """Tests that the change brings or changes, or whose ground it changes."""
    known = parts(comparison)
    red = new_tests_without_cause(comparison)
    files = {one.path for one in known.tests}
    if files and not any(one.split("::")[0] in files for one in head.outcomes):
        head = new_tests(comparison)
    asked = [one for one in sorted(head.passed) if known.support or one.split("::")[0] in files]
    how = _how(asked, red, _pairs(comparison))
    return _confirmed(comparison, Proof(tuple(how), how, len(asked), red))


def _pairs(comparison: Comparison) -> Pairing:
    known = parts(comparison)
    return pairing(
        comparison.base.bench.tree,
        comparison.head.bench.tree,
        known.testing,
        lambda name: known.roles.of(name) in {Role.TEST, Role.SUPPORT},
    )


def _how(asked: Iterable[str], red: Suite, pairs: Pairing) -> dict[str, str]:
    """How each test that passes on the head is red without the change, if it is."""
    reasons = ((node, _red(node, red, pairs)) for node in asked)
    return {node: reason for node, reason in reasons if reason}


def _by_another_python(comparison: Comparison, proof: Proof) -> Proof:
    """What failed under one version only is shown where it failed, both times it is asked."""
    for one in elsewhere(comparison):
        how = _how(sorted(one.green.passed), one.red, _pairs(comparison))
        failing = frozenset(
            node for node in list(how)[:CONFIRMED] if how[node].startswith("it fails")
        )
        if not failing or len(failing) < min(len(how), CONFIRMED):
            continue
        steady = tuple(sorted(failing - one.again(failing).passed))
        if steady:
            return Proof(steady, how, proof.ran, one.red, python=one.python)
    return proof


def _red(node: str, red: Suite, pairs: Pairing) -> str | None:
    """How a test is red without the change; None when it is not, or only its neighbours' import is."""
    state = red.outcomes.get(node)
    if state in {"failed", "error"}:
        return f"it fails: {red.messages.get(node, state)}"
    if state is not None:
        return None
    if red.hung == node:
        return f"it does not end: {red.why}"
    broken = next((said for place, said in red.broken.items() if _covers(place, node)), None)
    if broken is not None:
        # A test that was there before, word for word, says nothing when its file does not load.
        return f"its file does not load: {broken}" if plain(node) in pairs.fresh else None
    return "it does not exist" if red.whole and plain(node) in pairs.fresh else None


def _covers(place: str, node: str) -> bool:
    """Whether a place that could not be collected, a file or a directory, holds the test."""
    return place in {"", "."} or node == place or node.startswith((f"{place}::", f"{place}/"))


def _confirmed(comparison: Comparison, proof: Proof) -> Proof:
    """The same once more: a test that fails by chance proves nothing."""
    failing = [one for one in proof.proving if proof.how[one].startswith("it fails")]
    if not failing or len(failing) < len(proof.proving):
        return proof
    again = run(
        comparison, without_cause(comparison), None,
        bench=comparison.candidate(comparison.head), only=frozenset(failing[:CONFIRMED]),
        say="the proving tests once more",
    )  # fmt: skip
    unsteady = again.passed
    steady = tuple(one for one in proof.proving if one not in unsteady)
    return Proof(steady, proof.how, proof.ran, proof.decided, tuple(sorted(unsteady)))


def _by_old_failures(comparison: Comparison, head: Suite) -> Proof:
    """No test was changed: then one that fails on the base may pass now."""
    base = base_suite(comparison)
    if not base.whole and not base.hung:
        raise Doubt(f"the base's tests: {base.why}")
    how = {
        node: f"it fails: {base.messages.get(node, '')}"
        for node in sorted(head.passed & base.having("failed", "error"))
    }
    return _confirmed(comparison, Proof(tuple(how), how, head.ran, base))


RULE = Rule(select, judge)
