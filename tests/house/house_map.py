"""Writes the map in docs/ARCHITECTURE.md: every module with the first sentence of its docstring."""

from __future__ import annotations

import ast
from itertools import groupby
from pathlib import Path

from house_rules import ROOT, TEMPLATES, project_files

PAGE = ROOT / "docs" / "ARCHITECTURE.md"
BEGIN, END = "<!-- map: begin -->\n", "<!-- map: end -->\n"


def sentence(path: Path) -> str:
    """The first sentence of a module, on one line; empty when it says nothing."""
    docstring = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    return " ".join(docstring.split("\n\n")[0].split())


def entries() -> list[tuple[str, str, str]]:
    """Room, module and sentence; a package stands before what is in it."""
    found = []
    for name in project_files():
        if not (name.startswith("src/shipway/") and name.endswith(".py")) or TEMPLATES in name:
            continue
        inner = name.removeprefix("src/shipway/").removesuffix(".py")
        said = sentence(ROOT / name)
        if said and "/migrations/" not in name:
            room = inner.split("/")[0] if "/" in inner else ""
            found.append((room, inner.replace("/__init__", "/").replace("__init__", "."), said))
    return sorted(found)


def drawn() -> str:
    lines = []
    for room, modules in groupby(entries(), key=lambda entry: entry[0]):
        lines += [f"### {room or 'shipway'}", "", "| module | what it is for |", "|--|--|"]
        lines += [
            f"| `{module}` | {said.replace('|', chr(92) + '|')} |" for _, module, said in modules
        ]
        lines.append("")
    return "\n".join(lines)


def parts(text: str) -> tuple[str, str, str]:
    before, rest = text.split(BEGIN)
    between, after = rest.split(END)
    return before, between, after


if __name__ == "__main__":
    start, _, rest = parts(PAGE.read_text("utf-8"))
    PAGE.write_text(f"{start}{BEGIN}\n{drawn()}\n{END}{rest}", encoding="utf-8")
