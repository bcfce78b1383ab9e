"""Names and texts of documents stay names and texts, whatever they hold."""

from __future__ import annotations

import ast
import keyword

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipway.agents.scaffolding import words
from shipway.agents.scaffolding.kinds import ecma
from shipway.agents.scaffolding.layout import Call, json_code, lay

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.text())
def test_any_text_becomes_an_identifier(text):
    name = words.snake(text, {"taken"})
    assert name.isidentifier()
    assert not keyword.iskeyword(name)
    assert name != "taken"
    assert words.pascal(text).isidentifier()


@given(st.text())
def test_a_string_literal_says_what_the_text_says(text):
    assert ast.literal_eval(words.quoted(text)) == text
    assert ast.literal_eval(words.raw(text)) == text


@given(st.text(), st.integers(0, 8))
def test_a_docstring_is_one_string_and_fits(text, indent):
    source = words.docstring(words.sentence(text, "nothing"), indent)
    assert isinstance(ast.literal_eval(source), str)
    assert all(len(line) <= 100 for line in source.split("\n"))


@given(JSON)
def test_json_as_code_means_the_same(value):
    assert ast.literal_eval(lay(json_code(value), 4)) == value


@pytest.mark.parametrize(
    ("hidden", "shown"),
    [
        ("json", "json_service"),
        ("import", "import_"),
        ("fastapi", "fastapi_service"),
        ("", "service"),
    ],
)
def test_a_package_hides_nothing(hidden, shown):
    assert words.package(hidden) == shown


def test_what_does_not_fit_is_opened_up_like_the_formatter_does():
    short = Call("f(", ["a", "b"], ")")
    assert lay(short) == "f(a, b)"
    long = Call("find(", ["a" * 60, "b" * 34], ")")
    assert lay(long) == f"find(\n    {'a' * 60}, {'b' * 34}\n)"
    listed = Call("x = [", ["a" * 60, "b" * 40], "]")
    assert lay(listed) == f"x = [\n    {'a' * 60},\n    {'b' * 40},\n]"


@pytest.mark.parametrize(
    ("pattern", "meant"),
    [(r"^\d+$", "^[0-9]+$"), (r"[\d-]", "[0-9-]"), (r"\w\/", "[0-9A-Za-z_]/"), (r"\\d", r"\\d")],
)
def test_patterns_mean_what_they_mean_in_ecmascript(pattern, meant):
    assert ecma(pattern) == meant


@pytest.mark.parametrize(
    ("path", "reached"), [("/a/../b", "/b"), ("/../../b", "/b"), ("/a/./b", "/a/b"), ("/a", "/a")]
)
def test_dots_in_paths_are_resolved_as_clients_do(path, reached):
    assert words.reachable(path) == reached
