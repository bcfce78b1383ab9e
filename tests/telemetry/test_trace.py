"""The W3C trace context codec, case by case of the specification's level 2."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipway.telemetry.trace import Trace, child, new, parse

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GOOD = f"00-{TRACE}-{SPAN}-01"


@pytest.mark.parametrize(
    ("header", "sent_on"),
    [
        (GOOD, f"00-{TRACE}-{SPAN}-01"),
        (f"00-{TRACE}-{SPAN}-00", f"00-{TRACE}-{SPAN}-00"),
        (f"00-{TRACE}-{SPAN}-03", f"00-{TRACE}-{SPAN}-03"),
        (f"00-{TRACE}-{SPAN}-ff", f"00-{TRACE}-{SPAN}-03"),
        (f"  {GOOD}\t", GOOD),
        (f"cc-{TRACE}-{SPAN}-01", GOOD),
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like", GOOD),
        (f"01-{TRACE}-{SPAN}-09", GOOD),
    ],
)
def test_a_valid_parent_is_kept_and_sent_on_as_version_00(header, sent_on):
    assert parse(header).traceparent == sent_on


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "00",
        f"ff-{TRACE}-{SPAN}-01",
        f"0-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01.",
        f"cc-{TRACE}-{SPAN}-01.what-the-future-will-be-like",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"00-{TRACE[:-1]}.-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN[:-1]}-01",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-.0",
        f"00-{TRACE}-{SPAN}-0x",
        f"00-{TRACE}-{SPAN}",
        f"00_{TRACE}_{SPAN}_01",
        f"٠٠-{TRACE}-{SPAN}-01",
        [GOOD, GOOD],
        [GOOD, f"00-{TRACE[::-1]}-{SPAN}-01"],
    ],
)
def test_anything_else_begins_a_new_trace(header):
    begun = parse(header, "a=1")
    assert begun.trace_id != TRACE
    assert begun.state == ()
    assert parse(begun.traceparent) == begun


@pytest.mark.parametrize(
    ("header", "kept"),
    [
        ("foo=1,bar=2", "foo=1,bar=2"),
        ("foo=1 \t , \t bar=2", "foo=1,bar=2"),
        (["foo=1", "bar=2"], "foo=1,bar=2"),
        (["foo=1", ""], "foo=1"),
        ("foo=1,", "foo=1"),
        ("foo=1,,bar=2", "foo=1,bar=2"),
        ("a@b=1", "a@b=1"),
        ("0a-_*/=1", "0a-_*/=1"),
        (f"{'z' * 256}=1", f"{'z' * 256}=1"),
        (f"a={'1' * 256}", f"a={'1' * 256}"),
        ("a= 1", "a= 1"),
        ("a==1", ""),
        (",".join(f"k{n}=1" for n in range(32)), ",".join(f"k{n}=1" for n in range(32))),
        (",".join(f"k{n}=1" for n in range(33)), ""),
        ("foo=1,foo=1", ""),
        ("foo =1", ""),
        ("FOO=1", ""),
        ("foo=", ""),
        ("foo", ""),
        ("=1", ""),
        ("@a=1", ""),
        (f"{'z' * 257}=1", ""),
        (f"a={'1' * 257}", ""),
        ("foo=\u00e4", ""),
        ("foo=1\x7f", ""),
    ],
)
def test_tracestate_is_kept_whole_or_dropped_without_losing_the_parent(header, kept):
    trace = parse(GOOD, header)
    assert trace.traceparent == GOOD
    assert trace.tracestate == kept


def test_a_child_is_a_new_span_of_the_same_trace():
    parent = parse(GOOD, "a=1")
    span = parent.child()
    assert (span.trace_id, span.state, span.sampled) == (TRACE, (("a", "1"),), True)
    assert span.span_id != parent.span_id
    assert parse(child(GOOD)).trace_id == TRACE


def test_new_traces_are_all_different_and_valid():
    made = {new() for _ in range(1000)}
    assert len(made) == 1000
    assert all(parse(header).traceparent == header for header in made)


@given(st.text(max_size=80), st.text(max_size=80))
def test_no_header_makes_the_reader_fail(parent, state):
    assert isinstance(parse(parent, state), Trace)
