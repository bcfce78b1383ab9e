"""Judges one variant of one case as `shipway check` would, and says which gate decided."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

from shipway.check import policyfile
from shipway.check.calibration.ground import Ground
from shipway.check.calibration.manifest import Case
from shipway.check.calibration.variants import Change, Made, Variant
from shipway.check.catalogue import NAMES
from shipway.check.check import Asked, Watcher, check
from shipway.check.equipment import Ears, Equipment
from shipway.check.memory import key, surroundings
from shipway.check.outcome import passed
from shipway.check.subject import Wanted
from shipway.contracts.calibration import Trial
from shipway.contracts.check import CheckReport, Outcome
from shipway.contracts.evidence import GateEvidence
from shipway.domain.gates import Enforcement, Verdict
from shipway.domain.policy import POLICY, Policy
from shipway.errors import FenceError, ShipwayError

TESTS = ("tests",)
SAID = 400


@dataclass(frozen=True, slots=True)
class Prepared:
    """A case with its change as commits of ours, and the policy that it is judged by."""

    case: Case
    change: Change
    policy: Policy


@dataclass(frozen=True, slots=True)
class Ready:
    """One trial that can be run, with the digest of all that could change its outcome."""

    prepared: Prepared
    variant: Variant
    made: Made
    key: str


def prepare(case: Case, place: Path) -> Prepared:
    """Raises ShipwayError for a case whose repository, commits or patch cannot be used."""
    ground = Ground(case.repository, place)
    base = ground.commit(case.base)
    ground.stand(base)
    message = ground.message(base, ground.commit(case.gold)) if case.gold else ""
    if case.gold is not None:
        gold = ground.write(ground.commit(case.gold), {}, base, message)
    else:
        assert case.patch is not None  # noqa: S101 - a case has one of them
        gold = ground.apply(base, case.patch.read_bytes(), message)
    return Prepared(case, Change(ground, case.id, base, gold, message), _policy(case, ground, base))


def _policy(case: Case, ground: Ground, base: str) -> Policy:
    """The base's own, with what the case adds to it."""
    data = ground.read(base, POLICY)
    found = Policy() if data is None else policyfile.read(data, NAMES, f"{POLICY} of {case.id}")
    limits = {} if case.seconds is None else {"seconds": case.seconds}
    return replace(
        found,
        test=case.test or found.test,
        requirements=case.requirements or found.requirements,
        thresholds={**found.thresholds, **limits},
    )


def ready(prepared: Prepared, variant: Variant, equipment: Equipment) -> Ready | None:
    """The trial, None when the case has nothing to make the variant from."""
    made = variant.make(prepared.change)
    if made is None:
        return None
    ground, policy = prepared.change.ground, _policy_of(prepared, made)
    digest = key(
        surroundings(equipment.python, equipment.fence.policy),
        [ground.tree(prepared.change.base), ground.tree(made.head)],
        [prepared.case.claim, prepared.change.message, repr(policy)],
        equipment.environments.day(ground.committed(prepared.change.base)),
        variant.name,
    )
    return Ready(prepared, variant, made, digest)


def _policy_of(prepared: Prepared, made: Made) -> Policy:
    policy = prepared.policy
    if made.test:
        policy = replace(policy, test=made.test)
    if made.seconds is not None:
        policy = replace(policy, thresholds={**policy.thresholds, "seconds": made.seconds})
    return policy


def judge(ready: Ready, equipment: Equipment, ears: Ears) -> Trial:
    """The outcome; a variant that is refused for sure is not judged any further."""
    started = time.monotonic()
    cut = threading.Event()
    firsts: list[GateEvidence] = []

    def judged(one: GateEvidence) -> None:
        if one.enforcement is Enforcement.REQUIRED and not passed(one) and not cut.is_set():
            firsts.append(one)
            if one.verdict is Verdict.FAIL and one.ask is None:
                cut.set()

    change, policy = ready.prepared.change, _policy_of(ready.prepared, ready.made)
    asked = Asked(
        repository=change.ground.path,
        wanted=Wanted(base=change.base, head=ready.made.head),
        claim=ready.prepared.case.claim,
        # A test command is the tests' business.
        gates=TESTS if ready.made.test else (),
        policy=policy,
        cached=False,
        informing=False,
    )
    watcher = Watcher(judged=judged, ears=Ears(ears.say, _Either(cut, ears.cancel)))
    report: CheckReport | None = None
    try:
        report = check(asked, equipment, watcher)
        why = report.summary
    except FenceError:
        raise
    except ShipwayError as error:
        why = str(error)
    deciding = _deciding(report, firsts)
    if deciding:
        why = deciding[0].summary
    return Trial(
        case=ready.prepared.case.id,
        variant=ready.variant.name,
        key=ready.key,
        outcome=None if report is None else report.outcome,
        gates=[one.gate for one in deciding],
        why=" ".join(why.split())[:SAID],
        about=ready.made.about[:SAID],
        seconds=round(time.monotonic() - started, 2),
    )


def _deciding(report: CheckReport | None, firsts: list[GateEvidence]) -> list[GateEvidence]:
    """What stood in the way, the one that decided first: what refuses for sure ends a trial."""
    if report is None or report.outcome in {Outcome.ACCEPTED, Outcome.NOTHING}:
        return []
    return firsts[::-1] if report.outcome is Outcome.REJECTED else firsts


class _Either(threading.Event):
    """Set when it, or the one around it, is set."""

    def __init__(self, own: threading.Event, outer: threading.Event) -> None:
        super().__init__()
        self._own, self._outer = own, outer

    def is_set(self) -> bool:
        return self._own.is_set() or self._outer.is_set()

    def set(self) -> None:
        self._own.set()
