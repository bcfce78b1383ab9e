"""What a repository asks of changes: which gates must pass, how well, and what a person has waived."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from shipway.domain.gates import Enforcement

POLICY = ".shipway/policy.yaml"
"""Where a repository keeps it; only the base's copy counts."""

THRESHOLDS: Mapping[str, float] = {
    "coverage": 0.0,
    "changed_coverage": 60.0,
    "mutation": 60.0,
    "mutants": 40.0,
    "file_size_kb": 1024.0,
    "complexity": 15.0,
    "seconds": 900.0,
}
"""What holds where the policy says nothing; ``mutants`` is how many are tried at most."""

PROTECTED = (
    ".shipway/**", ".github/workflows/**", ".github/actions/**", ".gitlab-ci.yml", ".ci/**",
    ".circleci/**", "Jenkinsfile", "azure-pipelines.yml", ".travis.yml", "bitbucket-pipelines.yml",
    "CODEOWNERS", ".github/CODEOWNERS", "docs/CODEOWNERS",
)  # fmt: skip
"""Who judges changes is written here; a change to it is a person's business."""


SUITES = ("whole", "concerned")
"""All test modules, or those that a change can concern."""

REPORTS = ("sarif", "junit", "cobertura", "coverage")
"""Formats of reports; ``coverage`` is the JSON of coverage.py."""


@dataclass(frozen=True, slots=True)
class Waiver:
    """A finding or a gate that a person lets pass, for one digest of what it was given for."""

    gate: str
    digest: str
    approver: str
    reason: str
    expires: str


@dataclass(frozen=True, slots=True)
class Quarantine:
    """A test known to be flaky, with who mends it and until when."""

    test: str
    owner: str
    reason: str
    expires: str


@dataclass(frozen=True, slots=True)
class PolicyCommand:
    """A command that judges, for stacks that Shipway has no gates for.

    ``counts`` finds in its output how many things it examined (one group that is a number);
    ``report`` is a file that it writes in the tree, in one of REPORTS.
    """

    gate: str
    run: tuple[str, ...]
    counts: str | None = None
    report: str | None = None
    format: str | None = None
    seconds: float = 900.0


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules of one base; ``source`` says where they were read, ``digest`` which they are.

    ``test`` is the command that runs the tests, empty where it is found in the repository;
    ``suite`` says which of its modules are run, one of SUITES, and ``within`` which can be run at all;
    ``advisories`` is a directory or zip of OSV records on this machine.
    """

    required: frozenset[str] = frozenset()
    advisory: frozenset[str] = frozenset()
    thresholds: Mapping[str, float] = field(default_factory=dict)
    waivers: tuple[Waiver, ...] = ()
    quarantine: tuple[Quarantine, ...] = ()
    no_tests: str | None = None
    commands: tuple[PolicyCommand, ...] = ()
    requirements: tuple[str, ...] = ()
    prepare: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    scope: tuple[str, ...] = ()
    protected: tuple[str, ...] = PROTECTED
    tests: tuple[str, ...] = ()
    suite: str = "whole"
    within: tuple[str, ...] = ()
    golden: tuple[str, ...] = ()
    holdout: tuple[str, ...] = ()
    licences: tuple[str, ...] = ()
    advisories: str | None = None
    digest: str = "default"
    source: str = "the strict default"

    def threshold(self, name: str) -> float:
        """The number for ``name``: the policy's own, else the default."""
        return self.thresholds.get(name, THRESHOLDS.get(name, 0.0))

    def enforcement(self, gate: str, default: Enforcement) -> Enforcement:
        """Whether a gate decides or only informs."""
        if gate in self.required:
            return Enforcement.REQUIRED
        if gate in self.advisory:
            return Enforcement.ADVISORY
        return default


def matches(path: str, globs: Iterable[str]) -> bool:
    """Whether one of the globs fits the whole path: ``*`` stays in a directory, ``**`` does not.

    A glob that names a directory fits everything below it.
    """
    return any(_pattern(glob).fullmatch(path) is not None for glob in globs)


@functools.lru_cache(maxsize=512)
def _pattern(glob: str) -> re.Pattern[str]:
    parts = []
    for piece in re.split(r"(\*\*/|\*\*|\*|\?)", glob.rstrip("/")):
        match piece:
            case "**/":
                parts.append("(?:.*/)?")
            case "**":
                parts.append(".*")
            case "*":
                parts.append("[^/]*")
            case "?":
                parts.append("[^/]")
            case _:
                parts.append(re.escape(piece))
    return re.compile("".join(parts) + "(?:/.*)?", re.DOTALL)
