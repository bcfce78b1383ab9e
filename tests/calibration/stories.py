"""Small libraries with real faults, what mends each, and what shows it: a corpus is grown from them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """An expression and what it is worth; ``wanted`` beginning with ``!`` is an error instead."""

    given: str
    wanted: str


@dataclass(frozen=True)
class Fix:
    """A fault as it stands in the source, and how it is mended."""

    name: str
    subject: str
    old: str
    new: str
    checks: tuple[Check, ...]


@dataclass(frozen=True)
class Story:
    """A module, what its first tests show, and its three faults in the order they are mended."""

    module: str
    about: str
    source: str
    first: tuple[Check, ...]
    fixes: tuple[Fix, ...]


SLUGS = Story(
    "slugs",
    "Names for addresses",
    '''"""Names for addresses, made of titles."""

import re

WORD = re.compile(r"[a-z0-9]+")


def slug(title, limit=40):
    """The words of a title, joined by hyphens."""
    words = WORD.findall(title.lower())
    return "-".join(words)[:limit]


def unique(wanted, taken):
    """The name itself, or with the first free number behind it."""
    if wanted not in taken:
        return wanted
    number = 2
    while f"{wanted}-{number}" in taken:
        number += 2
    return f"{wanted}-{number}"


def split(name):
    """A name's words."""
    return name.split("-")
''',
    (Check('slugs.slug("Hello World")', '"hello-world"'), Check('slugs.split("a-b")', '["a", "b"]')),
    (
        Fix(
            "cut", "Fix names that end in a hyphen when they are cut",
            '    return "-".join(words)[:limit]\n',
            '    return "-".join(words)[:limit].rstrip("-")\n',
            (Check('slugs.slug("abc def", 4)', '"abc"'), Check('slugs.slug("a b c", 3)', '"a-b"')),
        ),
        Fix(
            "number", "Fix numbers left out between names",
            "        number += 2\n", "        number += 1\n",
            (
                Check('slugs.unique("a", {"a", "a-2"})', '"a-3"'),
                Check('slugs.unique("a", {"a"})', '"a-2"'),
            ),
        ),
        Fix(
            "empty", "Fix the empty name, which has no words",
            '    return name.split("-")\n', '    return name.split("-") if name else []\n',
            (Check('slugs.split("")', "[]"), Check('slugs.split("a")', '["a"]')),
        ),
    ),
)  # fmt: skip

SPANS = Story(
    "spans",
    "Intervals of whole numbers",
    '''"""Intervals of whole numbers, as pairs of a first and a last one."""


def overlap(one, other):
    """Whether two intervals share a number."""
    return one[0] < other[1] and other[0] < one[1]


def merged(spans):
    """The same numbers in as few intervals as can be."""
    found = []
    for first, last in sorted(spans):
        if found and first <= found[-1][1]:
            found[-1] = (found[-1][0], last)
        else:
            found.append((first, last))
    return found


def size(span):
    """How many numbers are in it."""
    first, last = span
    if last < first:
        raise KeyError(span)
    return last - first + 1
''',
    (Check("spans.size((1, 3))", "3"), Check("spans.merged([(1, 2), (5, 6)])", "[(1, 2), (5, 6)]")),
    (
        Fix(
            "touch", "Fix intervals that share their end only",
            "    return one[0] < other[1] and other[0] < one[1]\n",
            "    return one[0] <= other[1] and other[0] <= one[1]\n",
            (
                Check("spans.overlap((1, 3), (3, 5))", "True"),
                Check("spans.overlap((1, 2), (4, 5))", "False"),
            ),
        ),
        Fix(
            "inside", "Fix an interval that lies inside another one",
            "            found[-1] = (found[-1][0], last)\n",
            "            found[-1] = (found[-1][0], max(last, found[-1][1]))\n",
            (
                Check("spans.merged([(1, 9), (2, 3)])", "[(1, 9)]"),
                Check("spans.merged([(1, 4), (3, 7)])", "[(1, 7)]"),
            ),
        ),
        Fix(
            "error", "Fix the error of an interval that ends before it begins",
            "        raise KeyError(span)\n",
            '        raise ValueError(f"{span} ends before it begins")\n',
            (Check("spans.size((3, 1))", "!ValueError"), Check("spans.size((3, 3))", "1")),
        ),
    ),
)  # fmt: skip

MONEY = Story(
    "money",
    "Amounts in cents",
    '''"""Amounts of money, kept in whole cents."""


def parse(text):
    """An amount as people write it."""
    whole, _, cents = text.strip().partition(".")
    return int(whole) * 100 + int(cents or 0)


def share(amount, people):
    """What each pays, so that the sum is the amount."""
    each = amount // people
    return [each] * people


def show(amount):
    """An amount as people read it."""
    return f"{amount // 100}.{amount % 100:02d}"
''',
    (Check('money.parse("12.34")', "1234"), Check("money.show(1234)", '"12.34"')),
    (
        Fix(
            "tenths", "Fix amounts with one digit behind the point",
            "int(cents or 0)\n", 'int(cents.ljust(2, "0"))\n',
            (Check('money.parse("1.5")', "150"), Check('money.parse("7")', "700")),
        ),
        Fix(
            "rest", "Fix cents that nobody paid",
            "    return [each] * people\n",
            "    rest = amount % people\n    return [each + 1] * rest + [each] * (people - rest)\n",
            (Check("money.share(100, 3)", "[34, 33, 33]"), Check("money.share(9, 3)", "[3, 3, 3]")),
        ),
        Fix(
            "debt", "Fix how debts are shown",
            '    return f"{amount // 100}.{amount % 100:02d}"\n',
            '    sign = "-" if amount < 0 else ""\n    whole, cents = divmod(abs(amount), 100)\n'
            '    return f"{sign}{whole}.{cents:02d}"\n',
            (Check("money.show(-150)", '"-1.50"'), Check("money.show(5)", '"0.05"')),
        ),
    ),
)  # fmt: skip

TABLES = Story(
    "tables",
    "Text in columns",
    '''"""Text in columns, for terminals."""


def widths(rows):
    """How wide each column has to be."""
    return [max(len(cell) for cell in column) for column in zip(*rows)]


def line(cells, room):
    """One row, its cells as wide as they are told."""
    return " ".join(cell.ljust(width) for cell, width in zip(cells, room))


def shorten(text, limit):
    """The text, or its beginning and a mark."""
    if len(text) < limit:
        return text
    return text[: limit - 1] + "~"
''',
    (Check('tables.widths([["a", "bb"]])', "[1, 2]"), Check('tables.shorten("abcdef", 3)', '"ab~"')),
    (
        Fix(
            "trail", "Fix spaces at the end of lines",
            '    return " ".join(cell.ljust(width) for cell, width in zip(cells, room))\n',
            "    cells = [cell.ljust(width) for cell, width in zip(cells, room)]\n"
            '    return " ".join(cells).rstrip()\n',
            (Check('tables.line(["a", "b"], [2, 3])', '"a  b"'), Check('tables.line([""], [3])', '""')),
        ),
        Fix(
            "fits", "Fix text that was shortened though it fits",
            "    if len(text) < limit:\n", "    if len(text) <= limit:\n",
            (
                Check('tables.shorten("abc", 3)', '"abc"'),
                Check('tables.shorten("abcd", 3)', '"ab~"'),
            ),
        ),
        Fix(
            "ragged", "Fix rows of different lengths",
            "    return [max(len(cell) for cell in column) for column in zip(*rows)]\n",
            "    most = max((len(row) for row in rows), default=0)\n"
            "    return [max(len(row[n]) for row in rows if n < len(row)) for n in range(most)]\n",
            (
                Check('tables.widths([["a"], ["bb", "c"]])', "[2, 1]"),
                Check("tables.widths([])", "[]"),
            ),
        ),
    ),
)  # fmt: skip

STORIES = (SLUGS, SPANS, MONEY, TABLES)
