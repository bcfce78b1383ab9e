"""Gate ``licences``: what a change makes the project depend on, and under which terms."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path, PurePosixPath

from shipway import __version__
from shipway.contracts.evidence import Finding, GateEvidence
from shipway.domain.gates import Verdict
from shipway.gates.comparison import Comparison
from shipway.gates.gate import Rule
from shipway.gates.look import Doubt, Record, evidence
from shipway.gates.parsers.reading import Reading, short
from shipway.gates.testing import site_packages

_DECLARING = re.compile(
    r"(^|/)(requirements[^/]*\.(txt|in)|requirements/[^/]+\.(txt|in)|pyproject\.toml|setup\.(py|cfg)|"
    r"Pipfile(\.lock)?|poetry\.lock|uv\.lock|package(-lock)?\.json|Cargo\.(toml|lock)|go\.(mod|sum))$"
)


@dataclass(frozen=True, slots=True)
class Package:
    """An installed package and what its own metadata says of its licence; "" says nothing."""

    name: str
    version: str
    licence: str


def declares(comparison: Comparison) -> str:
    """The name of a changed file that says what the project depends on; "" when none did."""
    found = [one.path for one in comparison.changes if _DECLARING.search(one.path)]
    return PurePosixPath(found[0]).name if found else ""


def _select_licences(comparison: Comparison) -> tuple[bool, str]:
    if comparison.head.bench.project.stack != "python":
        return False, "no Python project"
    touched = declares(comparison)
    if touched:
        return True, f"{touched} changed, and with it what is installed"
    return False, "what the project depends on did not change"


def installed(place: Path) -> list[Package]:
    """The packages of an environment, read from their metadata; nothing of them is run."""
    found = []
    for metadata in sorted(place.glob("*.dist-info/METADATA")):
        said = HeaderParser().parsestr(metadata.read_text(encoding="utf-8", errors="replace"))
        classified = [
            line.rpartition(" :: ")[2]
            for line in said.get_all("Classifier", [])
            if line.startswith("License ::")
        ]
        free = str(said.get("License", "")).strip().splitlines()
        licence = str(said.get("License-Expression", "")) or ", ".join(classified)
        licence = licence or (free[0][:80] if free else "")
        found.append(Package(str(said.get("Name", "")), str(said.get("Version", "")), licence))
    return found


def _judge_licences(comparison: Comparison) -> GateEvidence:
    record = Record("licences", "shipway", __version__, reproduce="pip inspect")
    bench = comparison.candidate(comparison.head)
    if bench.candidate is None:
        raise Doubt("there is no environment to look at")
    packages = installed(site_packages(bench.candidate))
    if not packages:
        return evidence(bench, record, Verdict.NOT_RUN, "nothing is installed that has a licence")
    allowed = comparison.policy.licences
    found = [one for one in (_objection(package, allowed) for package in packages) if one]
    reading = Reading(len(packages), found, {"packages": len(packages), "findings": len(found)})
    if found:
        summary = f"{len(found)} of {len(packages)} packages; first: {found[0].message}"
        return evidence(bench, record, Verdict.FAIL, summary, reading)
    return evidence(
        bench, record, Verdict.PASS, f"{len(packages)} packages have a licence", reading
    )


def _objection(package: Package, allowed: tuple[str, ...]) -> Finding | None:
    name = f"{package.name} {package.version}"
    if not package.licence:
        return Finding(rule="licence-unknown", message=short(f"{name} does not state a licence"))
    if allowed and not any(one.lower() in package.licence.lower() for one in allowed):
        return Finding(rule="licence", message=short(f"{name} is under {package.licence}"))
    return None


RULE = Rule(_select_licences, _judge_licences)
