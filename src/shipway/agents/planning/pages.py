"""Plans how a list answers: its paging style, and what stands around the items."""

from __future__ import annotations

from collections.abc import Iterator

from shipway.agents.planning.doubts import Doubts, NotPlannable
from shipway.agents.planning.parameters import LIMIT
from shipway.agents.planning.places import Listing
from shipway.contracts.service_plan import PagePlan, ParameterPlan, SortKey
from shipway.specs.document import Document, Operation
from shipway.specs.names import folded
from shipway.specs.shapes import Shape, shape

_SOURCES = {
    "total": "total", "totalcount": "total", "totalitems": "total", "totalelements": "total",
    "totalresults": "total", "itemcount": "total", "totalrecords": "total",
    "offset": "offset", "skip": "offset", "start": "offset",
    "page": "page", "pagenumber": "page", "currentpage": "page", "number": "page",
    "pages": "pages", "totalpages": "pages", "pagecount": "pages", "lastpage": "pages",
    "nextcursor": "next_cursor", "nextpagetoken": "next_cursor", "nexttoken": "next_cursor",
    "next": "next_cursor", "cursor": "next_cursor",
    "hasmore": "has_more", "hasnext": "has_more", "more": "has_more", "hasnextpage": "has_more",
}  # fmt: skip
_TYPES = {
    "total": "integer", "offset": "integer", "page": "integer", "pages": "integer",
    "limit": "integer", "count": "integer", "next_cursor": "string", "has_more": "boolean",
}  # fmt: skip
_CEILING = 200


def page_plan(
    document: Document,
    operation: Operation,
    listing: Listing,
    parameters: list[ParameterPlan],
    doubts: Doubts,
) -> PagePlan:
    """The page of a list; raises NotPlannable when a required member has no known meaning."""
    roles = {one.role: one for one in parameters}
    style = _style(set(roles))
    limit, page = roles.get("limit"), roles.get("page")
    default, most = _limits(limit)
    echo = {} if listing.wrapper is None else dict(
        _members(document, operation, listing.wrapper, listing.member, style, doubts)
    )  # fmt: skip
    total = next((name for name, source in echo.items() if source == "total"), None)
    if style == "none" and listing.wrapper is None:
        doubts.note(
            operation.name,
            "The list has no parameter for a page. How many rows does it answer with?",
            "With all of them.",
        )
    return PagePlan.model_validate(
        {
            "style": style, "items": listing.member, "total": total,
            "echo": {name: source for name, source in echo.items() if name != total},
            "default_limit": default, "max_limit": most, "first_page": _first(page),
        }
    )  # fmt: skip


def _style(roles: set[str]) -> str:
    for style in ("cursor", "page", "offset"):
        if style in roles:
            return style
    return "offset" if "limit" in roles else "none"


def _limits(limit: ParameterPlan | None) -> tuple[int, int]:
    if limit is None:
        return 50, _CEILING
    said = limit.field.limits
    most = said.maximum if said.maximum is not None else said.exclusive_maximum
    default = limit.field.default if isinstance(limit.field.default, int) else None
    ceiling = int(most) if most is not None else _CEILING
    if most is not None and said.maximum is None:
        ceiling -= 1
    first = default if default is not None else min(50, ceiling)
    return first, max(ceiling, first)


def _first(page: ParameterPlan | None) -> int:
    if page is None:
        return 1
    return 0 if 0 in {page.field.default, page.field.limits.minimum} else 1


def _members(
    document: Document,
    operation: Operation,
    form: Shape,
    items: str | None,
    style: str,
    doubts: Doubts,
    above: str = "",
) -> Iterator[tuple[str, str]]:
    """Each member of a wrapper but the items, dotted where nested, and what it holds."""
    for name, node in form.properties.items():
        if name == items and not above:
            continue
        inner = shape(document, node)
        path = f"{above}{name}"
        if inner.is_object and inner.properties and not above:
            yield from _members(document, operation, inner, None, style, doubts, f"{path}.")
            continue
        source = _source(name, style, inner)
        if source is not None:
            yield path, source
        elif name in form.required:
            raise NotPlannable(f"nothing says what {path!r} of the page holds")
        else:
            doubts.note(
                node.pointer, f"What does {path!r} of the page hold?", "It is left out of answers."
            )


def _source(name: str, style: str, inner: Shape) -> str | None:
    word = folded(name)
    if word in {"count", "size", "pagesize"} and style == "none":
        source = "count"
    elif word in LIMIT:
        source = "limit"
    elif word == "count":
        source = "count"
    else:
        source = _SOURCES.get(word, "")
    if source in {"page", "pages"} and style != "page":
        return None
    if source == "next_cursor" and (style != "cursor" or inner.format in {"uri", "uri-reference"}):
        return None
    if inner.types and _TYPES.get(source) not in inner.types:
        is_number = _TYPES.get(source) == "integer" and "number" in inner.types
        return source if is_number else None
    return source or None


def default_sort(parameters: list[ParameterPlan]) -> list[SortKey]:
    """The order that a sort parameter has by default."""
    for one in parameters:
        if one.role == "sort" and one.field.has_default:
            return [key for key in one.sort if key.value == one.field.default]
    return []
