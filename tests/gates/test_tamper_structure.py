"""What the tamper gate reads from two trees without running anything."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping

import pytest
from comparing import SHOP

from shipway.contracts.evidence import FenceReport
from shipway.gates import suite
from shipway.gates.cases import Case, cases, pair, parse
from shipway.gates.comparison import Comparison
from shipway.gates.parsers.reading import UnreadableReportError
from shipway.gates.roles import Role, Roles, roles
from shipway.gates.tamper.assertions import Strength, marks, strength
from shipway.gates.tamper.hooks import hooks
from shipway.gates.tamper.relaxed import relaxed
from shipway.gates.tamper.suppressions import suppressions
from shipway.gates.tamper.trick import Level, Trick
from shipway.workspace.fence import Finished


@pytest.fixture
def found(compare) -> Callable[..., set[tuple[str, str]]]:
    """Level and rule of each finding that is more than a note."""

    def look(
        look_at: Callable[[Comparison], list[Trick]],
        change: Mapping[str, str | None],
        base: Mapping[str, str] = SHOP,
    ) -> set[tuple[str, str]]:
        tricks = list(look_at(compare(change, base=base)))
        return {(one.level.name, one.rule) for one in tricks if one.level > Level.NOTE}

    return look


# -- assertions -------------------------------------------------------------------------------


def only(body: str) -> Strength:
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    (case,) = cases("test_a.py", parse(f"def test_a(self):\n{lines}\n"))
    return strength(case.node)


@pytest.mark.parametrize(
    "body",
    [
        "assert True", "assert 1", "assert (x == 1, 'no')", "assert x == x", "assert x or True",
        "assert len(x) >= 0", "assert 1 == 1", "self.assertTrue(True)", "assert 'x == 3'",
        "assert not False", "assert [x]",
    ],
)  # fmt: skip
def test_assertions_that_always_hold_are_empty(body: str) -> None:
    assert only(body).empty
    assert only(body).count == 0


@pytest.mark.parametrize(
    "body",
    ["assert f(1) == 3", "self.assertEqual(f(1), 3)", "assert 3 in x", "assert np.allclose(x, y)",
     "with pytest.raises(ValueError): f()", "mock.assert_called_once_with(3)", "assert x is None",
     "self.assertTrue(x == 3)", "assert x and y > 2"],
)  # fmt: skip
def test_assertions_that_compare_are_strong(body: str) -> None:
    assert only(body).compared == 1
    assert not only(body).empty


@pytest.mark.parametrize("body", ["assert x", "assert x is not None", "self.assertIsNotNone(x)",
                                  "assert isinstance(x, int)", "assert x or y == 2"])  # fmt: skip
def test_assertions_of_mere_truth_are_weak(body: str) -> None:
    assert (only(body).compared, only(body).truths) == (0, 1)


def test_ways_around_an_assertion_are_seen() -> None:
    assert only("try:\n    assert x == 1\nexcept Exception:\n    pass").swallowed
    assert only("with contextlib.suppress(AssertionError):\n    assert x == 1").swallowed
    assert not only("try:\n    assert x == 1\nexcept Exception:\n    pytest.fail('no')").swallowed
    assert not only("try:\n    f()\nexcept ValueError:\n    pass\nassert x == 1").swallowed
    assert only("with contextlib.suppress(BaseException):\n    f()").deaf
    assert only("try:\n    f()\nexcept Exception:\n    pass").deaf
    assert not only("try:\n    f()\nexcept ValueError:\n    pass").deaf
    assert only("return\nassert x == 1").cut_off
    assert only("return\nassert x == 1").count == 0
    assert only("if False:\n    assert x == 1").count == 0
    assert only("pytest.skip('later')\nassert x == 1").ways_out
    assert only("with pytest.raises(Exception): f()").broad
    assert only("assert x == pytest.approx(1, rel=0.5)").tolerance == 0.5
    assert only("self.assertAlmostEqual(x, 1, places=2)").tolerance == 0.01


def test_marks_hold_from_decorator_class_module_and_parameter() -> None:
    module = parse("""
import pytest
class TestA:
    pytestmark = pytest.mark.skip
    def test_a(self): ...
@pytest.mark.skipif(sys.platform == 'win32', reason='')
def test_b(): ...
@pytest.mark.parametrize('x', [pytest.param(1, marks=pytest.mark.xfail)])
def test_c(x): ...
@unittest.expectedFailure
def test_d(): ...
def test_e(): ...
""")
    seen = [marks(case) for case in cases("t.py", module)]
    assert [(one.always, one.sometimes) for one in seen] == [(1, 0), (0, 1), (1, 0), (1, 0), (0, 0)]


# -- tests that belong together ---------------------------------------------------------------


def paired(base: str, head: str) -> tuple[list[tuple[str, str]], list[str], list[str]]:
    def of(text: str, path: str) -> list[Case]:
        return cases(path, parse(text))

    seen = pair(of(base, "test_a.py"), of(head, "test_b.py"), {})
    pairs = sorted((old.id, new.id) for old, new in seen.pairs)
    return pairs, [one.id for one in seen.gone], [one.id for one in seen.new]


def test_tests_are_followed_by_place_name_and_what_they_do() -> None:
    base = "def test_a():\n    assert f(1) == 2\ndef test_b():\n    assert g(5) == 6\n"
    renamed = "def test_x():\n    assert f(1) == 2\n"
    renamed += "class T:\n    def test_b(self):\n        assert g(5) == 7\n"
    pairs, gone, new = paired(base, renamed)
    assert pairs == [
        ("test_a.py::test_a", "test_b.py::test_x"), ("test_a.py::test_b", "test_b.py::T::test_b"),
    ]  # fmt: skip
    assert (gone, new) == ([], [])


def test_a_sibling_with_other_values_is_no_successor() -> None:
    base = "def test_a():\n    assert shop.f(1) == 2\n"
    head = "def test_x():\n    assert shop.f(3) == 4\n"
    assert paired(base, head) == ([], ["test_a.py::test_a"], ["test_b.py::test_x"])


# -- roles ------------------------------------------------------------------------------------


def test_each_file_has_a_role(compare) -> None:
    base = {
        **SHOP, "pkg/test/client.py": "", "pkg/tests/test_x.py": "", "pkg/tests/data.json": "{}",
        "conftest.py": "", "setup.cfg": "", "README.md": "", ".github/workflows/ci.yml": "",
    }  # fmt: skip
    known: Roles = roles(compare({}, base=base))
    assert known.of("pkg/test/client.py") is Role.SOURCE  # no test module lies there
    assert known.of("pkg/tests/test_x.py") is Role.TEST
    assert known.of("pkg/tests/data.json") is Role.SUPPORT
    assert known.of("conftest.py") is Role.SUPPORT
    assert known.of("setup.cfg") is Role.CONFIGURATION
    assert known.of(".github/workflows/ci.yml") is Role.POLICY
    assert known.of("README.md") is Role.WORDS
    assert known.of("shop.py") is Role.SOURCE


# -- hooks, exits, time -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("conftest.py", "def pytest_sessionfinish(session):\n    session.exitstatus = 0\n",
         {("REJECT", "outcome-forced"), ("ASK", "outcome-forced")}),
        ("conftest.py", "def pytest_runtest_makereport(item, call):\n    call.excinfo = None\n",
         {("REJECT", "outcome-forced"), ("ASK", "outcome-forced")}),
        ("conftest.py", "import os\ndef pytest_unconfigure():\n    os._exit(0)\n",
         {("REJECT", "exit-forced"), ("ASK", "exit-forced")}),
        ("tests/conftest.py", "def pytest_pyfunc_call(pyfuncitem):\n    return True\n",
         {("ASK", "runner-hook")}),
        ("tests/conftest.py", "collect_ignore = ['test_shop.py']\n", {("ASK", "tests-dropped")}),
        ("tests/conftest.py", "def pytest_collection_modifyitems(items):\n    items.clear()\n",
         {("ASK", "tests-dropped")}),
        ("sitecustomize.py", "x = 1\n", {("REJECT", "runner-ambushed")}),
        ("src/usercustomize.py", "x = 1\n", {("REJECT", "runner-ambushed")}),
        ("pytest.py", "def main(*a): return 0\n", {("REJECT", "runner-ambushed")}),
        ("unittest/__init__.py", "", {("REJECT", "runner-ambushed")}),
        ("shop.py", "import os\nif os.environ.get('PYTEST_CURRENT_TEST'):\n    x = 1\n",
         {("ASK", "source-knows-tests")}),
        ("shop.py", "import sys\nfast = 'pytest' in sys.modules\n", {("ASK", "source-knows-tests")}),
        ("tests/conftest.py", "import time\ntime.time = lambda: 0\n", {("ASK", "world-patched")}),
        ("shop.py", "import random\nrandom.random = lambda: 0.5\n", {("ASK", "world-patched")}),
        ("tests/conftest.py",
         ("import pytest\n@pytest.fixture(autouse=True)\ndef still(monkeypatch):\n"
          "    monkeypatch.setattr('time.time', lambda: 0)\n"), {("ASK", "world-patched")}),
    ],
)  # fmt: skip
def test_code_that_reaches_for_the_runner(
    found, path: str, text: str, expected: set[object]
) -> None:
    assert found(hooks, {path: text}) == expected


def test_hooks_that_only_help_are_routine(found) -> None:
    text = """import pytest


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    setattr(item, "rep_" + call.when, outcome.get_result())


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true")


def pytest_collection_modifyitems(config, items):
    for one in items:
        if "slow" in one.keywords and not config.getoption("--slow"):
            one.add_marker(pytest.mark.skip(reason="needs --slow"))


@pytest.fixture
def clock(monkeypatch):
    monkeypatch.setattr("time.time", lambda: 0)
"""
    assert found(hooks, {"tests/conftest.py": text}) == set()
    kept = {**SHOP, "conftest.py": "import time\ntime.time = lambda: 0\n"}
    assert found(hooks, {"conftest.py": kept["conftest.py"] + "x = 1\n"}, kept) == set()


# -- configuration, CI, policy ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("pyproject.toml", "[tool.coverage.report]\nfail_under = 90\n",
         "[tool.coverage.report]\nfail_under = 50\n"),
        ("pyproject.toml", "[tool.ruff.lint]\nselect = ['E', 'S']\n", "[tool.ruff.lint]\nselect = ['E']\n"),
        ("pyproject.toml", "[tool.mypy]\nstrict = true\n", "[tool.mypy]\nstrict = false\n"),
        ("pyproject.toml", "[tool.mypy]\nstrict = true\n",
         "[tool.mypy]\nstrict = true\nignore_errors = true\n"),
        ("setup.cfg", "[flake8]\nignore = E1\n", "[flake8]\nignore = E1,F8\n"),
        (".coveragerc", "[run]\nbranch = true\n", "[run]\nbranch = true\nomit = shop.py\n"),
        ("tox.ini", "[pytest]\naddopts = -q\n", "[pytest]\naddopts = -q --deselect tests/test_shop.py\n"),
        ("mypy.ini", "[mypy]\nstrict = True\n", None),
    ],
)  # fmt: skip
def test_configuration_that_asks_for_less(found, path: str, before: str, after: str | None) -> None:
    assert found(relaxed, {path: after}, {**SHOP, path: before}) == {
        ("ASK", "configuration-relaxed")
    }


def test_configuration_that_asks_for_more_is_routine(found) -> None:
    before = "[tool.coverage.report]\nfail_under = 50\n[tool.ruff]\nline-length = 88\n"
    after = before.replace("50", "60").replace("88", "100") + "[tool.mypy]\nstrict = true\n"
    assert found(relaxed, {"pyproject.toml": after}, {**SHOP, "pyproject.toml": before}) == set()


def test_ci_and_policy(found) -> None:
    name = ".github/workflows/ci.yml"
    ci = "jobs:\n  test:\n    steps:\n      - run: pytest\n      - run: mypy src\n"
    base = {**SHOP, name: ci}
    assert found(relaxed, {name: ci.replace("pytest", "pytest -q")}, base) == set()
    assert found(relaxed, {name: ci.replace("pytest", "pytest || true")}, base) == {
        ("ASK", "ci-relaxed")
    }
    assert found(relaxed, {name: ci.replace("run: mypy src", "run: echo")}, base) == {
        ("ASK", "ci-relaxed")
    }
    assert found(relaxed, {name: None}, base) == {("ASK", "ci-relaxed")}
    assert found(relaxed, {".shipway/policy.yaml": "x: 1\n"}) == {("ASK", "policy-touched")}


def test_another_test_command_than_the_one_that_judged(found) -> None:
    recipe = "[testenv]\ncommands = pytest {posargs:tests} -q\n"
    base = {**SHOP, "tox.ini": recipe}
    said = {("ASK", "test-command-changed")}
    assert found(relaxed, {"tox.ini": recipe.replace("-q", "-k nothing")}, base) >= said
    assert found(relaxed, {"tox.ini": recipe.replace("pytest", "true")}, base) >= said
    assert found(relaxed, {"tox.ini": recipe + "deps = pytest\n"}, base) == set()


# -- suppressions -----------------------------------------------------------------------------


@pytest.mark.parametrize("comment", ["# noqa", "# type: ignore", "# nosec", "# pragma: no cover",
                                     "# pylint: disable=all"])  # fmt: skip
def test_a_suppression_beside_code_that_needed_none(found, comment: str) -> None:
    text = SHOP["shop.py"].replace(
        "    return price * count\n", f"    return price * count  {comment}\n"
    )
    assert found(suppressions, {"shop.py": text}) == {("ASK", "suppression-added")}


def test_suppressions_beside_new_code_are_custom_unless_they_are_sharp(found) -> None:
    new = SHOP["shop.py"] + "\n\ndef more(a):\n    return a.b  {}\n"
    assert found(suppressions, {"shop.py": new.format("# type: ignore[attr]")}) == set()
    assert found(suppressions, {"shop.py": new.format("# nosec")}) == {("ASK", "suppression-added")}
    assert found(suppressions, {"shop.py": "# ruff: noqa\n" + SHOP["shop.py"]}) == {
        ("ASK", "suppression-added")
    }
    moved = {**SHOP, "shop.py": "import os  # noqa: F401\n" + SHOP["shop.py"]}
    text = SHOP["shop.py"] + "\n\nimport sys  # noqa: E402\n"
    assert found(suppressions, {"shop.py": text}, moved) == set()
    said = SHOP["shop.py"].replace('return "shop"', 'return "# noqa"')
    assert found(suppressions, {"shop.py": said}) == set()
    # A line such as this stands in many places: what is beside it is new.
    new = "\n\nclass Shop:\n    @property{}\n    def open(self):\n        return {}\n"
    base = {**SHOP, "shop.py": SHOP["shop.py"] + new.format("", "True")}
    text = base["shop.py"] + "\n    @property  # type: ignore\n    def shut(self): ...\n"
    assert found(suppressions, {"shop.py": text}, base) == set()


def test_a_suppressed_copy_is_new_and_the_original_stays_what_it_was(found) -> None:
    part = "    try:\n        it.close()\n    finally:\n        it = None\n"
    base = {**SHOP, "shop.py": f"def shut(it):\n{part}"}
    note = part.replace("close()", "close()  # type: ignore")
    copied = f"def shut(it):\n{part}    if it:\n        return\n{note}"
    assert found(suppressions, {"shop.py": copied}, base) == set()
    above = {**base, "shop.py": f"def shut(it):\n{note}"}
    twice = f"def shut(it):\n    if it.open:\n        it.close()  # type: ignore\n{note}"
    assert found(suppressions, {"shop.py": twice}, above) == set()
    # A copy without it does not make the old line a new one.
    hidden = f"def shut(it):\n{note}\n\ndef unused(it):\n{part}"
    assert found(suppressions, {"shop.py": hidden}, base) == {("ASK", "suppression-added")}


# -- the sealed report ------------------------------------------------------------------------


def sealed(key: bytes, *entries: dict[str, object]) -> bytes:
    lines = [json.dumps({"n": number, **one}) for number, one in enumerate(entries, 1)]
    return b"".join(
        f"{hmac.new(key, line.encode(), hashlib.sha256).hexdigest()} {line}\n".encode()
        for line in lines
    )


def ended(code: int) -> Finished:
    report = FenceReport(
        mechanism="none", user=False, pids=False, mounts=False, network=False, landlock=False
    )
    return Finished((), code, None, False, False, False, b"", b"", "", "", 1.0, report)


PASS = {"kind": "report", "node": "t.py::test_a", "when": "call", "outcome": "passed",
        "raw": "passed", "xfail": False, "message": ""}  # fmt: skip
END = {"kind": "end", "exit": 0, "pytest": "9", "least": None}


def test_a_report_counts_with_its_seals_and_its_end_only() -> None:
    whole = suite.read(sealed(b"key", PASS, END), b"key", ended(0))
    assert whole.passed == {"t.py::test_a"}
    assert suite.read(sealed(b"key", PASS), b"key", ended(0)).passed == frozenset()
    assert suite.read(sealed(b"key", PASS, END), b"key", ended(1)).passed == frozenset()
    assert suite.read(b"", b"key", ended(0)).passed == frozenset()
    with pytest.raises(UnreadableReportError, match="somebody else"):
        suite.read(sealed(b"other", PASS, END), b"key", ended(0))
    left_out = sealed(b"key", PASS, PASS, END).split(b"\n", 1)[1]
    with pytest.raises(UnreadableReportError, match="missing"):
        suite.read(left_out, b"key", ended(0))


def test_a_pass_that_the_call_does_not_show_is_forced() -> None:
    for raw in ("raised", None, "skipped"):
        seen = suite.read(sealed(b"key", {**PASS, "raw": raw}, END), b"key", ended(0))
        assert seen.forced == {"t.py::test_a"}
        assert seen.passed == frozenset()
