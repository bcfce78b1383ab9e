"""Names and texts of a document, made safe for Python source: never code, never a surprise."""

from __future__ import annotations

import builtins
import keyword
import re
import sys
import textwrap
import unicodedata
from collections.abc import Collection

from pydantic import BaseModel, JsonValue

WIDTH = 100

# Words that a module of the project already uses for something else.
MODULES = frozenset({"tables", "columns", "matching", "service", "shared", "other", "media", "con"})
ATTRIBUTES = frozenset(dir(BaseModel)) | {
    "metadata", "registry", "given", "from_row", "least_properties", "dt", "sa", "self", "cls",
}  # fmt: skip
PARAMETERS = frozenset(dir(builtins)) | {
    "body", "query", "response", "request", "database", "session", "row", "rows", "total", "router",
    "store", "secured", "dt", "sa", "self", "statement", "page",
}  # fmt: skip
CLASSES = frozenset(
    """Annotated Any Literal Field ConfigDict ClassVar Omittable Integer Date Moment Time Uuid Email
    Uri IntegerText NumberText BooleanText Distinct Multiple Matches Fits OneOf Split Wire Query
    Path Header Depends Response APIRouter Db Problem Invalid Malformed BadAddress Unauthorised
    NotFound Conflict MissingReference Unimplemented Answer Table Document Whole UUID Sequence
    Session Mapped None True False HostName Ipv4 Ipv6 IntegerWord NumberWord BooleanWord""".split()
) | frozenset(dir(builtins))
PACKAGES = frozenset(sys.stdlib_module_names) | {
    "alembic", "anyio", "click", "fastapi", "h11", "httpx", "idna", "jsonschema", "mako",
    "markupsafe", "migrations", "opentelemetry", "pydantic", "pytest", "sqlalchemy", "starlette",
    "tests", "uvicorn", "coverage", "referencing", "rpds", "attr", "attrs",
}  # fmt: skip


def snake(text: str, reserved: Collection[str] = (), fallback: str = "thing") -> str:
    """A lower-case identifier that is no keyword and not in ``reserved``."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    spaced = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", plain)
    name = re.sub(r"[^a-z0-9]+", "_", spaced.lower()).strip("_") or fallback
    if name[0].isdigit():
        name = f"{fallback}_{name}"
    name = name[:60].rstrip("_")
    while keyword.iskeyword(name) or keyword.issoftkeyword(name) or name in reserved:
        name += "_"
    return name


def pascal(text: str, reserved: Collection[str] = CLASSES, fallback: str = "Thing") -> str:
    """A class name that shadows nothing."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    parts = [part for part in re.split(r"[^A-Za-z0-9]+", plain) if part]
    name = "".join(part[0].upper() + part[1:] for part in parts)[:60] or fallback
    if name[0].isdigit():
        name = fallback + name
    while keyword.iskeyword(name) or name in reserved:
        name += "Data"
    return name


def unused(name: str, taken: Collection[str]) -> str:
    """``name``, or the first of ``name_2``, ``name_3`` ... that is not taken."""
    if name not in taken:
        return name
    number = 2
    while f"{name}_{number}" in taken:
        number += 1
    return f"{name}_{number}"


def package(text: str) -> str:
    """A package name that hides no module of Python or of the project's requirements."""
    name = snake(text[:40], fallback="service")
    return name if name not in PACKAGES else f"{name}_service"


def reachable(path: str) -> str:
    """The path that clients ask for: they resolve ``.`` and ``..`` before they send it."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            parts = parts[:-1] if len(parts) > 1 else parts
        elif part != ".":
            parts.append(part)
    return "/".join(parts) or "/"


def plain(text: str) -> str:
    """One line of prose: no control, format or surrogate characters, no runs of blanks."""
    kept = "".join(
        " " if char.isspace() else char
        for char in text
        if char.isspace() or unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Co", "Cn"}
    )
    return " ".join(kept.split())


def sentence(text: str, fallback: str) -> str:
    """The first sentence of a description, ending in a full stop."""
    words = plain(text) or fallback
    first = re.split(r"(?<=[.!?])\s", words, maxsplit=1)[0]
    return textwrap.shorten(first, 300, placeholder=" ...").rstrip(".") + "."


def docstring(text: str, indent: int = 0) -> str:
    """A docstring in the formatter's own layout; the first line is not indented."""
    safe = text.replace("\\", "/").replace('"', "'")
    one = f'"""{safe}"""'
    if indent + len(one) <= WIDTH:
        return one
    margin = " " * indent
    lines = textwrap.wrap(safe, WIDTH - indent - 3, break_long_words=True, break_on_hyphens=False)
    return "\n".join([f'"""{lines[0]}', *(margin + line for line in lines[1:]), f'{margin}"""'])


def literal(value: JsonValue) -> str:
    """A JSON value as Python source, strings in double quotes."""
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, list):
        return "[" + ", ".join(literal(one) for one in value) + "]"
    if isinstance(value, dict):
        pairs = (f"{quoted(name)}: {literal(one)}" for name, one in value.items())
        return "{" + ", ".join(pairs) + "}"
    return repr(value)


def quoted(text: str) -> str:
    """A string literal as the formatter writes it: double quotes unless that costs escapes."""
    body = repr(text)[1:-1]
    if "'" in text and '"' in text:
        # repr chose single quotes and escaped them; the formatter prefers fewer escapes.
        single = text.count("'")
        double = text.count('"')
        if double <= single:
            return '"' + body.replace("\\'", "'").replace('"', '\\"') + '"'
        return "'" + body + "'"
    return f"'{body}'" if '"' in text else f'"{body}"'


def raw(pattern: str) -> str:
    """A pattern as a raw string literal where Python allows one."""
    awkward = '"' in pattern or pattern.endswith("\\") or not pattern.isprintable()
    if awkward or "\\" not in pattern:
        return quoted(pattern)
    return f'r"{pattern}"'
