"""Code that reaches for the runner itself: outcomes, exit codes, the choice of tests, time and chance."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath

from shipway.gates.cases import parse, read
from shipway.gates.changes import Change
from shipway.gates.comparison import Comparison
from shipway.gates.roles import Role
from shipway.gates.tamper.trick import Level, Trick
from shipway.gates.trees import parts

# Loaded by Python or in place of a judge, wherever they lie on the path.
AMBUSH = frozenset({"sitecustomize.py", "usercustomize.py"})
JUDGES = frozenset({
    "pytest", "_pytest", "unittest", "coverage", "pluggy", "doctest", "mypy", "ruff", "bandit",
})  # fmt: skip
DECIDING = frozenset({
    "pytest_runtest_makereport", "pytest_runtest_protocol", "pytest_runtestloop",
    "pytest_sessionfinish", "pytest_report_teststatus", "pytest_pyfunc_call",
    "pytest_runtest_call", "pytest_runtest_logreport", "pytest_cmdline_main", "pytest_unconfigure",
    "pytest_exception_interact", "pytest_keyboard_interrupt",
})  # fmt: skip
CHOOSING = frozenset({
    "pytest_collection_modifyitems", "pytest_ignore_collect", "pytest_deselected",
    "pytest_pycollect_makeitem", "pytest_collect_file", "pytest_generate_tests",
})  # fmt: skip
OUTCOMES = frozenset({"outcome", "exitstatus", "excinfo", "wasxfail", "testsfailed"})
ENDS = frozenset({"os._exit", "pytest.exit", "os.abort", "os.kill", "os.killpg"})
SILENT_ENDS = frozenset({"os._exit", "os.abort"})
LEAVES = ENDS | {"sys.exit", "exit", "quit", "builtins.exit"}
PATCHED = frozenset({
    "time.time", "time.sleep", "time.monotonic", "time.perf_counter", "random.random",
    "random.randint", "random.choice", "random.shuffle", "datetime.datetime", "datetime.date",
    "uuid.uuid4", "secrets.token_bytes", "secrets.token_hex", "builtins.open", "builtins.print",
    "os._exit", "sys.exit", "os.urandom",
})  # fmt: skip


def hooks(comparison: Comparison) -> Iterator[Trick]:
    """Findings in every changed Python file: what was not there on the base."""
    known = parts(comparison)
    for one in comparison.changes:
        yield from _shadow(one)
        if one.is_gone or not one.path.endswith(".py"):
            continue
        role = known.roles.of(one.path)
        tested = role in {Role.TEST, Role.SUPPORT}
        before = _facts(read(comparison.base.bench.tree, one.before), tested=tested)
        after = _facts(read(comparison.head.bench.tree, one.path), tested=tested)
        had = Counter(fact[:3] for fact in before)
        for level, rule, said, line in after:
            if had[level, rule, said] > 0:
                had[level, rule, said] -= 1
                continue
            yield Trick(level, rule, said, one.path, line)


def _shadow(change: Change) -> Iterator[Trick]:
    """Files that Python or a runner would load by their name alone."""
    if change.is_gone or change.kind == "modified":
        return
    path = PurePosixPath(change.path)
    if path.name in AMBUSH or path.suffix == ".pth":
        said = f"{path.name} is run by Python before any test"
        yield Trick(Level.REJECT, "runner-ambushed", said, change.path)
    parts_ = [one for one in path.parts if one != "src"]
    first = parts_[0].removesuffix(".py") if parts_ else ""
    if first in JUDGES and path.suffix == ".py" and len(parts_) <= 2:
        said = f"{first} of the candidate stands in for the tool of that name"
        yield Trick(Level.REJECT, "runner-ambushed", said, change.path)


Fact = tuple[Level, str, str, int]


def _facts(text: bytes, *, tested: bool) -> list[Fact]:
    module = parse(text) if text else None
    if module is None:
        return []
    facts = list(_patches(module, tested=tested))
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            facts += _hook(node)
            if tested and _is_automatic(node):
                facts += _fixture(node)
    if tested:
        facts += _module_level(module)
    else:
        facts += _source(module)
    return facts


def _hook(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[Fact]:
    """A hook that decides is a trick when it writes an outcome, else a person's question."""
    if node.name in DECIDING:
        written = next(_written(node), None)
        if written is not None:
            said = f"{node.name} writes {written[0]}: outcomes are not what tests say"
            yield Level.REJECT, "outcome-forced", said, written[1]
            said = f"{node.name}, which writes outcomes, is not what it was ({_mark(node)})"
            yield Level.ASK, "outcome-forced", said, written[1]
        elif _calls(node, LEAVES):
            yield Level.REJECT, "exit-forced", f"{node.name} ends the run", node.lineno
        elif node.name in {"pytest_runtest_protocol", "pytest_runtestloop", "pytest_pyfunc_call",
                           "pytest_cmdline_main"}:  # fmt: skip
            said = f"{node.name} decides how tests are run ({_mark(node)})"
            yield Level.ASK, "runner-hook", said, node.lineno
        else:
            yield Level.NOTE, "runner-hook", f"{node.name} was added ({_mark(node)})", node.lineno
    elif node.name in CHOOSING:
        cut = _cuts_items(node)
        if cut is not None:
            said = f"{node.name} drops tests"
            yield Level.ASK, "tests-dropped", said, cut
        elif _calls(node, LEAVES):
            yield Level.REJECT, "exit-forced", f"{node.name} ends the run", node.lineno
        elif node.name != "pytest_generate_tests":
            said = f"{node.name} was added or changed ({_mark(node)})"
            yield Level.NOTE, "runner-hook", said, node.lineno


def _mark(node: ast.AST) -> str:
    """Short text that changes when the code does."""
    return f"{hash_of(ast.dump(node)):08x}"


def hash_of(text: str) -> int:
    """A small number for a text that is the same in every process."""
    value = 0
    for one in text.encode("utf-8", "replace"):
        value = (value * 131 + one) & 0xFFFFFFFF
    return value


def _written(node: ast.AST) -> Iterator[tuple[str, int]]:
    """Assignments to what a report or a session says of outcomes, also by setattr."""
    for one in ast.walk(node):
        if (
            isinstance(one, ast.Attribute)
            and isinstance(one.ctx, ast.Store)
            and one.attr in OUTCOMES
        ):
            yield f".{one.attr}", one.lineno
        if isinstance(one, ast.Call):
            name = dotted(one.func)
            if name.endswith("force_result"):
                yield "force_result", one.lineno
            word = getattr(one.args[1], "value", None) if len(one.args) > 1 else None
            if name == "setattr" and word in OUTCOMES:
                yield f".{word}", one.lineno


def _cuts_items(node: ast.AST) -> int | None:
    """The line where a hook takes tests out of the list."""
    for one in ast.walk(node):
        if isinstance(one, ast.Assign | ast.Delete) and any(
            isinstance(target, ast.Subscript) and _is_items(target.value) for target in one.targets
        ):
            return one.lineno
        if isinstance(one, ast.Call) and isinstance(one.func, ast.Attribute):
            taking = one.func.attr in {"clear", "pop", "remove", "pytest_deselected"}
            if taking and (_is_items(one.func.value) or one.func.attr == "pytest_deselected"):
                return one.lineno
    return None


def _is_items(node: ast.expr) -> bool:
    return dotted(node).split(".")[-1] in {"items", "tests", "_tests"}


def _calls(node: ast.AST, names: frozenset[str] | set[str]) -> int | None:
    for one in ast.walk(node):
        if isinstance(one, ast.Call) and dotted(one.func) in names:
            return one.lineno
    return None


def dotted(node: ast.AST) -> str:
    """A name such as ``os.path.join``; "" for what is none."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        above = dotted(node.value)
        return f"{above}.{node.attr}" if above else ""
    return ""


def _module_level(module: ast.Module) -> Iterator[Fact]:
    """What a test module or a conftest does when it is loaded."""
    for node in module.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        line = _calls(node, LEAVES)
        if line is not None and not _is_main(node):
            yield Level.REJECT, "exit-forced", "the run is ended while tests are loaded", line
        if isinstance(node, ast.Assign) and any(
            isinstance(one, ast.Name) and one.id in {"collect_ignore", "collect_ignore_glob"}
            for one in node.targets
        ):
            said = f"tests are left out of the collection ({_mark(node)})"
            yield Level.ASK, "tests-dropped", said, node.lineno
        line = _calls(node, {"random.seed"})
        if line is not None:
            yield Level.NOTE, "chance-fixed", "chance is seeded while tests are loaded", line
    for one in ast.walk(module):
        if isinstance(one, ast.Call) and dotted(one.func) in SILENT_ENDS:
            yield Level.ASK, "exit-forced", f"{dotted(one.func)} is called in a test", one.lineno


def _is_main(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and "__name__" in ast.dump(node.test)


def _source(module: ast.Module) -> Iterator[Fact]:
    """A source that ends the process, knows that it is tested, or equals whatever it is asked."""
    for one in ast.walk(module):
        if isinstance(one, ast.FunctionDef) and one.name == "__eq__" and _always(one):
            yield Level.ASK, "equals-anything", "its objects equal whatever they meet", one.lineno
        if isinstance(one, ast.Call) and dotted(one.func) in SILENT_ENDS:
            said = f"{dotted(one.func)} ends the process without a word"
            yield Level.ASK, "exit-forced", said, one.lineno
        if isinstance(one, ast.Constant) and one.value == "PYTEST_CURRENT_TEST":
            yield (
                Level.ASK,
                "source-knows-tests",
                "the source asks whether it is tested",
                one.lineno,
            )
        if _asks_for_runner(one):
            line = getattr(one, "lineno", 1)
            yield Level.ASK, "source-knows-tests", "the source asks whether it is tested", line
    for node in module.body:
        line = None if _is_main(node) else _calls_here(node, LEAVES)
        if line is not None:
            yield Level.ASK, "exit-forced", "the process is ended when the module loads", line


def _always(node: ast.FunctionDef) -> bool:
    """Whether a function does nothing but return True."""
    body = [one for one in node.body if not isinstance(one, ast.Expr | ast.Pass)]
    return (
        len(body) == 1
        and isinstance(body[0], ast.Return)
        and isinstance(body[0].value, ast.Constant)
        and body[0].value.value is True
    )


def _calls_here(node: ast.stmt, names: frozenset[str]) -> int | None:
    """A call while the module loads, not in its functions."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return None
    return _calls(node, names)


def _asks_for_runner(node: ast.AST) -> bool:
    """``"pytest" in sys.modules`` and the like."""
    return (
        isinstance(node, ast.Compare)
        and isinstance(node.left, ast.Constant)
        and node.left.value in {"pytest", "_pytest", "unittest"}
        and any(dotted(one) in {"sys.modules", "sys.argv"} for one in node.comparators)
    )


def _patches(module: ast.Module, *, tested: bool) -> Iterator[Fact]:
    """Time, chance and built-ins replaced for the whole process, which nothing puts back."""
    for one in ast.walk(module):
        if isinstance(one, ast.Assign):
            for target in one.targets:
                name = dotted(target)
                if name in PATCHED:
                    yield Level.ASK, "world-patched", f"{name} is replaced for all", one.lineno
        if isinstance(one, ast.Call) and dotted(one.func) == "setattr" and len(one.args) > 1:
            name = f"{dotted(one.args[0])}.{getattr(one.args[1], 'value', '')}"
            if name in PATCHED:
                yield Level.ASK, "world-patched", f"{name} is replaced for all", one.lineno


def _is_automatic(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """A fixture that every test gets without asking."""
    return any(
        isinstance(one, ast.Call)
        and any(word.arg == "autouse" and _is_true(word.value) for word in one.keywords)
        for one in node.decorator_list
    )


def _is_true(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and bool(node.value)


def _fixture(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[Fact]:
    """Time or chance replaced under every test."""
    for one in ast.walk(node):
        if not isinstance(one, ast.Call):
            continue
        name = dotted(one.func).split(".")[-1]
        words = [getattr(arg, "value", None) or dotted(arg) for arg in one.args]
        texts = [str(word) for word in words if isinstance(word, str)]
        first = ".".join(texts[:2]) if name == "setattr" else "".join(texts[:1])
        if name in {"setattr", "patch"} and (
            first in PATCHED or (texts[:1] and texts[0] in PATCHED)
        ):
            said = f"{first} is replaced under every test by {node.name}"
            yield Level.ASK, "world-patched", said, one.lineno
        if name == "freeze_time":
            yield (
                Level.ASK,
                "world-patched",
                f"time stands still under every test ({node.name})",
                one.lineno,
            )
