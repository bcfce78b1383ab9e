"""Pages of the list of runs: filtered, sorted, and as quick at the end of a long list as at its head."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from shipway.errors import UsageError
from shipway.store.database import Connection
from shipway.store.ledger import RUN, RunRow

Sort = Literal["newest", "oldest", "last ended", "first ended"]
SORTS: tuple[Sort, ...] = ("newest", "oldest", "last ended", "first ended")
LONGEST_PAGE = 500
#: Rows looked at for one page at most; a filter that finds little gives a short page then.
_LOOKED_AT = 5000
_CHUNK = 500

#: (key, number, status, pipeline, title): what a filter looks at.
_Brief = tuple[float, int, str, str, str]


@dataclass(frozen=True, slots=True)
class Filter:
    """Which runs: in any of the statuses, of a pipeline by name, with a text in the title.

    A text that is a number also finds the run with that number.
    """

    statuses: tuple[str, ...] = ()
    pipeline: str | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class RunPage:
    """``next`` is what the following page is asked for with; None after the last one.

    A page may be shorter than asked, even empty, and still have a next one.
    """

    rows: list[RunRow]
    next: str | None


def page(
    connection: Connection,
    wanted: Filter,
    *,
    sort: Sort = "newest",
    limit: int = 50,
    after: str | None = None,
) -> RunPage:
    """The runs that are wanted, after the place ``after``; raises UsageError for a wrong place."""
    limit = max(1, min(limit, LONGEST_PAGE))
    start = None if after is None else _place(after)
    found: list[_Brief] = []
    last: _Brief | None = None
    looked_at = 0
    for brief in _merged(connection, wanted, sort, start, limit):
        if looked_at == _LOOKED_AT or len(found) == limit:
            assert last is not None  # noqa: S101 - something was looked at before
            return RunPage(_rows(connection, found), f"{last[0]!r}:{last[1]}")
        looked_at, last = looked_at + 1, brief
        if _is_wanted(brief, wanted):
            found.append(brief)
    return RunPage(_rows(connection, found), None)


def _merged(
    connection: Connection,
    wanted: Filter,
    sort: Sort,
    start: tuple[float, int] | None,
    limit: int,
) -> Iterator[_Brief]:
    """One lane for each status where an index has them in order, else one for all."""
    backwards = sort in {"newest", "last ended"}
    by_end = sort.endswith("ended")
    chunk = limit + 1 if not (wanted.text or by_end or wanted.pipeline) else _CHUNK
    conditions: list[tuple[str, tuple[Any, ...]]] = [("", ())]
    if by_end:
        conditions = [("ended_at IS NOT NULL AND ", ())]
    elif wanted.statuses:
        conditions = [("status = ? AND ", (status,)) for status in dict.fromkeys(wanted.statuses)]
    elif wanted.pipeline is not None:
        conditions = [("pipeline_name = ? AND ", (wanted.pipeline,))]
    lanes = [
        _lane(connection, condition, values, by_end, backwards, start, chunk)
        for condition, values in conditions
    ]
    return heapq.merge(*lanes, key=_order, reverse=backwards)


def _lane(
    connection: Connection,
    condition: str,
    values: tuple[Any, ...],
    by_end: bool,
    backwards: bool,
    start: tuple[float, int] | None,
    chunk: int,
) -> Iterator[_Brief]:
    """What meets one condition, in order, a chunk at a time."""
    key, sign = ("ended_at" if by_end else "number"), ("<" if backwards else ">")
    order = "DESC" if backwards else "ASC"
    place = start or ((_BEYOND, _BEYOND_NUMBER) if backwards else (-1.0, -1))
    beyond = f"(ended_at, number) {sign} (?, ?)" if by_end else f"number {sign} ?"
    sorting = f"ended_at {order}, number {order}" if by_end else f"number {order}"
    sql = (
        f"SELECT {key}, number, status, pipeline_name, title FROM runs"  # noqa: S608 - our own words
        f" WHERE {condition}{beyond} ORDER BY {sorting} LIMIT ?"
    )
    while True:
        where = place if by_end else (int(place[0]),)
        rows = connection.execute(sql, (*values, *where, chunk)).fetchall()
        yield from (tuple(row) for row in rows)
        if len(rows) < chunk:
            return
        place = (rows[-1][0], rows[-1][1])


_BEYOND, _BEYOND_NUMBER = 1e15, 2**31 - 1


def _order(brief: _Brief) -> tuple[float, int]:
    return brief[0], brief[1]


def _is_wanted(brief: _Brief, wanted: Filter) -> bool:
    _, number, status, pipeline, title = brief
    return (
        (not wanted.statuses or status in wanted.statuses)
        and (wanted.pipeline is None or pipeline == wanted.pipeline)
        and (not wanted.text or _says(title, number, wanted.text))
    )


def _says(title: str, number: int, text: str) -> bool:
    return text.casefold() in title.casefold() or text == str(number)


def _rows(connection: Connection, briefs: list[_Brief]) -> list[RunRow]:
    if not briefs:
        return []
    numbers = [brief[1] for brief in briefs]
    places = ", ".join("?" * len(numbers))
    rows = connection.execute(f"{RUN} WHERE r.number IN ({places})", numbers)
    by_number = {row[1]: RunRow(*row) for row in rows}
    return [by_number[number] for number in numbers if number in by_number]


def _place(text: str) -> tuple[float, int]:
    try:
        key, number = text.split(":")
        place = float(key), int(number)
    except ValueError:
        raise UsageError(
            "that is no place in the list", hint="take the one that came with the page before"
        ) from None
    if not (-1 <= place[0] <= _BEYOND and -1 <= place[1] <= _BEYOND_NUMBER):
        raise UsageError("there is no such place in the list", hint="begin at its head again")
    return place
