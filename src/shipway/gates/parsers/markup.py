"""Walks an XML report without expanding, fetching or believing anything that it declares."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from xml.parsers import expat

from shipway.gates.parsers.reading import LIMIT, UnreadableReportError

DEPTH = 32


def walk(
    data: bytes, start: Callable[[str, dict[str, str]], None], end: Callable[[str], None],
    characters: Callable[[str], None] | None = None, *, doctype: bool = False,
) -> None:  # fmt: skip
    """Call back for each element; raises UnreadableReportError for what is cut off or hostile.

    With ``doctype`` a report may name its type; one that declares anything itself may not.
    """
    if len(data) > LIMIT:
        raise UnreadableReportError(f"the report is larger than {LIMIT} bytes")
    depth = 0

    def refuse(*_: Any) -> None:
        raise UnreadableReportError("the report declares a document type or an entity")

    def named(_name: str, _system: str | None, _public: str | None, own: int) -> None:
        if own or not doctype:
            refuse()

    def opened(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > DEPTH:
            raise UnreadableReportError("the report is nested too deeply")
        start(name, attributes)

    def closed(name: str) -> None:
        nonlocal depth
        depth -= 1
        end(name)

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = named
    parser.EntityDeclHandler = refuse
    parser.StartElementHandler = opened
    parser.EndElementHandler = closed
    if characters is not None:
        parser.CharacterDataHandler = characters
    parser.buffer_text = True
    try:
        parser.Parse(data, True)
    except UnreadableReportError:
        raise
    except (expat.ExpatError, ValueError, LookupError):
        # An encoding that Python does not know is a LookupError or a ValueError here.
        raise UnreadableReportError("the report is not XML, or was cut off") from None
