"""The rules of the house that no other tool checks, each a function from a file to its faults."""

from __future__ import annotations

import ast
import functools
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
TEMPLATES = "src/shipway/agents/templates/"
LONGEST_FILE, LONGEST_FUNCTION = 600, 60

Rule = Callable[[str, str], Iterable[str]]


def project_files() -> list[str]:
    """Every file that is, or would be, in the repository."""
    listed = subprocess.run(
        [
            "git",
            "-c",
            "safe.directory=*",
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return sorted(name for name in listed.split("\0") if name and (ROOT / name).is_file())


@functools.cache
def parsed(text: str) -> ast.Module:
    """The syntax tree of a module; each rule walks the same one."""
    return ast.parse(text)


def faults_of(rule: Rule, names: Iterable[str]) -> list[str]:
    found = []
    for name in names:
        try:
            text = (ROOT / name).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{name}{fault}" for fault in rule(name, text)]
    return found


def is_python(name: str) -> bool:
    return name.endswith(".py") and not name.startswith(TEMPLATES)


# -- shape ------------------------------------------------------------------------------------


def size(name: str, text: str) -> Iterator[str]:
    """A file fits in a head, a function on a screen."""
    if not is_python(name):
        return
    lines = text.count("\n")
    if lines > LONGEST_FILE:
        yield f": {lines} lines, at most {LONGEST_FILE}"
    for node in ast.walk(parsed(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > LONGEST_FUNCTION and "/migrations/versions/" not in name:
                yield f":{node.lineno}: {node.name} has {length} lines, at most {LONGEST_FUNCTION}"


def caption(name: str, text: str) -> Iterator[str]:
    """A module opens with one sentence that says what it is for."""
    tree = parsed(text) if is_python(name) else ast.Module([], [])
    if not tree.body:
        return
    first = (ast.get_docstring(tree) or "").split("\n\n")[0].strip()
    if not first:
        yield ":1: no docstring that says what this module is for"
    elif first.count("\n") > 1 or re.search(r"[.!?]\s+[A-Z]", first) or first[-1] not in ".:":
        yield ":1: the docstring does not open with one sentence of at most two lines"


def naming(name: str, _text: str) -> Iterator[str]:
    """A name says what is inside."""
    empty = {"util", "utils", "helper", "helpers", "common", "manager", "base", "misc"}
    if not name.startswith(TEMPLATES) and empty & {Path(name).stem, *Path(name).parent.parts}:
        yield ": this name says nothing; name what it does"


# -- honesty ----------------------------------------------------------------------------------

_SILENT = {"Exception", "BaseException"}
_UNFINISHED = re.compile(r"\b(?:" + "|".join(["TO" + "DO", "FIX" + "ME", "X" + "XX"]) + r")\b")
_AVOIDED = re.compile(r"pytest\.(?:mark\.)?(?:skip|skipif|xfail|importorskip)")
_UNNAMED = re.compile(r"#\s*type:\s*ignore(?!\[)|#\s*noqa(?!:)|#\s*pragma:\s*no\s*cover")


def finished(name: str, text: str) -> Iterator[str]:
    """What is not built says so by UnimplementedError; nothing is put off in a comment."""
    for number, line in enumerate(text.splitlines(), start=1):
        if _UNFINISHED.search(line):
            yield f":{number}: finish it, or raise UnimplementedError"
    if not is_python(name):
        return
    for node in ast.walk(parsed(text)):
        if isinstance(node, ast.Name) and node.id == "NotImplementedError":
            yield f":{node.lineno}: raise UnimplementedError, which says what to do"
        avoided = isinstance(node, ast.Attribute) and _AVOIDED.fullmatch(ast.unparse(node))
        if avoided and name.startswith("tests/"):
            yield f":{node.lineno}: a test that is not run shows nothing"
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT and _UNNAMED.search(token.string):
            yield f":{token.start[0]}: name the rule that is switched off, and why"


def loud(name: str, text: str) -> Iterator[str]:
    """No failure is swallowed."""
    if not is_python(name):
        return
    for node in ast.walk(parsed(text)):
        if isinstance(node, ast.ExceptHandler) and all(map(_says_nothing, node.body)):
            yield f":{node.lineno}: this error disappears; handle it or let it rise"
        if (
            isinstance(node, ast.Call)
            and ast.unparse(node.func) in {"suppress", "contextlib.suppress"}
            and _SILENT & {ast.unparse(argument) for argument in node.args}
        ):
            yield f":{node.lineno}: this hides every error; name the one that is expected"


def cancellable(name: str, text: str) -> Iterator[str]:
    """A cancellation stays one: whoever catches it may clean up, but raises nothing in its place."""
    if not name.startswith("src/shipway/") or not is_python(name):
        return
    for node in ast.walk(parsed(text)):
        if isinstance(node, ast.ExceptHandler) and _takes_cancellations(node):
            for inner in ast.walk(node):
                if isinstance(inner, ast.Raise) and inner.exc is not None:
                    yield f":{inner.lineno}: a cancellation becomes an error here; raise it as it is"


def _takes_cancellations(node: ast.ExceptHandler) -> bool:
    caught = ast.unparse(node.type) if node.type else "BaseException"
    return "CancelledError" in caught or "BaseException" in caught


def _says_nothing(node: ast.stmt) -> bool:
    return isinstance(node, ast.Pass) or (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and node.value.value is Ellipsis
    )


# -- portability ------------------------------------------------------------------------------

_HOSTS = re.compile(
    "|".join(
        ["pypi" + r"\.(?:org|io|python)", "python" + r"hosted\.org", "npm" + r"js\.(?:org|com)"]
    ),
    re.IGNORECASE,
)
_PLACES = re.compile(r"/home/\w+/|/Users/\w+|/root/[\w.]|/work/\w")


def portable(name: str, text: str) -> Iterator[str]:
    """Nothing names where packages come from, or a place on somebody's machine."""
    if Path(name).name == Path(__file__).name:
        return
    for number, line in enumerate(text.splitlines(), start=1):
        if _HOSTS.search(line):
            yield f":{number}: names a package registry; where packages come from is the user's affair"
        if _PLACES.search(line):
            yield f":{number}: names a place on somebody's machine"


# -- settings ---------------------------------------------------------------------------------


def settings(name: str, text: str) -> Iterator[str]:
    """Settings that are made by hand name both their places, or the user's own would be used."""
    if not is_python(name):
        return
    for node in ast.walk(parsed(text)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Settings":
            given = {keyword.arg for keyword in node.keywords}
            if not ({"home", "cache"} <= given or None in given):
                yield f":{node.lineno}: Settings reads nothing; use load_settings(home=...)"


# -- third parties ----------------------------------------------------------------------------

PURE = ("shipway.domain", "shipway.errors")
IMPURE = {"asyncio", "os", "random", "time", "socket", "subprocess", "secrets", "threading"}
KNOWN_BY = {
    "sqlite3": ("shipway.store",),
    "sqlalchemy": ("shipway.store",),
    "alembic": ("shipway.store",),
    "redis": ("shipway.bus.redis",),
    "procrastinate": ("shipway.engine.dispatch.fleet",),
    "fastapi": ("shipway.api", "shipway.server"),
    "starlette": ("shipway.api", "shipway.server", "shipway.web"),
    "uvicorn": ("shipway.server",),
    "copier": ("shipway.agents",),
    "packaging": ("shipway.gates.osv",),
    "prometheus_client": ("shipway.telemetry",),
    "openfeature": ("shipway.flags",),
    "click": ("shipway.cli",),
    "rich": ("shipway.cli.render",),
    "openapi_spec_validator": ("shipway.specs",),
}


def neighbours(name: str, text: str) -> Iterator[str]:
    """Each third party is known by one room; the domain knows nobody and touches nothing."""
    if not (name.startswith("src/shipway/") and is_python(name)):
        return
    module = (
        name.removeprefix("src/").removesuffix(".py").replace("/", ".").removesuffix(".__init__")
    )
    pure = any(_within(module, room) for room in PURE)
    for line, imported in _imports(text):
        rooms = KNOWN_BY.get(imported)
        if rooms and not any(_within(module, room) for room in rooms):
            yield f":{line}: only {' and '.join(rooms)} may know {imported}"
        if pure and imported != "shipway":
            if imported not in sys.stdlib_module_names:
                yield f":{line}: the domain knows the standard library only, not {imported}"
            if imported in IMPURE:
                yield f":{line}: the domain is pure: no {imported}"


def _within(module: str, room: str) -> bool:
    return module == room or module.startswith(f"{room}.")


def _imports(text: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(parsed(text)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.split(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.lineno, node.module.split(".")[0]


RULES: tuple[Rule, ...] = (
    size,
    caption,
    naming,
    finished,
    loud,
    cancellable,
    portable,
    settings,
    neighbours,
)
