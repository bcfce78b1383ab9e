"""Makes the plan for a change: what is asked, what the base says of itself, what could go wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

from shipway.agents.planning.doubts import Doubts
from shipway.check import catalogue, policyfile
from shipway.contracts.change_plan import ChangePlan, Command, Service
from shipway.contracts.plan import PlanRequest
from shipway.contracts.service_file import ServiceFile
from shipway.domain.policy import POLICY
from shipway.domain.states import Claim
from shipway.errors import UsageError
from shipway.gates.stack import Stack, look
from shipway.workspace.git import Hub

TITLE_LENGTH = 120
_PREFIX = re.compile(r"^(\w+)(?:\([^)]*\))?(!)?:\s*(.+)$")
_CLAIMS = {
    "feat": Claim.FEATURE, "feature": Claim.FEATURE, "fix": Claim.FIX, "bugfix": Claim.FIX,
    "hotfix": Claim.FIX, "refactor": Claim.REFACTOR, "perf": Claim.REFACTOR, "chore": Claim.CHORE,
    "docs": Claim.CHORE, "test": Claim.CHORE, "ci": Claim.CHORE, "build": Claim.CHORE,
    "style": Claim.CHORE, "revert": Claim.FIX,
}  # fmt: skip
_DELICATE = {
    "who may do what": r"auth\w*|permission\w*|role|roles|login|session|password\w*|token\w*|secret\w*",
    "stored data": r"migrat\w*|schema|delete|drop|truncate|backfill|database",
    "money": r"payment\w*|invoice\w*|billing|price|prices|refund\w*",
    "cryptography": r"encrypt\w*|crypto\w*|certificate\w*|signature\w*|hash\w*",
    "many at once": r"concurren\w*|thread\w*|lock\w*|race|async\w*|transaction\w*",
}


def open_base(hub: Path, base: str, into: Path) -> Path:
    """The files of the base commit, in a throw-away clone."""
    return Hub.open(hub).checkout(base, into).path


def plan_change(request: PlanRequest, requirement: str, tree: Path) -> ChangePlan:
    """The plan for one requirement on one tree; raises UsageError or ConfigurationError."""
    doubts = Doubts()
    title, prefix = _title(requirement)
    claim, claimed_by = _claim(request, prefix, title, doubts)
    stack = _stated(look(tree), tree)
    service = _service(tree)
    _note_gaps(stack, doubts)
    reasons = list(_reasons(requirement, prefix, stack, claim, service))
    assert request.base is not None  # noqa: S101 - checked by the agent, for the type checker
    return ChangePlan(
        name=_slug(stack.name or "change"),
        title=title,
        requirement=requirement.strip(),
        claim=claim,
        claimed_by=claimed_by,
        base=request.base,
        target=request.target,
        stack=stack.stack,
        layout=stack.layout,
        requirements=stack.requirements,
        test=stack.test,
        lint=stack.lint,
        types=stack.types,
        protected=[*stack.protected, *(stack.tests if claim is Claim.REFACTOR else [])],
        checks=list(_checks(stack, claim, service, request.target)),
        ambiguities=doubts.all(),
        risk=_risk(reasons),
        risk_reasons=[reason for _, reason in reasons],
        service=service,
    )


def _title(requirement: str) -> tuple[str, str | None]:
    """The first line without Markdown and prefix, and the Conventional Commit word if there is one."""
    lines = [line.strip() for line in requirement.splitlines() if line.strip()]
    first = re.sub(r"^(#+|[-*>])\s+", "", lines[0]).strip() if lines else ""
    if not re.search(r"\w", first):
        raise UsageError(
            "the requirement says nothing", hint="say in a sentence what the change is for"
        )
    match = _PREFIX.match(first)
    prefix = match[1].lower() if match and match[1].lower() in _CLAIMS else None
    title = match[3].strip() if match and prefix else first
    mark = "!" if match and prefix and match[2] else ""
    if len(title) > TITLE_LENGTH:
        title = title[: TITLE_LENGTH - 1].rsplit(" ", 1)[0].rstrip() + "…"
    return title, None if prefix is None else prefix + mark


def _claim(
    request: PlanRequest, prefix: str | None, title: str, doubts: Doubts
) -> tuple[Claim, Literal["run", "requirement", "default"]]:
    """What the change is, and who says so."""
    said = None if prefix is None else _CLAIMS[prefix.rstrip("!")]
    if request.claim is not None:
        if said is not None and said is not request.claim:
            doubts.note(
                "requirement",
                f"The requirement starts with '{prefix}:', but the run claims {request.claim}. "
                "Which is it?",
                f"It is a {request.claim}, as the run says.",
            )
        return request.claim, "run"
    if said is not None:
        return said, "requirement"
    default = Claim.FEATURE
    if re.match(r"(?i)(fix|repair|correct|resolve|prevent|stop)\b", title):
        default = Claim.FIX
    elif re.match(r"(?i)(refactor|rename|extract|simplify|restructure|clean)\w*\b", title):
        default = Claim.REFACTOR
    elif re.match(r"(?i)(update|bump|upgrade|remove unused|document)\b", title):
        default = Claim.CHORE
    doubts.note(
        "requirement",
        "Is this a fix, a feature, a refactor or a chore? Neither the run nor a prefix says so.",
        f"It is taken as a {default} by its first word; say otherwise with --claim.",
    )
    return default, "default"


def _stated(stack: Stack, tree: Path) -> Stack:
    """What was found, unless the base's policy says itself how it is tested and what that needs."""
    path = tree / POLICY
    if path.is_symlink() or path.parent.is_symlink() or not path.is_file():
        return stack
    policy = policyfile.read(path.read_bytes(), catalogue.NAMES, f"{POLICY} of the base")
    test = Command(argv=list(policy.test), source=POLICY) if policy.test else stack.test
    needed = list(policy.requirements) or stack.requirements
    return replace(stack, test=test, requirements=needed)


def _service(tree: Path) -> Service | None:
    """What the base declares; a link is never followed, so it cannot lead out of the tree."""
    path = tree / ServiceFile.PATH
    if path.is_symlink() or path.parent.is_symlink() or not path.is_file():
        return None
    said = ServiceFile.parse(path.read_bytes())
    # Whoever declares how the service is started wants what was merged to be started.
    return Service(start=list(said.start), health=said.health, document=said.document, deploy=True)


def _note_gaps(stack: Stack, doubts: Doubts) -> None:
    if stack.stack == "unknown":
        doubts.note(
            "repository", "What is the repository made with? No Python project was found in it.",
            "It is treated as files only: its secrets are looked for, and its test command is run "
            "if it has one.",
        )  # fmt: skip
    if stack.test is None:
        doubts.note(
            "repository", "How is it tested? No test command and no tests were found.",
            "pytest looks for tests in the candidate; without any the change is not merged."
            if stack.stack == "python" else "The change is not merged without a test command.",
        )  # fmt: skip
    for name in stack.unread:
        doubts.note(name, "This file cannot be read. What does it say?", "It is left out.")


def _reasons(
    requirement: str, prefix: str | None, stack: Stack, claim: Claim, service: Service | None
) -> Iterator[tuple[Literal["medium", "high"], str]]:
    if stack.test is None:
        yield "high", "no tests were found, so nothing shows that what worked still works"
    if prefix is not None and prefix.endswith("!"):
        yield "high", "the requirement says itself that it breaks what others rely on (!)"
    if stack.stack == "unknown":
        yield "medium", "the stack is unknown, so only few gates apply"
    for subject, pattern in _DELICATE.items():
        if re.search(rf"(?i)\b(?:{pattern})\b", requirement):
            yield "medium", f"the requirement speaks of {subject}"
    if service is not None and service.deploy:
        yield "medium", "the repository declares a service, so the result is deployed"
    if claim is Claim.REFACTOR and stack.types is None:
        yield "medium", "a refactor without a type checker relies on tests alone"


def _risk(reasons: list[tuple[Literal["medium", "high"], str]]) -> Literal["low", "medium", "high"]:
    levels = {level for level, _ in reasons}
    return "high" if "high" in levels else "medium" if levels else "low"


def _checks(stack: Stack, claim: Claim, service: Service | None, target: str) -> Iterator[str]:
    test = f" ({' '.join(stack.test.argv)})" if stack.test else ""
    yield f"All tests pass on the changed tree{test}."
    match claim:
        case Claim.FIX:
            yield "A test shows the fault: it fails on the base and passes on the changed tree."
        case Claim.FEATURE:
            yield "Tests show what is new; those that were there before still pass unchanged."
        case Claim.REFACTOR:
            yield "No existing test is changed: what can be observed stays the same."
        case Claim.CHORE:
            yield "Nothing that can be observed by users changes."
    if stack.lint:
        yield f"No finding that was not there before: {' '.join(stack.lint.argv)}."
    if stack.types:
        yield f"No type error that was not there before: {' '.join(stack.types.argv)}."
    yield "No secret and no known weakness comes in."
    yield "No protected path is touched."
    if service is not None:
        yield f"The service starts and answers at {service.health}."
    yield f"It merges into {target} without a conflict, and the tests pass again after the merge."


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "change"
