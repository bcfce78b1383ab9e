"""How much a test function asserts, read from its syntax: compared values, truths, constants, ways out."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from shipway.gates.cases import Case, Function, idle

STRONG, WEAK, EMPTY = 2, 1, 0
TRUTHS = frozenset({"assertTrue", "assertFalse", "assert_", "failUnless", "failIf"})
LOOSE = frozenset({"assertIsNotNone", "assertIsInstance", "assertNotIsInstance"})
COMPARING = frozenset({
    "allclose", "isclose", "array_equal", "all", "any", "startswith", "endswith", "match", "search",
    "fullmatch", "equals", "issubset", "issuperset", "eq", "same", "issubclass", "hasattr",
})  # fmt: skip
CATCHING = frozenset({"Exception", "BaseException", "AssertionError"})
WAYS_OUT = frozenset({"skip", "skipTest", "xfail", "SkipTest", "exit"})
MARKS = frozenset({
    "skip", "skipif", "skipIf", "skipUnless", "xfail", "expectedFailure",
})  # fmt: skip
ALWAYS = frozenset({"skip", "expectedFailure"})
WIDTHS = frozenset({"rel", "abs", "rel_tol", "abs_tol", "rtol", "atol", "delta"})


@dataclass(slots=True)
class Strength:
    """``compared``, ``truths`` and ``empty`` count assertions; ``tolerance`` is the widest.

    ``swallowed`` and ``deaf`` are places that let nobody hear of what fails in them, an assertion
    in the one, whatever it is in the other.
    """

    compared: int = 0
    truths: int = 0
    empty: list[int] = field(default_factory=list)
    swallowed: list[int] = field(default_factory=list)
    deaf: list[int] = field(default_factory=list)
    cut_off: list[int] = field(default_factory=list)
    broad: list[int] = field(default_factory=list)
    ways_out: list[int] = field(default_factory=list)
    patterns: int = 0
    tolerance: float = 0.0

    @property
    def count(self) -> int:
        return self.compared + self.truths


def strength(node: Function) -> Strength:
    """What the function asserts in all."""
    found = Strength()
    dead = _dead(node)
    for one in ast.walk(node):
        if id(one) in dead:
            continue
        if isinstance(one, ast.Assert):
            _add(found, _of_test(one.test), one.lineno)
        elif isinstance(one, ast.Call):
            _call(found, one)
        elif isinstance(one, ast.Try | ast.With):
            if _is_deaf(one):
                (found.swallowed if _asserts(one.body) else found.deaf).append(one.lineno)
        elif isinstance(one, ast.Raise) and _name(one.exc) == "SkipTest":
            found.ways_out.append(one.lineno)
    found.cut_off = [one.lineno for one in _cuts(node)]
    return found


def _add(found: Strength, weight: int, line: int) -> None:
    if weight == STRONG:
        found.compared += 1
    elif weight == WEAK:
        found.truths += 1
    else:
        found.empty.append(line)


def _of_test(test: ast.expr) -> int:
    """How much an asserted expression says."""
    if isinstance(
        test, ast.Constant | ast.Tuple | ast.List | ast.Dict | ast.Lambda | ast.JoinedStr
    ):
        return STRONG if isinstance(test, ast.Constant) and not test.value else EMPTY
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        if isinstance(test.operand, ast.Constant):
            return EMPTY
        return _of_test(test.operand)
    if isinstance(test, ast.BoolOp):
        weights = [_of_test(one) for one in test.values]
        return min(weights) if isinstance(test.op, ast.Or) else max(weights)
    if isinstance(test, ast.NamedExpr):
        return _of_test(test.value)
    if isinstance(test, ast.Compare):
        return _of_comparison(test)
    return STRONG if isinstance(test, ast.Call) and _name(test) in COMPARING else WEAK


def _of_comparison(test: ast.Compare) -> int:
    other = test.comparators[0]
    if len(test.ops) == 1 and ast.dump(test.left) == ast.dump(other):
        # A value beside itself shows how its own operators order it, but for being equal.
        return EMPTY if isinstance(test.ops[0], ast.Eq | ast.Is | ast.In) else STRONG
    if isinstance(test.left, ast.Constant) and isinstance(other, ast.Constant):
        return EMPTY
    op = test.ops[0]
    if isinstance(other, ast.Constant):
        if isinstance(op, ast.IsNot | ast.NotEq) and other.value is None:
            return WEAK
        if isinstance(op, ast.GtE) and other.value == 0 and _name(test.left) == "len":
            return EMPTY
    return STRONG


def _call(found: Strength, call: ast.Call) -> None:
    name = _name(call) or ""
    if name in TRUTHS:
        _add(found, _of_test(call.args[0]) if call.args else WEAK, call.lineno)
    elif name in LOOSE:
        found.truths += 1
    elif name.startswith(("assert", "fail_", "check_")) or name in {"raises", "warns", "fail"}:
        found.compared += 1
        if name in {"raises", "assertRaises"} and call.args and _name(call.args[0]) in CATCHING:
            found.broad.append(call.lineno)
        if any(one.arg == "match" for one in call.keywords) or name.endswith("Regex"):
            found.patterns += 1
    elif name in WAYS_OUT and isinstance(call.func, ast.Attribute) and _leaves(call.func):
        found.ways_out.append(call.lineno)
    found.tolerance = max([found.tolerance, *_widths(call)])


def _leaves(function: ast.Attribute) -> bool:
    return _name(function.value) in {"pytest", "self", "unittest"}


def _widths(call: ast.Call) -> Iterator[float]:
    """The tolerances that a comparison is given, as distances."""
    for one in call.keywords:
        if not isinstance(one.value, ast.Constant):
            continue
        value = one.value.value
        if one.arg in WIDTHS and isinstance(value, int | float):
            yield float(value)
        elif one.arg == "places" and isinstance(value, int):
            yield 10.0**-value


def _name(node: ast.AST | None) -> str | None:
    """The last part of a name, of what a call calls, or of an exception."""
    if isinstance(node, ast.Call):
        return _name(node.func)
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else None


def _asserts(body: list[ast.stmt]) -> bool:
    """Whether something below these statements asserts."""
    for top in body:
        for one in ast.walk(top):
            if isinstance(one, ast.Assert):
                return True
            if isinstance(one, ast.Call) and (_name(one) or "").startswith("assert"):
                return True
    return False


def _is_deaf(node: ast.Try | ast.With) -> bool:
    """Whether something below may fail without anybody hearing of it."""
    if isinstance(node, ast.With):
        calls = [one.context_expr for one in node.items if isinstance(one.context_expr, ast.Call)]
        return any(
            _name(one) == "suppress" and {_name(arg) for arg in one.args} & CATCHING
            for one in calls
        )
    return any(_forgets(handler) for handler in node.handlers)


def _forgets(handler: ast.ExceptHandler) -> bool:
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    caught = handler.type is None or bool({_name(one) for one in kinds} & CATCHING)
    speaks = any(
        isinstance(one, ast.Raise | ast.Assert)
        or (isinstance(one, ast.Call) and (_name(one) or "").startswith(("fail", "assert")))
        for top in handler.body
        for one in ast.walk(top)
    )
    return caught and not speaks


def _cuts(node: Function) -> Iterator[ast.stmt]:
    """Returns of the function itself that come before something that asserts."""
    for at, one in enumerate(node.body):
        if isinstance(one, ast.Return) and _asserts(node.body[at + 1 :]):
            yield one


def _dead(node: Function) -> set[int]:
    """What is never reached: ``if False``, after the function's own return, a function never used."""
    dead: set[int] = set()
    for inner in idle(node):
        dead |= {id(part) for part in ast.walk(inner)}
    for one in ast.walk(node):
        if isinstance(one, ast.If | ast.While) and _is_false(one.test):
            dead |= {id(part) for top in one.body for part in ast.walk(top)}
    for one in _cuts(node):
        after = node.body[node.body.index(one) + 1 :]
        dead |= {id(part) for top in after for part in ast.walk(top)}
    return dead


def _is_false(test: ast.expr) -> bool:
    return isinstance(test, ast.Constant) and not test.value


@dataclass(frozen=True, slots=True)
class Marks:
    """Skips and expected failures on a test, its classes or its module; ``always`` without condition."""

    always: int = 0
    sometimes: int = 0
    line: int | None = None


def marks(case: Case) -> Marks:
    """The marks that hold for a test; a parameter's own count as well."""
    places: list[ast.AST] = [*case.node.decorator_list]
    for around in case.around:
        places += around.decorator_list
        places += _assigned(around.body, "pytestmark")
    places += _assigned(case.module.body, "pytestmark")
    always = sometimes = 0
    line = None
    for place in places:
        for one in ast.walk(place):
            if not (isinstance(one, ast.Attribute | ast.Name) and _name(one) in MARKS):
                continue
            if _is_always(place, one):
                always += 1
            else:
                sometimes += 1
            line = line or one.lineno
    return Marks(always, sometimes, line)


def _is_always(place: ast.AST, mark: ast.Attribute | ast.Name) -> bool:
    """skip, or a condition that is a constant; xfail without a condition, unless it is strict."""
    name = _name(mark)
    call = next(
        (one for one in ast.walk(place) if isinstance(one, ast.Call) and one.func is mark), None
    )
    if name in ALWAYS:
        return True
    if name == "xfail":
        return call is None or not call.args
    return call is not None and bool(call.args) and isinstance(call.args[0], ast.Constant)


def _assigned(body: list[ast.stmt], name: str) -> list[ast.AST]:
    return [
        one.value
        for one in body
        if isinstance(one, ast.Assign)
        and any(isinstance(target, ast.Name) and target.id == name for target in one.targets)
    ]
