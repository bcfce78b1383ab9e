"""Every gate that `shipway check` knows, the cheapest first; none of their rules is imported here."""

from __future__ import annotations

import importlib
import shlex
from collections.abc import Callable
from typing import cast

from shipway.domain.gates import Enforcement
from shipway.domain.policy import Policy, PolicyCommand
from shipway.gates.gate import Gate, Rule

REQUIRED, ADVISORY = Enforcement.REQUIRED, Enforcement.ADVISORY


def _at(place: str) -> Callable[[], Rule]:
    """The rule that stands in a module of the gates, imported when it is asked for."""
    module, _, name = place.partition(":")

    def rule() -> Rule:
        return cast("Rule", getattr(importlib.import_module(f"shipway.gates.{module}"), name))

    return rule


BUILT_IN: tuple[Gate, ...] = (
    Gate(
        "scope", 0.0, REQUIRED,
        "nothing outside the policy's scope is touched", _at("rules:SCOPE"),
    ),
    Gate(
        "file-size", 0.0, REQUIRED,
        "no new or grown file is larger than the policy allows", _at("rules:FILE_SIZE"),
    ),
    Gate(
        "message", 0.0, ADVISORY,
        "commit messages have a subject that is short and finished", _at("rules:MESSAGE"),
    ),
    Gate(
        "complexity", 0.2, ADVISORY,
        "no changed function has more ways through it than the policy allows, unless it had before",
        _at("complexity:COMPLEXITY"),
    ),
    Gate(
        "dead-code", 0.3, ADVISORY,
        "the change leaves no private function behind that nothing uses",
        _at("complexity:DEAD_CODE"),
    ),
    Gate(
        "licences", 2.0, ADVISORY,
        "each installed package states a licence, one that the policy allows if it lists some",
        _at("dependencies:RULE"),
    ),
    Gate(
        "advisories", 0.0, ADVISORY,
        "nothing is known against a package that comes in; without a source of advisories it is NOT_RUN",
        _at("advisories:RULE"),
    ),
    Gate(
        "build", 1.5, REQUIRED,
        "what changed compiles and the packages can be imported, as far as they could on the base",
        _at("building:RULE"),
    ),
    Gate(
        "lint", 0.5, REQUIRED,
        "the project's own style rules; without any, broken syntax and missing names only",
        _at("standard:LINT"),
    ),
    Gate(
        "pylint", 6.0, ADVISORY,
        "the project's own pylint has nothing new to say of the changed files",
        _at("linting:RULE"),
    ),
    Gate(
        "hooks", 4.0, ADVISORY,
        "the hooks of .pre-commit-config.yaml that can be run here have nothing new to say",
        _at("hooks:RULE"),
    ),
    Gate(
        "secrets", 3.0, REQUIRED,
        "nothing that looks like a password or key comes in", _at("standard:SECRETS"),
    ),
    Gate(
        "security", 2.0, REQUIRED,
        "no new weakness of medium severity or above; a project without bandit is asked about it",
        _at("standard:SECURITY"),
    ),
    Gate(
        "types", 8.0, REQUIRED,
        "no new type error, by the checker that the project configures; without any, mypy only informs",
        _at("standard:TYPES"),
    ),
    Gate(
        "tests", 10.0, REQUIRED,
        "all tests of the head pass, but for those that fail on the base as well",
        _at("suite_gate:RULE"),
    ),
    Gate(
        "proof", 20.0, REQUIRED,
        "a fix or a feature is proven by a test that fails without the change and passes with it",
        _at("proof:RULE"),
    ),
    Gate(
        "tamper", 25.0, REQUIRED,
        "the base's tests still hold on the head's source, and nothing that judges was bent",
        _at("tamper:RULE"),
    ),
    Gate(
        "holdout", 15.0, REQUIRED,
        "checks that live outside the repository pass on the head's source", _at("holdout:RULE"),
    ),
    Gate("coverage", 12.0, ADVISORY, "tests run the lines that were changed", _at("coverage:RULE")),
    Gate(
        "mutants", 120.0, ADVISORY,
        "tests notice small faults planted in the lines that were changed", _at("mutants:RULE"),
    ),
)  # fmt: skip
NAMES = tuple(gate.id for gate in BUILT_IN)


def gates(policy: Policy) -> list[Gate]:
    """The built-in gates and those that the policy declares, in the order they are started."""
    declared = [_declared(one) for one in policy.commands]
    return sorted([*BUILT_IN, *declared], key=lambda gate: gate.cost)


def _declared(command: PolicyCommand) -> Gate:
    def rule() -> Rule:
        from shipway.gates import commands

        return commands.rule(command)

    return Gate(command.gate, 20.0, REQUIRED, shlex.join(command.run), rule, lasting=False)
