"""Bucketing agrees with the published hash, is fair, and never takes away what it once gave."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipway.flags.bucketing import BUCKETS, WHICH, WHO, bucketing, chosen, murmur3_32
from shipway.flags.evaluate import Context, Reason, evaluator
from shipway.flags.flag import Flag, Serve

# Those of the reference implementation, and of Unleash (whose buckets are hash % 100 + 1).
HASHES = [
    (b"", 0, 0x00000000),
    (b"", 1, 0x514E28B7),
    (b"", 0xFFFFFFFF, 0x81F16F39),
    (b"\0\0\0\0", 0, 0x2362F9DE),
    (b"a", 0x9747B28C, 0x7FA09EA6),
    (b"aa", 0x9747B28C, 0x5D211726),
    (b"aaa", 0x9747B28C, 0x283E0130),
    (b"aaaa", 0x9747B28C, 0x5A97808A),
    (b"abc", 0, 0xB3DD93FA),
    (b"abcd", 0x9747B28C, 0xF0478627),
    (b"test", 0, 0xBA6BD213),
    (b"test", 0x9747B28C, 0x704B81DC),
    (b"Hello, world!", 0, 0xC0363E43),
    (b"Hello, world!", 0x9747B28C, 0x24884CBA),
    (b"The quick brown fox jumps over the lazy dog", 0, 0x2E4FF723),
    (b"The quick brown fox jumps over the lazy dog", 0x9747B28C, 0x2FA826CD),
]
UNLEASH = [
    ("gr1:123", 0, 73),
    ("groupX:999", 0, 25),
    ("gr1:123", 86028157, 96),
    ("groupX:999", 86028157, 60),
]
# Ours: these may never change while bucketing is 1.
FROZEN = [
    ("s", "new.thing", "ada", WHO, 199),
    ("s", "new.thing", "ada", WHICH, 3123),
    ("salt", "gates.mutants", "shop", WHO, 4419),
    ("salt", "gates.mutants", "日本", WHO, 5939),
    ("", "k", "", WHO, 1027),
]

USERS = [f"user-{number}" for number in range(20_000)]


def flag(serve: Serve, **given) -> Flag:
    return Flag(
        key="new.thing",
        about="a new thing",
        owner="ada",
        expires="2030-01-01",
        variants=given.pop("variants", {"on": True, "off": False}),
        default=given.pop("default", "off"),
        serve=serve,
        salt="s",
        **given,
    )


def assigned(serve: Serve, users=USERS, **given) -> dict[str, str | None]:
    evaluate = evaluator(flag(serve, **given))
    return {user: evaluate(Context(user=user)).variant for user in users}


@pytest.mark.parametrize(("data", "seed", "hashed"), HASHES)
def test_the_hash_is_the_published_one(data, seed, hashed):
    assert murmur3_32(data, seed) == hashed


@pytest.mark.parametrize(("text", "seed", "share"), UNLEASH)
def test_the_hash_is_that_of_others_who_bucket_with_it(text, seed, share):
    assert murmur3_32(text.encode(), seed) % 100 + 1 == share


@pytest.mark.parametrize(("salt", "key", "unit", "seed", "found"), FROZEN)
def test_a_bucket_once_given_is_given_for_ever(salt, key, unit, seed, found):
    assert bucketing(salt, key, seed)(unit) == found


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40), st.integers(0, 2**32 - 1))
def test_hashing_the_shared_part_once_changes_nothing(salt, key, unit, seed):
    whole = murmur3_32(f"{salt}:{key}:{unit}".encode(errors="surrogatepass"), seed)
    assert bucketing(salt, key, seed)(unit) == whole * BUCKETS >> 32


PERCENT = st.integers(0, 10_000).map(lambda share: share / 100)


@settings(max_examples=40)
@given(PERCENT, PERCENT)
def test_raising_a_percentage_takes_nobody_out(one, other):
    low, high = sorted((one, other))
    users = USERS[:400]
    few = assigned(Serve(variant="on", percent=low), users)
    many = assigned(Serve(variant="on", percent=high), users)
    assert all(many[user] == "on" for user in users if few[user] == "on")


@settings(max_examples=40)
@given(PERCENT)
def test_turning_a_rollout_into_a_split_and_back_moves_nobody(percent):
    users = USERS[:400]
    rollout = assigned(Serve(variant="on", percent=percent), users)
    split = assigned(Serve(split={"on": percent, "off": round(100 - percent, 2)}), users)
    assert split == rollout


@settings(max_examples=20)
@given(PERCENT, PERCENT)
def test_raising_the_participation_of_an_experiment_moves_no_variant(one, other):
    low, high = sorted((one, other))
    split = {"a": 30.0, "b": 70.0}
    variants = {"off": "none", "a": "red", "b": "blue"}
    users = USERS[:400]
    few = assigned(Serve(percent=low, split=split), users, variants=variants)
    many = assigned(Serve(percent=high, split=split), users, variants=variants)
    assert all(many[user] == few[user] for user in users if few[user] != "off")


def test_shares_are_what_was_asked_for():
    found = list(assigned(Serve(split={"on": 10.0, "off": 90.0})).values())
    assert abs(found.count("on") / len(USERS) - 0.10) < 0.01
    variants = {"off": "none", "a": "red", "b": "blue"}
    found = list(
        assigned(Serve(percent=20.0, split={"a": 50.0, "b": 50.0}), variants=variants).values()
    )
    # The second seed: with the first one again, all of the lowest fifth would get "a".
    assert abs(found.count("a") / len(USERS) - 0.10) < 0.01
    assert abs(found.count("b") / len(USERS) - 0.10) < 0.01


def test_nobody_at_none_and_everybody_at_all():
    assert set(assigned(Serve(variant="on", percent=0.0)).values()) == {"off"}
    assert set(assigned(Serve(variant="on", percent=100.0)).values()) == {"on"}


def test_two_flags_divide_people_differently():
    one, two = bucketing("s", "one", WHO), bucketing("s", "two", WHO)
    both = sum(one(user) < 5000 and two(user) < 5000 for user in USERS)
    assert abs(both / len(USERS) - 0.25) < 0.02


def test_boundaries_lie_between_whole_buckets():
    assert chosen(999, [("on", 1000)]) == "on"
    assert chosen(1000, [("on", 1000)]) is None
    assert chosen(1000, [("on", 1000), ("off", 9000)]) == "off"


def test_who_cannot_be_told_apart_gets_the_default_and_is_told_why():
    evaluate = evaluator(flag(Serve(variant="on", percent=99.99)))
    found = evaluate(Context(repository="shop"))
    assert (found.variant, found.reason) == ("off", Reason.DEFAULT)
