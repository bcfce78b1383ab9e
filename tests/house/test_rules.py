"""The tree keeps the rules of the house, and each rule can go red."""

from __future__ import annotations

from pathlib import Path

import house_rules
import pytest
from house_rules import RULES, faults_of, project_files

SAID = '"""Says what it is for."""\n'
LONG = SAID + "def f():\n" + "    x = 1\n" * 61

RED = {
    "size": [("src/shipway/a.py", LONG), ("src/shipway/a.py", SAID + "x = 1\n" * 600)],
    "caption": [
        ("src/shipway/a.py", "import os\n"),
        ("src/shipway/a.py", '"""First thing. Second thing."""\n'),
        ("tests/a.py", '"""No stop at the end"""\n'),
    ],
    "naming": [("src/shipway/utils.py", SAID), ("src/shipway/common/a.py", SAID)],
    "finished": [
        ("docs/a.md", "TO" + "DO: write this\n"),
        ("src/shipway/a.py", "raise NotImplementedError\n"),
        ("tests/test_a.py", "@pytest.mark.skip\ndef test_a():\n    f()\n"),
        ("tests/test_a.py", "@pytest.mark.xfail(reason='x')\ndef test_a():\n    f()\n"),
        ("tests/test_a.py", "def test_a():\n    pytest.skip('no network')\n"),
        ("src/shipway/a.py", "x = 1  # type: ignore\n"),
        ("src/shipway/a.py", "x = 1  # noqa\n"),
    ],
    "loud": [
        ("src/shipway/a.py", "try:\n    f()\nexcept ValueError:\n    pass\n"),
        ("src/shipway/a.py", "try:\n    f()\nexcept:\n    ...\n"),
        ("src/shipway/a.py", "with contextlib.suppress(Exception):\n    f()\n"),
    ],
    "cancellable": [
        (
            "src/shipway/a.py",
            "try:\n    f()\nexcept asyncio.CancelledError as e:\n    raise AgentError('x') from e\n",
        ),
        ("src/shipway/a.py", "try:\n    f()\nexcept BaseException:\n    raise OSError\n"),
        ("src/shipway/a.py", "try:\n    f()\nexcept:\n    raise OSError\n"),
    ],
    "portable": [
        ("README.md", "from https://pypi" + ".org/simple\n"),
        ("src/shipway/a.py", 'HOME = "/home' + '/ada/shipway"\n'),
        ("Makefile", "cp x /Users" + "/ada\n"),
    ],
    "settings": [
        ("tests/test_a.py", "Settings()\n"),
        ("tests/test_a.py", "Settings(home=tmp_path)\n"),
    ],
    "neighbours": [
        ("src/shipway/cli/main.py", "import sqlite3\n"),
        ("src/shipway/domain/run/decide.py", "import pydantic\n"),
        ("src/shipway/domain/run/decide.py", "from time import monotonic\n"),
        ("src/shipway/engine/advance.py", "def f():\n    from sqlalchemy import text\n"),
        ("src/shipway/cli/main.py", "import rich.console\n"),
    ],
}
CLEAN = SAID + "import os  # noqa: F401 - kept for the example\n\ndef f():\n    return 1\n"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_tree_keeps_the_rule(rule):
    faults = faults_of(rule, project_files())
    assert not faults, "\n" + "\n".join(faults)


@pytest.mark.parametrize(
    ("rule", "name", "text"),
    [(rule, name, text) for rule, cases in RED.items() for name, text in cases],
)
def test_the_rule_goes_red(rule, name, text):
    assert list(getattr(house_rules, rule)(name, text))


def test_each_rule_has_a_red_example_and_passes_clean_code():
    assert set(RED) == {rule.__name__ for rule in RULES}
    for rule in RULES:
        assert not list(rule("src/shipway/store/clean.py", CLEAN))


def test_modules_of_tests_have_names_of_their_own():
    """Test folders are no packages, so two modules of one name are taken for each other."""
    modules = [
        Path(name).name
        for name in project_files()
        if name.startswith("tests/") and name.endswith(".py") and "conftest" not in name
    ]
    assert not {name for name in modules if modules.count(name) > 1}
