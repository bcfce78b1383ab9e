"""Gate ``pylint``: where the base configures pylint, and what its tests need brings it."""

from __future__ import annotations

from dataclasses import replace

from shipway.contracts.evidence import GateEvidence
from shipway.domain.gates import Verdict
from shipway.gates import static
from shipway.gates.bench import Bench
from shipway.gates.changes import Change
from shipway.gates.comparison import Comparison, Side
from shipway.gates.gate import Rule
from shipway.gates.look import Record, evidence


def _select(comparison: Comparison) -> tuple[bool, str]:
    if not comparison.base.bench.project.has_pylint:
        return False, "the project does not configure pylint"
    count = len(_changed(comparison))
    if not count:
        return False, "the project configures pylint, and no Python file changed"
    return True, f"the project configures pylint; {count} Python files changed"


def _changed(comparison: Comparison) -> list[Change]:
    return [
        one
        for one in comparison.changes
        if not one.is_gone and one.kind != "type" and one.path.endswith(".py")
    ]


def _judge(comparison: Comparison) -> GateEvidence:
    """Both sides in the head's environment: what it installs is not what is compared."""
    changed = _changed(comparison)
    candidate = comparison.candidate(comparison.head).candidate
    if candidate is not None and not candidate.bin("pylint").is_file():
        said = "pylint is configured, and not among what the tests need"
        return evidence(comparison.head.bench, Record("pylint", "pylint"), Verdict.NOT_RUN, said)

    def side(one: Side, names: list[str]) -> Bench:
        bench = comparison.apart(one.bench)
        project = replace(bench.project, style_of=tuple(names))
        return replace(bench, project=project, candidate=candidate)

    before = [one.before for one in changed if one.before]
    head = side(comparison.head, [one.path for one in changed])
    base = side(comparison.base, before) if before else None
    return static.judge("pylint", head, base, comparison.renamed(), held_to=False)


RULE = Rule(_select, _judge)
