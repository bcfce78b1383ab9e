"""Which gates apply to a project: one rule each, decided and recorded before anything runs."""

from __future__ import annotations

from shipway.contracts.evidence import GateSelection
from shipway.gates.project import Project

VALIDATE = ("lint", "types", "tests", "security", "secrets")


def _lint(project: Project) -> tuple[bool, str]:
    if project.stack != "python":
        return False, "no Python project"
    if not project.python_files:
        return False, "no Python file in the tree"
    rules = "its own" if project.has_ruff else "ruff's default"
    return True, f"Python files are checked by {rules} rules"


def _types(project: Project, base: Project | None) -> tuple[bool, str]:
    if project.stack != "python":
        return False, "no Python project"
    if project.made:
        return True, "a scaffolded project is typed throughout"
    if project.has_mypy or (base is not None and base.has_mypy):
        return True, "the project configures mypy"
    return False, "the project does not configure mypy"


def _tests(project: Project) -> tuple[bool, str]:
    if project.stack == "python":
        return True, "every change to a Python project is tested with pytest"
    if project.test:
        return True, "the plan names a test command"
    return True, "nothing is merged untested, and no test command is known"


def _security(project: Project) -> tuple[bool, str]:
    if project.stack != "python":
        return False, "no Python project"
    if not project.sources:
        return False, "no Python file in the tree but tests"
    return True, "Python files are checked for known weaknesses"


def select(project: Project, base: Project | None = None) -> list[GateSelection]:
    """One entry for each gate of the validate stage, selected or not, with the reason."""
    decided = {
        "lint": _lint(project),
        "types": _types(project, base),
        "tests": _tests(project),
        "security": _security(project),
        "secrets": (True, "any tree can hold a secret"),
    }
    return [
        GateSelection(gate=gate, selected=decided[gate][0], reason=decided[gate][1])
        for gate in VALIDATE
    ]


def only_tests(project: Project) -> list[GateSelection]:
    """What is run again on a merged tree."""
    selected, reason = _tests(project)
    return [GateSelection(gate="tests", selected=selected, reason=reason)]


def select_e2e(implemented: int, *, documented: bool, checks: int) -> list[GateSelection]:
    """What a running candidate is judged by: its document, and the flows of its plan."""
    if not documented:
        reason = "no document describes the service"
    elif not implemented:
        reason = "no operation of the document is implemented"
    else:
        reason = f"{implemented} operations are judged by the document"
    return [
        GateSelection(gate="api", selected=documented and implemented > 0, reason=reason),
        GateSelection(
            gate="acceptance",
            selected=True,
            reason=f"the service is started; the plan has {checks} flows",
        ),
    ]
