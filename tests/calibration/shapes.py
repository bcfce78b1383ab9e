"""How repositories are laid out and tested in the wild: each shape dresses a story as files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from stories import Check, Fix, Story

Files = dict[str, str]
Suite = Sequence[tuple[str, Sequence[Check]]]
PACKAGE = "acme"


@dataclass(frozen=True)
class Shape:
    """``place`` is where the module lies, ``tests`` writes the tests of a suite, ``around`` the rest.

    ``beside`` is what a fix changes beside its source and its test; ``policy`` goes into the base's
    policy; ``mends`` is False where the change brings no test.
    """

    name: str
    place: str
    imports: str
    tests: Callable[[str, str, Suite], Files]
    around: Callable[[Story], Files] = lambda _story: {}
    beside: Callable[[Story, Fix], Files] = lambda _story, _fix: {}
    policy: str = ""
    edges: Mapping[str, str] = field(default_factory=dict)

    def source(self, story: Story) -> str:
        return self.place.format(module=story.module)

    def suite(self, story: Story, suite: Suite) -> Files:
        return self.tests(story.module, self.imports.format(module=story.module), suite)


# -- ways to write tests ----------------------------------------------------------------------


def _assertion(check: Check) -> list[str]:
    if check.wanted.startswith("!"):
        return [f"with pytest.raises({check.wanted[1:]}):", f"    {check.given}"]
    if check.wanted in {"True", "False"}:
        return [f"assert {check.given} is {check.wanted}"]
    return [f"assert {check.given} == {check.wanted}"]


def _needs_pytest(suite: Suite) -> str:
    raises = any(check.wanted.startswith("!") for _, checks in suite for check in checks)
    return "import pytest\n\n" if raises else ""


def functions(at: str, head: str = "", how: str = "def") -> Callable[[str, str, Suite], Files]:
    """Plain test functions."""

    def write(module: str, imports: str, suite: Suite) -> Files:
        text = f"{head}{_needs_pytest(suite)}{imports}\n"
        for name, checks in suite:
            body = "".join(f"    {line}\n" for check in checks for line in _assertion(check))
            text += f"\n\n{how} test_{name}():\n{body}"
        return {at.format(module=module): text}

    return write


def classes(at: str) -> Callable[[str, str, Suite], Files]:
    """Test methods of unittest."""

    def write(module: str, imports: str, suite: Suite) -> Files:
        text = f"import unittest\n\n{imports}\n\n\nclass {module.title()}Test(unittest.TestCase):\n"
        for number, (name, checks) in enumerate(suite):
            text += ("\n" if number else "") + f"    def test_{name}(self):\n"
            for check in checks:
                if check.wanted.startswith("!"):
                    text += f"        with self.assertRaises({check.wanted[1:]}):\n"
                    text += f"            {check.given}\n"
                else:
                    text += f"        self.assertEqual({check.given}, {check.wanted})\n"
        return {
            at.format(module=module): text + '\n\nif __name__ == "__main__":\n    unittest.main()\n'
        }

    return write


def rows(at: str) -> Callable[[str, str, Suite], Files]:
    """One parametrised test, to which each fix adds rows, and a test for each error."""

    def write(module: str, imports: str, suite: Suite) -> Files:
        plain = [one for _, checks in suite for one in checks if not one.wanted.startswith("!")]
        listed = "".join(f"        (lambda: {one.given}, {one.wanted}),\n" for one in plain)
        text = f"import pytest\n\n{imports}\n\n\n@pytest.mark.parametrize(\n"
        text += f'    ("call", "wanted"),\n    [\n{listed}    ],\n)\n'
        text += "def test_results(call, wanted):\n    assert call() == wanted\n"
        for name, checks in suite:
            for one in checks:
                if one.wanted.startswith("!"):
                    text += f"\n\ndef test_{name}():\n    with pytest.raises({one.wanted[1:]}):\n"
                    text += f"        {one.given}\n"
        return {at.format(module=module): text}

    return write


def fixtures(at: str) -> Callable[[str, str, Suite], Files]:
    """Tests in a class that take what they need from conftest.py."""

    def write(module: str, imports: str, suite: Suite) -> Files:
        text = f"import pytest\n\n{imports}\n\n\n@pytest.mark.unit\nclass Test{module.title()}:\n"
        for number, (name, checks) in enumerate(suite):
            text += ("\n" if number else "") + f"    def test_{name}(self, checked):\n"
            for check in checks:
                if check.wanted.startswith("!"):
                    text += f"        with pytest.raises({check.wanted[1:]}):\n"
                    text += f"            {check.given}\n"
                else:
                    text += f"        checked({check.given}, {check.wanted})\n"
                    text += f"        assert {check.given} == {check.wanted}\n"
        return {at.format(module=module): text}

    return write


def golden(module: str, imports: str, suite: Suite) -> Files:
    """What the library says, compared with a file that holds it."""
    plain = [one for _, checks in suite for one in checks if not one.wanted.startswith("!")]
    calls = "".join(f"        {one.given},\n" for one in plain)
    wanted = "".join(f"{eval(one.wanted)!r}\n" for one in plain)  # noqa: S307 - literals of ours
    text = f"from pathlib import Path\n\nimport pytest\n\n{imports}\n\n"
    text += 'GOLDEN = Path(__file__).parent / "golden" / "said.txt"\n\n\ndef test_said():\n'
    text += f"    said = [\n{calls}    ]\n"
    text += '    assert GOLDEN.read_text() == "".join(f"{one!r}\\n" for one in said)\n'
    for name, checks in suite:
        for one in checks:
            if one.wanted.startswith("!"):
                text += f"\n\ndef test_{name}():\n    with pytest.raises({one.wanted[1:]}):\n"
                text += f"        {one.given}\n"
    return {f"tests/test_{module}.py": text, "tests/golden/said.txt": wanted}


def none(_module: str, _imports: str, _suite: Suite) -> Files:
    return {}


# -- what lies around -------------------------------------------------------------------------


def _pyproject(story: Story, more: str = "", layout: str = "") -> str:
    return (
        '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n\n'
        f'[project]\nname = "{PACKAGE}-{story.module}"\nversion = "1.0"\n'
        f'description = "{story.about}"\nrequires-python = ">=3.8"\n{layout}{more}'
    )


def _init(at: str = f"{PACKAGE}/__init__.py") -> Files:
    return {at: '"""A library."""\n\n__version__ = "1.0"\n'}


def _modern(story: Story) -> Files:
    more = '\n[tool.pytest.ini_options]\ntestpaths = ["tests"]\naddopts = "-ra"\n'
    return {"pyproject.toml": _pyproject(story, more), **_init(f"src/{PACKAGE}/__init__.py")}


def _setup_cfg(story: Story) -> Files:
    return {
        "setup.cfg": f"[metadata]\nname = {PACKAGE}\nversion = 1.0\n\n[options]\npackages = find:\n\n"
        "[tool:pytest]\ntestpaths = tests\n\n[flake8]\nmax-line-length = 100\n",
        "setup.py": "from setuptools import setup\n\nsetup()\n",
        "tox.ini": "[tox]\nenvlist = py39,py311\n\n[testenv]\ncommands = pytest {posargs}\n",
        **_init(),
        "README.rst": f"{story.about}\n{'=' * len(story.about)}\n",
    }


def _old(story: Story) -> Files:
    return {
        "setup.py": "import io\nfrom setuptools import setup, find_packages\n\n"
        "long_description = io.open('README.rst', encoding='utf-8').read()\n\n"
        f"setup(\n    name='{PACKAGE}-{story.module}',\n    version='0.9',\n"
        "    packages=find_packages(exclude=['tests']),\n    long_description=long_description,\n"
        "    test_suite='tests',\n    classifiers=['Programming Language :: Python'],\n)\n",
        "README.rst": f"{story.about}\n",
        "MANIFEST.in": "include README.rst\n",
        "tests/__init__.py": "",
        **_init(),
    }


def _makefile(story: Story) -> Files:
    return {
        "Makefile": "test:\n\tPYTHONPATH=src python -m unittest discover -s tests -v\n\n"
        "clean:\n\trm -rf build\n",
        "pyproject.toml": _pyproject(story),
        **_init(f"src/{PACKAGE}/__init__.py"),
    }


def _plugin(story: Story) -> Files:
    return {
        "pytest.ini": "[pytest]\nmarkers =\n    unit: quick ones\n"
        "addopts = --strict-markers -p tests.plugin\n",
        "pyproject.toml": _pyproject(story),
        "tests/__init__.py": "",
        "tests/plugin.py": "def pytest_report_header(config):\n    return 'acme'\n",
        "tests/conftest.py": "import pytest\n\n\n@pytest.fixture\ndef checked():\n"
        "    seen = []\n\n    def check(given, wanted):\n        seen.append(given)\n"
        "        assert given == wanted\n\n    yield check\n    seen.clear()\n",
        **_init(),
    }


def _nox(story: Story) -> Files:
    more = '\n[dependency-groups]\ntests = []\n\n[tool.ruff.lint]\nselect = ["E", "F", "I"]\n'
    return {
        "noxfile.py": "import nox\n\n\n@nox.session\ndef tests(session):\n"
        '    session.install("-e", ".")\n    session.run("pytest", *session.posargs)\n',
        "pyproject.toml": _pyproject(story, more),
        **_init(f"src/{PACKAGE}/__init__.py"),
        "src/acme/old.py": "import os, sys\n\n\ndef name():\n    return sys.platform\n",
    }


def _typed(story: Story) -> Files:
    more = (
        '\n[tool.mypy]\nfiles = ["src"]\n\n[tool.pytest.ini_options]\nfilterwarnings = ["error"]\n'
    )
    return {
        "pyproject.toml": _pyproject(story, more),
        **_init(f"src/{PACKAGE}/__init__.py"),
        f"src/{PACKAGE}/py.typed": "",
        f"src/{PACKAGE}/count.py": "def count(words: list[str]) -> int:\n    return str(len(words))\n",
    }


def _monorepo(story: Story) -> Files:
    return {
        "packages/core/pyproject.toml": _pyproject(story),
        f"packages/core/{PACKAGE}/__init__.py": '"""A library."""\n',
        "packages/app/pyproject.toml": _pyproject(story).replace(story.module, "app"),
        "packages/app/app/__init__.py": '"""An application."""\n\n\ndef main():\n    return 0\n',
        "packages/app/tests/test_app.py": "def test_app():\n    assert 1 + 1 == 2\n",
        "pytest.ini": "[pytest]\ntestpaths = packages\npythonpath = packages/core packages/app\n"
        "addopts = --import-mode=importlib\n",
        "README.md": "# Two packages\n",
    }


def _doctests(story: Story) -> Files:
    more = '\n[tool.pytest.ini_options]\naddopts = "--doctest-modules --doctest-glob=*.rst"\n'
    return {
        "pyproject.toml": _pyproject(story, more),
        "docs/usage.rst": "Usage\n=====\n\n>>> import acme\n>>> acme.__version__\n'1.0'\n",
        **_init(),
    }


def _failing(story: Story) -> Files:
    """A suite that is not all green before the change either."""
    return {
        "pyproject.toml": _pyproject(story),
        "tests/test_place.py": "import os\nimport sys\n\nimport pytest\n\n\n"
        "def test_home():\n    assert os.environ['ACME_HOME']\n\n\n"
        "@pytest.mark.skipif(sys.platform != 'win32', reason='Windows only')\n"
        "def test_windows():\n    assert os.sep == '\\\\'\n\n\n"
        "@pytest.mark.xfail(reason='not mended yet')\ndef test_later():\n    assert 1 == 2\n",
        **_init(),
    }


def _alone(story: Story) -> Files:
    return {"README.md": f"# {story.about}\n", "LICENSE": "Do what you like.\n"}


def _news(_story: Story, fix: Fix) -> Files:
    """A fix is told to users too."""
    return {f"changes/{fix.name}.bugfix.rst": f"{fix.subject}.\n"}


def _tidied(story: Story, fix: Fix) -> Files:
    """A fix that also tidies: a comment, a configuration, another module."""
    return {
        f"{PACKAGE}/__init__.py": f'"""A library: {fix.name} was mended."""\n\n__version__ = "1.1"\n',
        "setup.cfg": _setup_cfg(story)["setup.cfg"].replace("100", "110"),
    }


_SRC, _FLAT = f"src/{PACKAGE}/{{module}}.py", f"{PACKAGE}/{{module}}.py"
_IN = f"from {PACKAGE} import {{module}}\n"
_TESTS = "tests/test_{module}.py"
SHAPES = (
    Shape("src-pytest", _SRC, _IN, functions(_TESTS), _modern, _news),
    Shape("flat-setup-cfg", _FLAT, _IN, functions(_TESTS), _setup_cfg),
    Shape("old-unittest", _FLAT, _IN, classes(_TESTS), _old),
    Shape("makefile-unittest", _SRC, _IN, classes(_TESTS), _makefile),
    Shape("conftest-plugin", _FLAT, _IN, fixtures(_TESTS), _plugin),
    Shape("nox-ruff", _SRC, _IN, functions("tests/unit/test_{module}.py"), _nox, _news),
    Shape("typed", _SRC, _IN, functions(_TESTS), _typed),
    Shape("monorepo", f"packages/core/{PACKAGE}/{{module}}.py", _IN,
          functions("packages/core/tests/test_{module}.py"), _monorepo),
    Shape("parametrised", _FLAT, _IN, rows(_TESTS), _setup_cfg, _tidied),
    Shape("doctests", _FLAT, _IN, functions(_TESTS), _doctests),
    Shape("golden", _FLAT, _IN, golden, _setup_cfg),
    Shape("failing-base", _FLAT, _IN, functions(_TESTS), _failing),
    Shape("beside", "{module}.py", "import {module}\n", functions("test_{module}.py"), _alone),
    Shape("inside-package", _FLAT, _IN, functions(f"{PACKAGE}/tests/test_{{module}}.py"),
          lambda story: {**_setup_cfg(story), f"{PACKAGE}/tests/__init__.py": ""}),
    Shape("no-tests", _FLAT, _IN, none, _setup_cfg,
          policy="tests: none\ntests_reason: a sketch, looked at by hand\n"),
)  # fmt: skip
