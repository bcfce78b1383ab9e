"""Gate ``advisories``: what is known against the packages that a change brings, from a source given here."""

from __future__ import annotations

from pathlib import Path

from shipway import __version__
from shipway.contracts.evidence import Finding, GateEvidence
from shipway.domain.gates import Verdict
from shipway.gates import locked, osv
from shipway.gates.comparison import Comparison, Side
from shipway.gates.dependencies import declares, installed
from shipway.gates.gate import Rule
from shipway.gates.look import Doubt, Record, evidence
from shipway.gates.osv import PYPI, Advisory, Package
from shipway.gates.parsers.reading import Reading, UnreadableReportError
from shipway.gates.testing import site_packages

NAME = "advisories"


def _select(comparison: Comparison) -> tuple[bool, str]:
    touched = declares(comparison)
    if touched:
        return True, f"{touched} changed, and with it what is installed"
    return False, "what the project depends on did not change"


def _judge(comparison: Comparison) -> GateEvidence:
    """Every package of the head; what is known of the base's packages as well does not count."""
    record = Record(NAME, "osv", __version__)
    given, bench = comparison.policy.advisories, comparison.head.bench
    if given is None:
        said = (
            "there is no source of advisories: name a directory or zip of OSV records under "
            "`advisories: {source: ...}` in the base's .shipway/policy.yaml"
        )
        return evidence(bench, record, Verdict.NOT_RUN, said)
    place = Path(given)
    if not place.exists():
        return evidence(
            bench, record, Verdict.NOT_RUN, f"the source of advisories is not there: {place}"
        )
    packages = _packages(comparison, comparison.head)
    if not packages:
        return evidence(bench, record, Verdict.NOT_RUN, "no package is installed or locked")
    source = osv.look(place, packages)
    record.inputs[NAME] = source.digest
    if not source.records:
        said = f"the source of advisories holds no OSV record: {place}"
        return evidence(bench, record, Verdict.NOT_RUN, said)
    fresh = _fresh(comparison, place, source.found, record)
    counts = {
        "packages": len(packages), "records": source.records, "known": len(source.found) - len(fresh),
        "new": len(fresh),
    }  # fmt: skip
    reading = Reading(len(packages), [_finding(one) for one in fresh], counts)
    return _decided(comparison, record, reading, source.newest)


def _decided(comparison: Comparison, record: Record, reading: Reading, newest: str) -> GateEvidence:
    bench = comparison.head.bench
    old = (
        f", {reading.counts['known']} known on the base already" if reading.counts["known"] else ""
    )
    told = f"{reading.examined} packages held against {reading.counts['records']} advisories"
    told += f" (of {newest} at the latest)" if newest else ""
    bad = [one for one in reading.findings if one.severity == "error"]
    if bad:
        said = f"{len(bad)} new{old}; first: {bad[0].rule} {bad[0].message}"
        return evidence(bench, record, Verdict.FAIL, said, reading)
    return evidence(bench, record, Verdict.PASS, f"{told}, nothing new{old}", reading)


def _packages(comparison: Comparison, side: Side) -> list[Package]:
    """What would be installed: the environment of a Python project, and what locks name."""
    found = locked.packages(side.bench.tree)
    if side.bench.project.stack != "python":
        return found
    candidate = comparison.candidate(side).candidate
    if candidate is None:
        raise Doubt("there is no environment to look at")
    ours = installed(site_packages(candidate))
    return [*found, *(Package(PYPI, one.name, one.version) for one in ours)]


def _fresh(
    comparison: Comparison, place: Path, found: list[Advisory], record: Record
) -> list[Advisory]:
    """Without those that hold for a package of the base too, at whatever version it has there."""
    if not found:
        return []
    try:
        before = osv.look(place, _packages(comparison, comparison.base)).found
    except (Doubt, UnreadableReportError) as error:
        record.inputs["base"] = f"{comparison.base.tree} could not be judged: {error}"
        return found
    record.inputs["base"] = comparison.base.tree
    known = {(one.id, one.package.ecosystem, one.package.name) for one in before}
    return [one for one in found if (one.id, one.package.ecosystem, one.package.name) not in known]


def _finding(one: Advisory) -> Finding:
    found = Finding(rule=one.id, message=str(one))
    return found if one.sure else found.model_copy(update={"severity": "warning"})


RULE = Rule(_select, _judge)
