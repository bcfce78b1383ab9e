"""Writes a change plan as Markdown for the people who asked for the change."""

from __future__ import annotations

from collections.abc import Iterator

from shipway.agents.planning.readable import code, text
from shipway.contracts.change_plan import ChangePlan, Command


def write(plan: ChangePlan) -> str:
    """The whole plan, in the order in which a reader asks."""
    sections = (_head(plan), _doubts(plan), _repository(plan), _checks(plan), _risk(plan))
    return "\n".join(line for section in sections for line in section).rstrip() + "\n"


def _head(plan: ChangePlan) -> Iterator[str]:
    yield f"# Plan: {text(plan.title)}"
    yield ""
    yield (
        f"A {plan.claim} for {code(plan.target)}, starting from {code(plan.base[:12])}. "
        f"Risk: {plan.risk}."
    )
    yield ""
    yield "> " + "\n> ".join(text(line) for line in plan.requirement.splitlines())
    yield ""


def _doubts(plan: ChangePlan) -> Iterator[str]:
    yield "## What is left open"
    yield ""
    if not plan.ambiguities:
        yield "Nothing that matters was found."
    else:
        yield "| where | question | taken |"
        yield "|---|---|---|"
        for one in plan.ambiguities:
            yield f"| {code(one.where)} | {text(one.question)} | {text(one.default)} |"
    yield ""


def _repository(plan: ChangePlan) -> Iterator[str]:
    yield "## The repository"
    yield ""
    layout = f", {plan.layout} layout" if plan.layout != "unknown" else ""
    yield f"- Stack: {plan.stack}{layout}"
    built = ", ".join(code(name) for name in plan.requirements)
    yield f"- Environment from: {built or 'what the project itself declares'}"
    yield f"- Tests: {_command(plan.test)}"
    yield f"- Lint: {_command(plan.lint)}"
    yield f"- Types: {_command(plan.types)}"
    yield f"- Must not be touched: {', '.join(code(path) for path in plan.protected)}"
    if plan.service is not None:
        yield (
            f"- Service: {code(' '.join(plan.service.start))}, healthy when "
            f"{code(plan.service.health)} answers; the result is deployed"
        )
    else:
        yield "- Service: none declared, so the run ends when the change is merged"
    yield ""


def _command(command: Command | None) -> str:
    if command is None:
        return "not configured"
    return f"{code(' '.join(command.argv))} (from {code(command.source)})"


def _checks(plan: ChangePlan) -> Iterator[str]:
    yield "## It is done when"
    yield ""
    for number, check in enumerate(plan.checks, start=1):
        yield f"{number}. {text(check)}"
    yield ""


def _risk(plan: ChangePlan) -> Iterator[str]:
    yield f"## Risk: {plan.risk}"
    yield ""
    if not plan.risk_reasons:
        yield "Nothing stands out."
    for reason in plan.risk_reasons:
        yield f"- {text(reason)}"
