"""Runs gates side by side, the cheapest first; whatever happens inside one becomes its evidence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from shipway.contracts.evidence import GateEvidence, GateSelection
from shipway.domain.gates import Verdict
from shipway.errors import FenceError, ShipwayError
from shipway.gates.comparison import Comparison
from shipway.gates.gate import Gate
from shipway.gates.look import Doubt, Record, evidence
from shipway.gates.parsers.reading import UnreadableReportError
from shipway.resilience import deadline


def judge(
    comparison: Comparison,
    chosen: Sequence[tuple[Gate, GateSelection]],
    at_once: int,
    ended: Callable[[GateEvidence], None],
) -> dict[str, GateEvidence]:
    """The evidence of each gate; ``ended`` is told of each as it comes.

    Raises FenceError where nothing may be run. When it is interrupted, everything is stopped first.
    """
    seen = {}
    with ThreadPoolExecutor(at_once, "gate", deadline.inherit, (deadline.at(),)) as pool:
        running: set[Future[GateEvidence]] = {
            pool.submit(_one, gate, comparison, one) for gate, one in chosen
        }
        try:
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for one in done:
                    found = one.result()
                    seen[found.gate] = found
                    ended(found)
        except BaseException:
            comparison.cancel.set()
            for one in running:
                one.cancel()
            raise
    return seen


def _one(gate: Gate, comparison: Comparison, chosen: GateSelection) -> GateEvidence:
    """One gate's evidence, whatever happens inside it; only a missing fence stops everything."""
    record = Record(gate.id, gate.id)
    try:
        found = gate.rule().judge(comparison)
    except FenceError:
        raise
    except Doubt as doubt:
        found = evidence(
            comparison.head.bench, record, Verdict.ERROR, doubt.reason, category=doubt.category
        )
    except UnreadableReportError as error:
        found = evidence(comparison.head.bench, record, Verdict.ERROR, str(error))
    except ShipwayError as error:
        found = evidence(
            comparison.head.bench, record, Verdict.ERROR, str(error), category=error.category
        )
    return found.model_copy(update={"enforcement": chosen.enforcement})
