"""Whatever a document calls something, its identifier is safe, unique and always the same."""

from __future__ import annotations

import builtins
import keyword

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from shipway.specs.names import MAX_LENGTH, Names, column, folded, pascal, singular, snake


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("dueOn", "due_on"), ("HTTPServer", "http_server"), ("class", "class_"), ("id", "id"),
        ("schema", "schema_"), ("copy", "copy_"), ("model_dump", "model_dump_"), ("1st", "n_1_st"),
        ("../etc/passwd", "etc_passwd"), ("naïve", "naive"), ("list", "list_"), ("due-on", "due_on"),
    ],
)  # fmt: skip
def test_names_read_well(name: str, expected: str) -> None:
    assert snake(name) == expected


def test_sql_words_are_only_avoided_in_columns() -> None:
    assert (snake("order"), column("order")) == ("order", "order_")


@given(st.text())
def test_every_name_is_safe(text: str) -> None:
    for name in (snake(text), column(text), pascal(text)):
        assert name.isidentifier()
        assert name.isascii()
        assert not keyword.iskeyword(name)
        assert len(name) <= MAX_LENGTH + 1
        assert not name.startswith("_")
    attribute = snake(text)
    assert attribute not in set(dir(BaseModel)) or attribute == "id"
    assert attribute not in set(dir(builtins)) - {"id", "type", "format", "hash"}
    assert attribute == snake(text)


@given(st.lists(st.text(max_size=6), max_size=30))
def test_names_are_unique_in_any_case(texts: list[str]) -> None:
    names = Names()
    given_out = [names.unique(snake(text)).lower() for text in texts]
    assert len(set(given_out)) == len(texts)


def test_letters_that_are_lost_do_not_make_names_equal() -> None:
    assert snake("名前") != snake("住所")
    assert snake("größe") != snake("große")


@pytest.mark.parametrize(
    ("many", "one"),
    [
        ("books", "book"), ("categories", "category"), ("addresses", "address"), ("boxes", "box"),
        ("status", "status"), ("people", "person"), ("branches", "branch"), ("news", "news"),
        ("class", "class"), ("s", "s"),
    ],
)  # fmt: skip
def test_one_of_many(many: str, one: str) -> None:
    assert singular(many) == one


def test_folding_forgets_case_and_separators() -> None:
    assert folded("bookId") == folded("book_id") == folded("BOOK-ID") == "bookid"
