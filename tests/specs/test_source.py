"""Bytes become plain data, or an error that names the line and what to do."""

from __future__ import annotations

import re
import time

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from shipway.errors import SpecificationError
from shipway.specs.positions import lines
from shipway.specs.source import MAX_BYTES, parse

LAUGHS = "\n".join(
    ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: 1\nb: 2\na: 3", 3, 'the key "a" is there twice'),
        ('{"a": 1, "a": 2}', None, "is there twice"),
        ("a: [1, 2", 2, "not YAML"),
        ('{"a": 1,\n "b": }', 2, "not JSON"),
        ("a: &a\n  b: *a", 2, "stands inside what it repeats"),
        ("a: *nowhere", 1, "has no anchor"),
        ("a: !!python/object/apply:os.system [id]", 1, "tag is not allowed"),
        ("? [a, b]\n: c", 1, "a key is a list"),
        ("a: 1\n---\nb: 2", 2, "more than one YAML document"),
        ("a: .nan", 1, "not finite"),
        ('{"a": NaN}', None, "not a JSON number"),
        ('{"a": 1e999}', None, "too large"),
        ('{"a": "\\ud800"}', None, "surrogate"),
        ("- " * 300 + "a", 1, "nested more than"),
        ('{"a":' * 300 + "1" + "}" * 300, None, "nested more than"),
        (LAUGHS, 6, "aliases repeat far too much"),
        ("", None, "is empty"),
    ],
)
def test_unusable_text_is_refused_with_its_place(text: str, line: int | None, message: str) -> None:
    with pytest.raises(SpecificationError) as caught:
        parse(text.encode(), "api.yaml")
    assert message in caught.value.message
    assert caught.value.details["line"] == line
    assert caught.value.message.startswith("api.yaml:" if line is None else f"api.yaml:{line}:")
    assert caught.value.hint


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(SpecificationError, match="not UTF-8"):
        parse(b"a: 1\nb: \xff\xfe", "api.yaml")


def test_a_document_that_is_too_large_is_refused_at_once() -> None:
    with pytest.raises(SpecificationError, match="larger than 10 MB"):
        parse(b"a: " + b"x" * MAX_BYTES, "api.yaml")


def test_ten_megabytes_are_read_in_time() -> None:
    text = "openapi: 3.1.0\ndescription: |\n" + "  A long line of description. \n" * 330_000
    started = time.process_time()
    assert len(parse(text.encode(), "api.yaml")["description"]) > 9_000_000
    assert time.process_time() - started < 10
    dense = "paths:\n" + "".join(f"  /p{n}: {{get: {{a: [1, 2, 3]}}}}\n" for n in range(70_000))
    started = time.process_time()
    with pytest.raises(SpecificationError, match="more than 300000 values"):
        parse(dense.encode(), "api.yaml")
    assert time.process_time() - started < 10


def test_words_stay_words_and_keys_are_text() -> None:
    text = "200: {a: no, b: 2024-01-02, c: 12:30, d: 0x1f, e: '1', f: 1e3, g: ~, h: true, i: on}"
    assert parse(text.encode(), "x") == {
        "200": {
            "a": "no", "b": "2024-01-02", "c": "12:30", "d": 31, "e": "1", "f": 1000.0, "g": None,
            "h": True, "i": "on",
        }
    }  # fmt: skip


def test_aliases_and_merge_keys_are_followed() -> None:
    text = "base: &b {x: 1, y: 2}\none: {<<: *b, y: 3}\ntwo: *b"
    assert parse(text.encode(), "x") == {
        "base": {"x": 1, "y": 2}, "one": {"y": 3, "x": 1}, "two": {"x": 1, "y": 2},
    }  # fmt: skip


#: A number in YAML 1.2 that the library, which writes YAML 1.1, leaves without quotes: ``0e0``.
NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
TEXT = st.text(max_size=8).filter(lambda one: NUMBER.fullmatch(one) is None)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(TEXT, JSON, min_size=1, max_size=5))
def test_whatever_yaml_writes_is_read_back(value: dict[str, object]) -> None:
    text = yaml.safe_dump(value)
    assert parse(text.encode(), "x") == value


def test_lines_are_found_in_yaml_and_json() -> None:
    text = b"a:\n  b:\n    - x\n    - c: 1\n      d: [1,\n          2]\n"
    places = [("a", "b"), ("a", "b", "1"), ("a", "b", "1", "d", "1"), ("no", "such")]
    assert lines(text, places) == {
        ("a", "b"): 2, ("a", "b", "1"): 4, ("a", "b", "1", "d", "1"): 6,
    }  # fmt: skip
    assert lines(b'{\n "a": {\n  "b": 1}}', [("a", "b")]) == {("a", "b"): 3}
