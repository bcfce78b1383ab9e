"""Peers on N, N-1 and N-2 understand each other, both ways; what is older is refused in time."""

from __future__ import annotations

import json

import golden_files
import pytest
from hypothesis import given
from hypothesis import strategies as st
from parcels import PARCELS, RequestOne, RequestThree, ResultThree

from shipway.contracts.compare import compare, described
from shipway.contracts.envelope import Task
from shipway.contracts.registry import CONTRACTS, Contract
from shipway.contracts.versions import Edition, History
from shipway.engine.check import check_request, check_result
from shipway.errors import ContractError

SEND = Contract("send", 3, RequestThree, ResultThree, versions=PARCELS)
OLD = {"addressee": "Ada", "place": "London, England", "legacy_code": "x"}
NEW = {"recipient": "Ada", "town": "London", "country": "England", "express": True}


def test_a_request_goes_up_and_down_over_two_versions():
    up = PARCELS.cast("request", OLD, 1, 3)
    assert up == {"recipient": "Ada", "town": "London", "country": "England", "express": False}
    down = PARCELS.cast("request", NEW, 3, 1)
    assert down == {"addressee": "Ada", "place": "London, England", "legacy_code": "none"}
    assert OLD["addressee"] == "Ada", "what was sent is not changed by a cast"


def test_what_an_older_version_cannot_carry_is_declared():
    assert PARCELS.lost("request", 3, 1) == ("express",)
    assert PARCELS.lost("result", 3, 2) == ("weight_g",)
    assert PARCELS.lost("request", 2, 1) == PARCELS.lost("request", 1, 3) == ()


name = st.text(st.characters(exclude_characters=",", codec="utf-8"), min_size=1)


@given(name, name, name, st.booleans())
def test_only_what_is_declared_as_lost_changes_on_the_way_down_and_up(who, town, land, express):
    sent = {"recipient": who, "town": town, "country": land, "express": express}
    for version in (2, 1):
        back = PARCELS.cast("request", PARCELS.cast("request", sent, 3, version), version, 3)
        changed = {key for key in sent if back[key] != sent[key]}
        assert changed <= set(PARCELS.lost("request", 3, version))


def task(version, request):
    return Task(
        capability="send", version=version, run="r", stage="s", attempt=1, token=1, agent="a",
        key="k", traceparent="t", deadline=None, request=request,
    )  # fmt: skip


class NoFiles:
    def verify(self, _ref):
        return True


@pytest.mark.parametrize(
    ("version", "request_", "answer"),
    [
        (1, OLD, {"parcel": "p"}),
        (2, {**PARCELS.cast("request", OLD, 1, 2)}, {"parcel": "p"}),
        (3, NEW, {"parcel": "p", "weight_g": 7}),
    ],
)
def test_an_agent_on_n_serves_runs_pinned_to_older_versions(version, request_, answer):
    given_ = check_request(SEND, task(version, request_))
    assert isinstance(given_, RequestThree)
    assert given_.recipient == "Ada"
    done = check_result(SEND, ResultThree(parcel="p", weight_g=7), NoFiles(), version)
    assert done == answer


@pytest.mark.parametrize(("version", "known"), [(1, True), (2, True), (3, True), (0, False)])
def test_who_is_too_old_is_refused_at_registration(version, known):
    if known:
        PARCELS.admit(version, "worker w1")
        return
    with pytest.raises(ContractError, match="speaks version 0 of send, and 1 to 3 are understood"):
        PARCELS.admit(version, "worker w1")


def test_n_minus_three_is_refused_although_its_messages_are_known():
    four = History("send", *PARCELS.editions.values(), Edition(4, RequestThree, ResultThree))
    with pytest.raises(ContractError, match="2 to 4 are understood"):
        four.admit(1, "worker w1")
    with pytest.raises(ContractError):
        four.cast("request", OLD, 1, 4)
    with pytest.raises(ContractError, match="no longer understands"):
        PARCELS.admit(6, "worker w2")
    PARCELS.admit(5, "worker w3")


def test_a_cast_that_does_not_fit_its_version_is_an_error_that_names_fields_only():
    with pytest.raises(ContractError) as wrong:
        PARCELS.cast("request", {**OLD, "hunter2": "hunter2"}, 1, 2)
    assert "version 1" in wrong.value.message
    assert "place" not in wrong.value.message


# -- golden files -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "now"), list(golden_files.files()), ids=lambda one: getattr(one, "stem", "")
)
def test_a_released_version_is_never_changed(path, now):
    assert path.exists(), "write it: .venv/bin/python tests/contracts/golden_files.py"
    changed = compare(json.loads(path.read_text("utf-8")), now)
    assert changed.compatible, f"give it a new version, with casts: {changed}"


def test_every_built_in_capability_has_its_first_version_kept():
    names = {path.name for path in golden_files.FOLDER.glob("*.json")}
    assert {f"{capability}-1.json" for capability in CONTRACTS} <= names


def kept():
    return described(RequestThree, ResultThree)


def change(**fields):
    """The contract with other properties of the request."""
    new = kept()
    for side in ("reads", "writes"):
        schema = new["request"][side]
        for field, to in fields.items():
            if to is None:
                del schema["properties"][field]
                schema["required"] = [one for one in schema["required"] if one != field]
            else:
                schema["properties"][field] = to
    return new


@pytest.mark.parametrize(
    ("new", "forward", "backward"),
    [
        (kept(), [], []),
        (change(town=None), ["/town"], ["/town"]),
        (change(express={"type": "integer"}), ["/express"], ["/express"]),
        (change(town={"type": "string", "maxLength": 5}), [], ["/town"]),
        (change(town={"type": "string", "enum": ["Bath"]}), [], ["/town"]),
        (change(town={"anyOf": [{"type": "string"}, {"type": "null"}]}), ["/town"], []),
        (change(extra={"type": "string"}), ["/extra"], []),
        (described(RequestOne, ResultThree), None, None),
    ],
)
def test_a_change_is_judged_in_each_direction(new, forward, backward):
    found = compare(kept(), new)
    if forward is None:
        assert found.forward
        assert found.backward
        return
    assert [one.place for one in found.forward] == forward
    assert [one.place for one in found.backward] == backward
    assert found.compatible is (not forward and not backward)


def test_the_commands_list_show_and_check(shipway, tmp_path):
    listed = json.loads(shipway("contract", "list", "--json").stdout)
    assert {row["capability"] for row in listed} == set(CONTRACTS)
    shown = shipway("contract", "show", "plan@1").stdout
    assert shipway("contract", "check", "plan", "plan@1").returncode == 0
    changed = json.loads(shown)
    changed["request"]["reads"]["required"] = ["nothing_that_is_sent"]
    (tmp_path / "new.json").write_text(json.dumps(changed))
    done = shipway("contract", "check", "plan", str(tmp_path / "new.json"))
    assert done.returncode == 1
    assert "the new one reads what the old one writes: 1 break" in done.stdout
    assert shipway("contract", "show", "nothing").returncode == 6
