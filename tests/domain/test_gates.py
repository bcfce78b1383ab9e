"""Only a sound PASS of every selected, required gate passes; everything else does not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shipway.domain.gates import Enforcement, Judgement, Selection, Verdict, passes

SELECTED = Selection("tests", selected=True, reason="there are tests")
ADVISORY = Selection("style", selected=True, reason="", enforcement=Enforcement.ADVISORY)
GOOD = Judgement("tests", Verdict.PASS, 3, "3 passed")


def test_a_pass_with_something_examined_passes() -> None:
    assert passes([SELECTED], [GOOD])


def test_nothing_selected_missing_double_or_unasked_judgements_never_pass() -> None:
    assert not passes([], [])
    assert not passes([Selection("tests", selected=False, reason="none")], [])
    assert not passes([SELECTED], [])
    assert not passes([SELECTED], [GOOD, GOOD])
    assert not passes([SELECTED], [GOOD, Judgement("other", Verdict.PASS, 1, "")])
    assert not passes([ADVISORY], [Judgement("style", Verdict.PASS, 1, "")])


def test_an_advisory_gate_is_judged_but_does_not_decide() -> None:
    bad = Judgement("style", Verdict.FAIL, 1, "", Enforcement.ADVISORY)
    assert passes([SELECTED, ADVISORY], [GOOD, bad])
    assert not passes([SELECTED, ADVISORY], [GOOD])


@given(st.sampled_from(list(Verdict)), st.integers(-3, 3))
def test_only_pass_with_a_positive_denominator_passes(verdict: Verdict, examined: int) -> None:
    judged = Judgement("tests", verdict, examined, "")
    assert passes([SELECTED], [judged]) is (verdict is Verdict.PASS and examined > 0)
