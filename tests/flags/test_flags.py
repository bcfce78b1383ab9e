"""Flags: targeting, kill switch, last known good, exposures, history, and the API of OpenFeature."""

from __future__ import annotations

import json
import threading
import time
from datetime import date

import pytest
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from pydantic import ValidationError

from shipway.errors import ConfigurationError, ConflictError
from shipway.flags import flags as live
from shipway.flags.evaluate import Context, Reason, evaluator
from shipway.flags.flag import Condition, Flag, Rule, Serve, boolean
from shipway.flags.flags import Flags
from shipway.flags.keeping import FileKeeping
from shipway.flags.known import KNOWN, MUTANTS, PARALLELISM
from shipway.flags.openfeature import client
from shipway.flags.shared import DatabaseKeeping
from shipway.store.opening import prepare

UNTIL = date(2030, 1, 1)
NEW = boolean("new.thing", "a new thing", "ada", UNTIL)
COLOUR = Flag(
    key="colour",
    about="which colour",
    owner="ada",
    expires=UNTIL,
    variants={"none": "grey", "a": "red", "b": "blue"},
    default="none",
    serve=Serve(split={"a": 50.0, "b": 50.0}),
    salt="c",
)


def changed(flag: Flag, **given) -> Flag:
    return Flag.model_validate(flag.model_dump() | given)


def when(attribute, *values, excluded=False):
    return Condition(attribute=attribute, values=values, excluded=excluded)


@pytest.fixture(params=["file", "database"])
def keeping(request, tmp_path):
    """A test that asks for it runs on both."""
    if request.param == "file":
        yield FileKeeping(tmp_path / "flags.json", lambda: 1000.0)
        return
    database = prepare(tmp_path / "shipway.db")
    yield DatabaseKeeping(database, lambda: 1000.0)
    database.close()


@pytest.fixture
def file(tmp_path):
    return FileKeeping(tmp_path / "flags.json", lambda: 1000.0)


def until(condition, what, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited for {what}"
        time.sleep(0.01)


# -- who gets what ----------------------------------------------------------------------------


def test_the_first_rule_that_holds_decides():
    on = Serve(variant="on")
    target = changed(
        NEW,
        rules=[
            Rule(when=(when("role", "blocked"),), serve=Serve(variant="off")).model_dump(),
            Rule(
                when=(
                    when("role", "admin", "owner"),
                    when("environment", "production", excluded=True),
                ),
                serve=on,
            ).model_dump(),
            Rule(
                when=(when("repository", "shop"),), serve=Serve(variant="on", percent=100.0)
            ).model_dump(),
        ],
    )
    evaluate = evaluator(target)
    told = {
        context: (found.value, found.reason)
        for context in (
            Context(user="ada"),
            Context(user="ada", roles=("viewer", "admin")),
            Context(user="ada", roles=("admin",), environment="production"),
            Context(user="ada", roles=("admin", "blocked")),
            Context(user="ada", repository="shop"),
            Context(repository="shop"),
        )
        for found in [evaluate(context)]
    }
    assert list(told.values()) == [
        (False, Reason.STATIC),
        (True, Reason.TARGETING_MATCH),
        (False, Reason.STATIC),
        (False, Reason.TARGETING_MATCH),
        (True, Reason.SPLIT),
        (False, Reason.DEFAULT),
    ]


def test_the_kill_switch_gives_everybody_the_default():
    killed = changed(NEW, enabled=False, serve={"variant": "on"})
    found = evaluator(killed)(Context(user="ada"))
    assert (found.value, found.reason) == (False, Reason.DISABLED)


@pytest.mark.parametrize(
    "given",
    [
        {"serve": {"variant": "maybe"}},
        {"serve": {"variant": "on", "split": {"on": 10.0}}},
        {"serve": {}},
        {"serve": {"split": {"on": 60.0, "off": 60.0}}},
        {"serve": {"variant": "on", "percent": 101.0}},
        {"serve": {"variant": "on", "percent": 12.345}},
        {"variants": {"on": True, "off": "no"}},
        {"default": "maybe"},
        {"owner": ""},
        {"expires": "soon"},
        {"bucketing": 2},
        {"key": "No Spaces"},
        {"surprise": 1},
        {"enabled": "yes"},
        {"rules": [{"when": [], "serve": {"variant": "on"}}]},
    ],
)
def test_a_flag_that_makes_no_sense_is_refused(given):
    with pytest.raises(ValidationError):
        changed(NEW, **given)


def test_our_own_flags_are_sound_owned_and_in_date():
    for key, flag in KNOWN.items():
        assert Flag.model_validate_json(flag.model_dump_json()) == flag
        assert flag.key == key
        assert flag.owner
        assert flag.about
        assert not flag.is_expired(date(2026, 12, 1))
    assert Flags().on(MUTANTS)
    assert Flags().value(PARALLELISM) == 100
    killed = changed(KNOWN[MUTANTS], enabled=False)
    assert evaluator(killed)(Context()).value is False


# -- kept and seen ----------------------------------------------------------------------------


def test_a_change_is_seen_by_others_has_a_history_and_does_not_overwrite_another(keeping):
    flags = Flags(keeping)
    assert flags.evaluate("new.thing").reason is Reason.ERROR
    first = keeping.put(NEW, "ada", "to begin with")
    assert flags.look()
    assert not flags.on("new.thing")
    second = keeping.put(changed(first, serve={"variant": "on"}), "bob", "it works")
    assert flags.look()
    assert not flags.look(), "nothing changed"
    assert flags.on("new.thing")
    with pytest.raises(ConflictError, match="changed by somebody else"):
        keeping.put(changed(first, enabled=False), "eve", "too late")
    told = [(one.by, one.why, one.flag.version, one.at) for one in keeping.history("new.thing")]
    assert told == [("bob", "it works", 2, 1000.0), ("ada", "to begin with", 1, 1000.0)]
    assert second.version == 2
    assert keeping.history("other") == []


def test_writers_at_the_same_time_lose_nothing(keeping):
    def write(number):
        keeping.put(boolean(f"flag.{number}", "x", "ada", UNTIL), "ada", "x")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keeping.load().flags) == 12


def test_changes_are_seen_in_the_background(keeping):
    flags = Flags(keeping)
    seen = []
    flags.changed.append(lambda: seen.append(flags.on("new.thing")))
    flags.start()
    try:
        keeping.put(changed(NEW, serve={"variant": "on"}), "ada", "on")
        began = time.monotonic()
        until(lambda: flags.on("new.thing"), "the change")
        assert time.monotonic() - began < 5  # a second on a quiet machine
        assert seen[-1] is True
    finally:
        flags.stop()


def test_out_of_reach_the_last_ones_hold_also_over_a_restart(keeping, tmp_path, monkeypatch):
    last = tmp_path / "last.json"
    keeping.put(changed(NEW, serve={"variant": "on"}), "ada", "on")
    flags = Flags(keeping, last=last)
    flags.look()
    assert flags.on("new.thing")

    def away():
        raise OSError(110, "timed out")

    monkeypatch.setattr(keeping, "mark", away)
    assert not flags.look()
    assert flags.stale
    assert flags.on("new.thing")
    again = Flags(keeping, last=last)
    again.start()
    again.stop()
    assert again.stale
    assert again.on("new.thing")
    assert again.on(MUTANTS)
    monkeypatch.undo()
    assert again.look()
    assert not again.stale


def test_one_flag_that_cannot_be_read_takes_nothing_away(file, tmp_path):
    keeping = file
    keeping.put(changed(NEW, serve={"variant": "on"}), "ada", "on")
    keeping.put(COLOUR, "ada", "new")
    flags = Flags(keeping)
    flags.look()
    path = tmp_path / "flags.json"
    found = json.loads(path.read_text())
    found["flags"]["new.thing"]["bucketing"] = 7
    path.write_text(json.dumps(found))
    flags.look()
    assert flags.unreadable == ("new.thing",)
    assert flags.on("new.thing"), "it stays what it was"
    assert flags.evaluate("colour", Context(user="ada")).variant in {"a", "b"}
    path.write_text("{")
    assert not flags.look()
    assert flags.stale
    with pytest.raises(ConfigurationError, match="no JSON"):
        keeping.load()


def test_expired_flags_are_reported(keeping):
    keeping.put(changed(NEW, expires="2026-01-01"), "ada", "old")
    flags = Flags(keeping, known={})
    flags.look()
    assert [flag.key for flag in flags.expired(date(2026, 1, 2))] == ["new.thing"]
    assert flags.expired(date(2026, 1, 1)) == []


def test_who_is_shown_a_variant_is_told_once(keeping, monkeypatch):
    shown = []
    flags = Flags(keeping, exposed=shown.append)
    kept = keeping.put(COLOUR, "ada", "x")
    keeping.put(changed(NEW, serve={"variant": "on"}), "ada", "x")
    flags.look()
    for _ in range(3):
        for user in ("ada", "bob", None):
            flags.evaluate("colour", Context(user=user))
            flags.evaluate("new.thing", Context(user=user))
    assert [(one.flag, one.unit) for one in shown] == [("colour", "ada"), ("colour", "bob")]
    assert {one.variant for one in shown} <= {"a", "b"}
    keeping.put(changed(kept, serve={"split": {"b": 100.0}}), "ada", "x")
    flags.look()
    flags.evaluate("colour", Context(user="ada"))
    assert shown[-1].version == 2
    monkeypatch.setattr(live, "_EXPOSURES_REMEMBERED", 2)
    for number in range(10):
        flags.evaluate("colour", Context(user=f"u{number}"))
    assert len(flags._seen) == 2


# -- OpenFeature ------------------------------------------------------------------------------


def test_openfeature_answers_with_value_variant_reason_and_never_raises(keeping):
    keeping.put(changed(NEW, serve={"variant": "on", "percent": 100.0}), "ada", "x")
    keeping.put(COLOUR, "ada", "x")
    flags = Flags(keeping)
    flags.look()
    asked = client(flags)
    ada = EvaluationContext("ada", {"roles": ["admin"]})
    found = asked.get_boolean_details("new.thing", False, ada)
    assert (found.value, found.variant, found.reason) == (True, "on", "SPLIT")
    assert asked.get_boolean_value("new.thing", True) is False, "nobody to tell apart: the default"
    assert asked.get_string_value("colour", "black", ada) in {"red", "blue"}
    assert asked.get_integer_value(PARALLELISM, 1) == 100
    missing = asked.get_boolean_details("nothing", True)
    assert (missing.value, missing.error_code) == (True, ErrorCode.FLAG_NOT_FOUND)
    other = asked.get_string_details("new.thing", "no", ada)
    assert (other.value, other.error_code) == ("no", ErrorCode.TYPE_MISMATCH)
    assert asked.get_object_details("colour", {}).error_code == ErrorCode.TYPE_MISMATCH


def test_openfeature_is_told_of_changes(keeping):
    from openfeature.event import ProviderEvent

    flags = Flags(keeping)
    told = []
    asked = client(flags)
    asked.add_handler(ProviderEvent.PROVIDER_CONFIGURATION_CHANGED, lambda details: told.append(1))
    keeping.put(NEW, "ada", "x")
    flags.look()
    until(lambda: told, "the event")
