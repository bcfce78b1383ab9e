"""Safe, unique Python and SQL identifiers for the words of a document, however hostile they are.

The same words in the same order always give the same identifiers; the words on the wire stay as
they are.
"""

from __future__ import annotations

import builtins
import hashlib
import keyword
import re
import unicodedata
from collections.abc import Iterable

MAX_LENGTH = 40
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")

_SQL = frozenset(
    """abort action add after all alter always analyze and as asc attach autoincrement before begin
    between by cascade case cast check collate column commit conflict constraint create cross
    current current_date current_time current_timestamp database default deferrable deferred delete
    desc detach distinct do drop each else end escape except exclude exclusive exists explain fail
    filter first following for foreign from full generated glob grant group groups having if ignore
    immediate in index indexed initially inner insert instead intersect into is isnull join key last
    left like limit match materialized natural no not nothing notnull null nulls of offset on or
    order others outer over partition plan pragma preceding primary query raise range recursive
    references regexp reindex release rename replace restrict returning right rollback row rows
    savepoint select session_user set table temp temporary then ties to transaction trigger
    unbounded union unique update user using vacuum values view virtual when where window with
    without""".split()
)
_PYDANTIC = frozenset(
    """construct copy dict fields_set from_orm json parse_file parse_obj parse_raw schema
    schema_json update_forward_refs validate metadata registry self cls session request response
    body query app""".split()
)
_RESERVED = (
    frozenset(keyword.kwlist) | frozenset(keyword.softkwlist) | frozenset(dir(builtins)) | _PYDANTIC
)
_HARMLESS = frozenset({"id", "type", "format", "hash", "key", "first", "last"})
"""Words that only shadow a builtin or are no reserved word in practice, and read best unchanged."""


def words(text: str) -> list[str]:
    """The words of a name, in lower case: ``dueOn`` and ``due_on`` are both due, on."""
    return [part.lower() for part in _WORD.findall(_plain(text))]


def folded(text: str) -> str:
    """A name without case and separators, for comparing names."""
    return "".join(words(text))


def snake(text: str) -> str:
    """A name in snake_case, safe to use as an identifier, not yet unique."""
    name = "_".join(words(text))
    if not name or _lost(text):
        name = "_".join(part for part in (name, _digest(text)) if part)
    if not name[0].isalpha():
        name = f"n_{name}"
    if len(name) > MAX_LENGTH:
        name = f"{name[: MAX_LENGTH - 7].rstrip('_')}_{_digest(text)}"
    reserved = name in _RESERVED and name not in _HARMLESS
    return f"{name}_" if reserved or name.startswith("model_") else name


def column(text: str) -> str:
    """A name for a table or column: like ``snake``, and no word of SQL."""
    name = snake(text)
    return f"{name}_" if name in _SQL else name


def pascal(text: str) -> str:
    """A name in PascalCase, safe to use as a class name, not yet unique."""
    parts = _WORD.findall(_plain(text))
    name = "".join(part[0].upper() + part[1:] for part in parts)
    if not name or _lost(text):
        name += _digest(text).capitalize()
    if not name[0].isalpha():
        name = f"N{name}"
    if len(name) > MAX_LENGTH:
        name = name[: MAX_LENGTH - 6] + _digest(text)
    return f"{name}_" if name in _RESERVED else name


def singular(text: str) -> str:
    """One of what a plural English word names; unchanged when it is no plural."""
    for ending, replacement in _PLURALS:
        if text.endswith(ending):
            return text[: -len(ending)] + replacement or text
    return text


_PLURALS = (
    ("people", "person"), ("children", "child"), ("statuses", "status"), ("analyses", "analysis"),
    ("sses", "ss"), ("shes", "sh"), ("ches", "ch"), ("xes", "x"), ("zzes", "zz"), ("ies", "y"),
    ("ss", "ss"), ("us", "us"), ("is", "is"), ("news", "news"), ("series", "series"), ("s", ""),
)  # fmt: skip


class Names:
    """Hands out identifiers, each only once."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = {name.lower() for name in taken}

    def unique(self, name: str) -> str:
        """``name``, or the first of name_2, name_3 ... that is free (in any case of letters)."""
        candidate, number = name, 2
        while candidate.lower() in self._taken:
            joint = "" if name[:1].isupper() else "_"
            candidate = f"{name}{joint}{number}"
            number += 1
        self._taken.add(candidate.lower())
        return candidate


def _plain(text: str) -> str:
    if text.isascii():
        return text
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()


def _lost(text: str) -> bool:
    """Whether letters were lost on the way to ASCII."""
    return any(
        character.isalnum() and not unicodedata.normalize("NFKD", character)[0].isascii()
        for character in text
    )


def _digest(text: str) -> str:
    return "h" + hashlib.sha256(text.encode()).hexdigest()[:5]
