"""Text of others made safe to show: no raw HTML, no secrets, nothing invisible."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from markupsafe import Markup

from shipway.secrets import redact

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

# Control characters, and those that reorder or hide text (Trojan Source, CVE-2021-42574).
_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")


def shown(text: str) -> str:
    """The text with secrets masked and every invisible character spelled out."""
    visible = redact(text).replace("\r\n", "\n")
    return _UNSEEN.sub(lambda match: f"⟨U+{ord(match[0]):04X}⟩", visible)


def markdown(text: str) -> Markup:
    """Markdown as HTML: raw HTML is shown as text, pictures as links, script links not at all."""
    renderer = _renderer()
    tokens = renderer.parse(shown(text))
    for token in tokens:
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(6, int(token.tag[1]) + 2)}"  # below the page's own headings
    html = renderer.renderer.render(tokens, renderer.options, {})
    return Markup(html)  # noqa: S704 - the renderer escapes everything


@cache
def _renderer() -> MarkdownIt:
    from markdown_it import MarkdownIt

    renderer = MarkdownIt("commonmark", {"html": False, "linkify": False})
    return renderer.enable("table").disable("image")
