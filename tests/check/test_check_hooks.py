"""Hooks of pre-commit and the project's own pylint: what can be run is, and the rest is named."""

from __future__ import annotations

import pytest
from checked import MENDED, SHOP, gate, policy

from shipway.contracts.check import Outcome
from shipway.contracts.evidence import GateEvidence
from shipway.domain.gates import Verdict
from shipway.gates.precommit import read

CONFIGURATION = """
repos:
- repo: https://example.org/ruff
  rev: v1
  hooks:
  - {id: ruff}
  - {id: ruff-format}
- repo: https://example.org/others
  rev: v1
  hooks:
  - {id: check-yaml}
  - {id: isort}
- repo: local
  hooks:
  - {id: no-print, name: no print, entry: python tools/no_print.py, language: system, types: [python]}
  - {id: shout, name: shout, entry: SHOUT, language: pygrep}
  - {id: later, name: later, entry: "false", language: system, stages: [pre-push]}
  - {id: docs, name: docs, entry: "false", language: system, files: '^docs/'}
"""
TOOL = (
    "import sys\nbad = [name for name in sys.argv[1:] if 'print(' in open(name).read()]\n"
    "print(*(f'{name}: print' for name in bad), sep='\\n')\nsys.exit(bool(bad))\n"
)
BASE = {**SHOP, ".pre-commit-config.yaml": CONFIGURATION, "tools/no_print.py": TOOL}
PRINTS = {"shop.py": MENDED["shop.py"] + "\n\nprint(price(1))\n"}
UNFORMED = {"shop.py": "def price( n ):\n    return n*2\n"}
NOT_HERE = ["check-yaml", "isort", "shout"]


def hooks(judge, git_repository, base, change) -> GateEvidence:
    repository = git_repository(base, [change])
    return gate(judge(repository, base="HEAD~1", gates=("hooks",)), "hooks")


@pytest.mark.parametrize(
    ("base", "change", "verdict", "rule"),
    [
        (BASE, MENDED, Verdict.PASS, None),
        (BASE, PRINTS, Verdict.FAIL, "no-print"),
        (BASE, {**PRINTS, "tools/no_print.py": "\n"}, Verdict.FAIL, "no-print"),
        ({**BASE, **PRINTS}, {"shop.py": PRINTS["shop.py"] + "\n\nMORE = 1\n"}, Verdict.PASS, None),
        (BASE, UNFORMED, Verdict.FAIL, "ruff-format"),
    ],
    ids=["good", "new", "the hook itself is bent", "known", "a file would be mended"],
)
def test_hooks_that_can_be_run_judge_what_changed_and_the_others_are_named(
    judge, git_repository, base, change, verdict, rule
) -> None:
    seen = hooks(judge, git_repository, base, change)
    assert seen.verdict is verdict, seen.summary
    assert [one.rule for one in seen.findings if one.severity == "error"][:1] == [rule] * bool(rule)
    assert [one.rule for one in seen.findings if one.severity == "note"] == NOT_HERE
    assert f"3 not run: {', '.join(NOT_HERE)}" in seen.summary
    assert "ruff (gate lint)" in seen.summary


def test_hooks_of_which_none_can_be_run_are_no_pass(judge, git_repository) -> None:
    only = "repos:\n- repo: https://example.org/x\n  rev: a\n  hooks:\n  - id: check-yaml\n"
    files = {**SHOP, ".pre-commit-config.yaml": only, **policy("required: [hooks]\n")}
    report = judge(git_repository(files, [MENDED]), base="HEAD~1", gates=("hooks",))
    seen = gate(report, "hooks")
    assert seen.verdict is Verdict.NOT_RUN
    assert "1 not run: check-yaml" in seen.summary
    assert report.outcome is Outcome.PERSON


@pytest.mark.parametrize(
    "said", ["repos: [", "repos: 3", "a: 1", "repos: [{repo: local, hooks: [{id: a, entry: \"'\"}]}]"]
)  # fmt: skip
def test_hooks_that_cannot_be_read_are_an_error(judge, git_repository, said) -> None:
    files = {**SHOP, ".pre-commit-config.yaml": said}
    seen = hooks(judge, git_repository, files, MENDED)
    assert seen.verdict is Verdict.ERROR
    assert ".pre-commit-config.yaml" in seen.summary or "the hook a" in seen.summary


def test_a_hook_is_for_the_files_that_it_names_and_no_others(tmp_path) -> None:
    for name, data in {"a.py": b"x", "b.yml": b"x", "c.bin": b"\0", "docs/d.py": b"x"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    names = ["a.py", "b.yml", "c.bin", "docs/d.py"]

    def picked(hook: str, top: str = "") -> list[str]:
        text = f"{top}\nrepos: [{{repo: local, hooks: [{{id: a, {hook}}}]}}]"
        return read(text.encode())[0].picks(tmp_path, names)

    assert picked("types: [python]") == ["a.py", "docs/d.py"]
    assert picked("types_or: [python, yaml]") == ["a.py", "b.yml", "docs/d.py"]
    assert picked("exclude_types: [binary]") == ["a.py", "b.yml", "docs/d.py"]
    assert picked("files: '\\.py$', exclude: ^docs/") == ["a.py"]
    assert picked("types: [python]", "exclude: ^docs/") == ["a.py"]


def test_a_pylint_that_is_configured_and_not_there_is_said_to_be_missing(
    judge, git_repository
) -> None:
    files = {**SHOP, ".pylintrc": "[MAIN]\n"}
    report = judge(git_repository(files, [MENDED]), base="HEAD~1", gates=("pylint",))
    seen = gate(report, "pylint")
    assert (seen.verdict, seen.enforcement.value) == (Verdict.NOT_RUN, "advisory")
    assert seen.summary == "pylint is configured, and not among what the tests need"


def test_a_file_that_is_called_like_the_linter_is_not_run_in_its_place(
    judge, git_repository
) -> None:
    base = {**SHOP, ".flake8": "[flake8]\n"}
    bent = {"shop.py": "import os\n\n\n" + MENDED["shop.py"], "flake8.py": "print('7.0.0')\n"}
    seen = gate(judge(git_repository(base, [bent]), base="HEAD~1", gates=("lint",)), "lint")
    assert seen.verdict is Verdict.FAIL, seen.summary
    assert "F401" in seen.summary
