"""One table of errors; whatever is told of one is the same everywhere, masked and JSON-safe."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest

from shipway import errors
from shipway.contracts.envelope import report_of
from shipway.errors import Category, ExitCode, Recovery, ShipwayError
from shipway.telemetry import failures
from shipway.telemetry.failures import STATUSES, TABLE

SECRET = "ghp_" + "a1B2" * 9


def tree():
    """Every class of errors.py, and the depth at which the docstring draws it."""
    drawn = re.findall(r"^((?:[│ ]   )*(?:[├└]── )?)(\w+Error)\b", errors.__doc__, re.MULTILINE)
    return {name: len(indent) // 4 for indent, name in drawn}


def test_the_table_of_errors():
    """The classes, the tree that is drawn and the table are the same, and each row is whole."""
    kinds = [one for one in vars(errors).values() if isinstance(one, type)]
    written = {kind.__name__ for kind in kinds if issubclass(kind, ShipwayError)}
    assert written == set(tree()) == {kind.__name__ for kind in TABLE}
    for kind, row in TABLE.items():
        assert tree()[kind.__name__] == len([k for k in kind.__mro__ if k in TABLE]) - 1
        assert "code" in vars(kind), f"{kind.__name__} has no code of its own"
        assert re.fullmatch(r"[A-Z]+(_[A-Z]+)*", row.code)
        assert row.type == f"urn:shipway:error:{row.code.lower().replace('_', '-')}"
        assert row.label == row.code.lower()
        assert 400 <= row.http_status < 600
        assert row.exit_code in {v for k, v in vars(ExitCode).items() if k.isupper()}
        assert row.exit_code != ExitCode.DONE
        assert row.meaning
    codes = [row.code for row in TABLE.values()]
    assert len(set(codes)) == len(codes)


def test_what_http_refuses_is_told_as_an_error_of_the_table():
    """No status and no code has a second meaning, on the server or in the client."""
    codes = {row.code for row in TABLE.values()}
    own = [code for one in STATUSES.values() for code in (one.own, *one.also) if code]
    assert len(set(own)) == len(own)
    assert codes.isdisjoint(own)
    for status, one in STATUSES.items():
        assert one.own or TABLE[one.kind].http_status == status
        assert failures.kind_of(one.code, status) is one.kind
        assert all(failures.kind_of(code, status) is one.kind for code in one.also)
    assert failures.kind_of("OF_A_NEWER_SERVER", 418) is errors.UsageError
    assert failures.kind_of("None", 599) is errors.NetworkError


FAMILIES = (
    errors.ValidationError,
    errors.PipelineError,
    errors.AgentError,
    errors.NetworkError,
    errors.SecurityError,
    errors.OverloadError,
)


def test_every_error_belongs_to_one_of_six_families():
    assert set(ShipwayError.__subclasses__()) == set(FAMILIES)
    for kind in TABLE:
        assert kind is ShipwayError or sum(issubclass(kind, family) for family in FAMILIES) == 1


@pytest.mark.parametrize("kind", TABLE, ids=lambda kind: kind.code)
def test_category_recovery_and_status_do_not_contradict_each_other(kind):
    row = TABLE[kind]
    again = row.recovery in {Recovery.RETRY, Recovery.WAIT}
    assert again == kind("x").retryable
    if row.category is Category.THROTTLED:
        assert row.http_status in {429, 503}
    if row.category is Category.INTERNAL:
        assert (row.recovery, row.http_status) == (Recovery.REPORT, 500)
    if row.recovery is Recovery.FIX_INPUT and row.exit_code == ExitCode.USAGE:
        assert row.http_status in {400, 422}


def raised(kind=errors.DependencyError):
    """An error with a cause, a note and details that hold what must not get out."""
    try:
        try:
            raise ConnectionRefusedError(f"no way in with token={SECRET}")
        except ConnectionRefusedError as cause:
            error = kind(
                f"the database did not answer at postgresql://u:{SECRET}@db/x",
                hint=f"use {SECRET}",
                details={
                    "password": "hunter2hunter2",
                    "path": Path("a"),
                    "tries": (1, 2.5, float("nan"), {SECRET}),
                    3: {"deep": b"raw", "when": Category.TRANSIENT, "none": None},
                    "object": object(),
                },
                retry_after=2.5,
            )
            error.add_note("attempt 1: refused")
            raise error from cause
    except ShipwayError as caught:
        return caught


def test_no_secret_and_nothing_that_json_does_not_know_leaves():
    error = raised()
    for shown in (
        failures.told(error),
        failures.problem(error, "r1"),
        failures.log_fields(error),
        report_of(error).model_dump(mode="json"),
    ):
        line = json.dumps(shown, allow_nan=False)
        assert SECRET not in line
        assert "hunter2" not in line
    told = failures.told(error)
    assert told["details"]["tries"][:3] == [1, 2.5, "nan"]
    assert told["details"]["3"]["when"] == "transient"
    assert told["details"]["path"] == "a"


def test_a_problem_has_the_members_of_the_standard():
    problem = failures.problem(raised(errors.RateLimitError), "req-1")
    assert problem["type"] == "urn:shipway:error:too-many"
    assert problem["title"] == "Too many"
    assert problem["status"] == 429
    assert problem["instance"] == "/requests/req-1"
    assert problem["detail"].startswith("the database did not answer")
    assert (problem["code"], problem["category"]) == ("TOO_MANY", "throttled")
    assert (problem["retryable"], problem["retry_after"]) == (True, 2.5)


def test_a_log_line_has_the_whole_chain_outermost_first():
    fields = failures.log_fields(raised())
    assert fields["error_type"] == "dependency"
    assert fields["error_category"] == "dependency"
    assert fields["error_causes"][0] == "  attempt 1: refused"
    assert fields["error_causes"][1].startswith("ConnectionRefusedError: no way in")
    assert failures.log_fields(KeyError("x"))["error_type"] == "internal"


def test_a_chain_that_bites_its_tail_ends():
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    assert failures.chain(first) == ["ValueError: a", "ValueError: b"]


def test_a_hint_is_always_there():
    assert failures.told(errors.OverloadError("full"))["hint"].startswith("wait")
    assert failures.told(errors.OverloadError("full", hint="later"))["hint"] == "later"


@pytest.mark.parametrize("kind", TABLE, ids=lambda kind: kind.code)
def test_what_another_process_told_is_the_same_error_again(kind):
    error = kind("it broke", hint="mend it", details={"step": "push"})
    again = failures.revived(json.loads(json.dumps(failures.told(error))))
    assert type(again) is kind
    assert (again.message, again.hint, again.details) == ("it broke", "mend it", {"step": "push"})


def test_a_rooms_own_error_is_told_as_what_it_specialises():
    class BranchGoneError(errors.ConflictError):
        pass

    row = failures.row(BranchGoneError("x"))
    assert (row.kind, row.code) == (errors.ConflictError, "CONFLICT")
    assert failures.label(BranchGoneError("x")) == "conflict"


def test_a_report_of_an_attempt_names_step_log_and_how_to_see_it_again():
    error = errors.CommandError(
        "ruff ended with exit code 2",
        details={"step": "lint", "log_tail": "E999", "reproduce": "ruff check", "exit_code": 2},
    )
    report = report_of(error)
    assert (report.step, report.log_tail, report.reproduce) == ("lint", "E999", "ruff check")
    assert report.details == {"exit_code": 2}
    assert report_of(error, step="format").step == "format"


def test_a_cancellation_is_no_error_of_the_tree():
    assert not issubclass(asyncio.CancelledError, Exception)
    assert not any(issubclass(kind, asyncio.CancelledError) for kind in TABLE)
