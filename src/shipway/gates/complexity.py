"""Gates ``complexity`` and ``dead-code``: what the change makes hard to follow, or leaves without use."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from shipway import __version__
from shipway.contracts.evidence import Finding, GateEvidence, Measurement
from shipway.domain.gates import Verdict
from shipway.gates.changes import Change
from shipway.gates.comparison import Comparison
from shipway.gates.gate import Rule
from shipway.gates.look import Record, evidence
from shipway.gates.parsers.reading import Reading
from shipway.gates.project import python_files

Function = ast.FunctionDef | ast.AsyncFunctionDef
LARGEST = 1_000_000
_WORD = re.compile(r"[A-Za-z_]\w*")
_BRANCHES = (
    ast.If, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.IfExp, ast.comprehension,
    ast.Assert, ast.match_case,
)  # fmt: skip


def parsed(path: Path) -> ast.Module | None:
    """A file as syntax; None for what is no Python, which other gates judge."""
    if path.is_symlink() or not path.is_file() or path.stat().st_size > LARGEST:
        return None
    try:
        return ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def functions(tree: ast.Module) -> Iterator[tuple[str, Function]]:
    """Every function with its qualified name."""
    waiting: list[tuple[str, ast.AST]] = [("", tree)]
    while waiting:
        before, node = waiting.pop()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, Function):
                yield f"{before}{child.name}", child
                waiting.append((f"{before}{child.name}.", child))
            elif isinstance(child, ast.ClassDef):
                waiting.append((f"{before}{child.name}.", child))
            else:
                waiting.append((before, child))


def complexity(function: Function) -> int:
    """McCabe's number: one more than the places where the way through it forks."""
    count = 1
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, _BRANCHES):
            count += 1
        elif isinstance(node, ast.BoolOp):
            count += len(node.values) - 1
        if not isinstance(node, Function | ast.ClassDef):
            waiting += ast.iter_child_nodes(node)
    return count


def _python(comparison: Comparison) -> list[Change]:
    return [one for one in comparison.changes if one.path.endswith(".py") and not one.is_gone]


def _select(comparison: Comparison) -> tuple[bool, str]:
    count = len(_python(comparison))
    return bool(count), f"{count} Python files changed" if count else "no Python file changed"


def _record(gate: str) -> Record:
    return Record(gate, "shipway", __version__, reproduce=f"shipway check --gate {gate}")


# -- complexity -------------------------------------------------------------------------------


def _judge_complexity(comparison: Comparison) -> GateEvidence:
    limit = comparison.policy.threshold("complexity")
    examined, worst, found = 0, 0, []
    for change in _python(comparison):
        tree = parsed(comparison.head.bench.tree / change.path)
        before = _known(comparison, change)
        for name, node in functions(tree) if tree else ():
            if not change.added_lines & set(
                range(node.lineno, (node.end_lineno or node.lineno) + 1)
            ):
                continue
            examined += 1
            number = complexity(node)
            worst = max(worst, number)
            if number > limit and number > before.get(name, 0):
                found.append(
                    Finding(
                        rule="complexity", path=change.path, line=node.lineno, severity="warning",
                        message=f"{name} has a complexity of {number}, more than {limit:.0f}",
                    )
                )  # fmt: skip
    reading = Reading(
        max(examined, len(_python(comparison))), found,
        {"functions": examined, "findings": len(found)},
        [Measurement(name="complexity", value=float(worst), unit="paths", threshold=limit)],
    )  # fmt: skip
    verdict = Verdict.FAIL if found else Verdict.PASS
    summary = found[0].message if found else f"{examined} changed functions, at most {worst}"
    return evidence(comparison.head.bench, _record("complexity"), verdict, summary, reading)


def _known(comparison: Comparison, change: Change) -> dict[str, int]:
    if change.before is None:
        return {}
    tree = parsed(comparison.base.bench.tree / change.before)
    return {name: complexity(node) for name, node in functions(tree)} if tree else {}


# -- dead code --------------------------------------------------------------------------------


def _judge_dead(comparison: Comparison) -> GateEvidence:
    """Private names that a changed file defines and nothing uses, though it did on the base."""
    now, before = _words(comparison.head.bench.tree), _words(comparison.base.bench.tree)
    found = []
    for change in _python(comparison):
        tree = parsed(comparison.head.bench.tree / change.path)
        for name, node in functions(tree) if tree else ():
            if not _private(node) or now[node.name] > 1 or before[node.name] == 1:
                continue
            found.append(
                Finding(
                    rule="dead-code", path=change.path, line=node.lineno, severity="warning",
                    message=f"{name} is private, and nothing uses it",
                )
            )  # fmt: skip
    count = len(_python(comparison))
    reading = Reading(count, found, {"files": count, "findings": len(found)})
    verdict = Verdict.FAIL if found else Verdict.PASS
    summary = found[0].message if found else f"{count} files, nothing private without use"
    return evidence(comparison.head.bench, _record("dead-code"), verdict, summary, reading)


def _private(node: Function) -> bool:
    return node.name.startswith("_") and not node.name.endswith("__") and not node.decorator_list


def _words(tree: Path) -> Counter[str]:
    """How often each word stands in the Python files; text counts too, as some are looked up by it."""
    seen: Counter[str] = Counter()
    for path in python_files(tree):
        place = tree / path
        if place.stat().st_size <= LARGEST:
            seen.update(_WORD.findall(place.read_text(encoding="utf-8", errors="replace")))
    return seen


COMPLEXITY = Rule(_select, _judge_complexity)
DEAD_CODE = Rule(_select, _judge_dead)
