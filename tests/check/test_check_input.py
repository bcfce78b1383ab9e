"""What repositories hold beside plain files, and the places where they say how they are tested."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from checked import MENDED, SHOP, gate, write

from gitcalls import git
from shipway.contracts.check import Outcome
from shipway.domain.gates import Enforcement, Verdict
from shipway.gates.stack import look

POINTER = (
    "version https://git-lfs.github.com/spec/v1\n"
    "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
)
HOOKS = "repos:\n- repo: https://example.org/ruff\n  rev: v1\n  hooks:\n  - id: ruff-check\n"


def test_submodules_pointers_links_binaries_and_huge_diffs_are_taken_in_stride(
    judge, git_repository
) -> None:
    repository = git_repository(
        {**SHOP, ".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n"}
    )
    write(repository, MENDED)
    write(repository, {"film.bin": POINTER, "table.csv": "1,2,3\n" * 20_000})
    (repository / "picture.png").write_bytes(bytes(range(256)) * 40)
    (repository / "outside").symlink_to("/etc/passwd")
    (repository / "nowhere").symlink_to("gone/away")
    (repository / "everything").symlink_to("/")  # pytest would look for tests in all there is
    Path(os.fsdecode(os.fsencode(repository) + b"/caf\xe9.txt")).write_bytes(b"\xff\xfe\n" * 9)
    Path(os.fsdecode(os.fsencode(repository) + b"/caf\xe9.py")).write_bytes(b"x = 1\n")
    (repository / "latin.py").write_bytes(b"# caf\xe9\nx = 1\n")  # coverage stumbles over both
    write(repository, {".gitmodules": '[submodule "other"]\n\tpath = lib/other\n\turl = ../o\n'})
    git(repository, "add", "--all")
    git(repository, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},lib/other")
    git(repository, "commit", "-qm", "fix: prices are doubled")
    names = ("file-size", "secrets", "tests", "tamper", "coverage")
    report = judge(repository, base="HEAD~1", head="HEAD", gates=names)
    assert report.outcome is Outcome.ACCEPTED, report.summary
    assert gate(report, "tests").examined == 2
    shown = report.model_dump_json()
    assert "root:" not in shown
    assert any("submodules are not checked out" in note for note in report.notes)
    assert any("files in Git LFS are pointers" in note for note in report.notes)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        (
            "noxfile.py",
            (
                "import nox\n\n@nox.session\ndef tests(session):\n    session.install('.')\n"
                "    session.run('pytest', '-q', 'checks', *session.posargs)\n"
            ),
            ["-q", "checks"],
        ),
        ("tox.ini", "[testenv]\ncommands = pytest -q checks {posargs}\n", ["-q", "checks"]),
        (
            "tox.ini",
            "[testenv]\ncommands = {env:CMD:pytest} -q {posargs:checks}\n",
            ["-q", "checks"],
        ),
        ("Makefile", "test: build\n\t@python -m pytest -q checks\n", ["-q", "checks"]),
        (
            "pyproject.toml",
            "[tool.hatch.envs.test.scripts]\nrun = ['pytest -q checks {args:more}']\n",
            ["-q", "checks", "more"],
        ),
        (
            "hatch.toml",
            "[envs.default.scripts]\ncov = 'pytest --cov'\ntest = 'pytest -q checks {args}'\n",
            ["-q", "checks"],
        ),
        ("noxfile.py", "def tests(session:\n", []),
    ],
    ids=["nox", "tox", "tox with defaults", "make", "hatch", "hatch.toml", "broken nox"],
)
def test_how_a_project_is_tested_is_read_where_it_says_so(tmp_path, name, text, words) -> None:
    write(tmp_path, {name: text, "a.py": "x = 1\n", "tests/test_a.py": "def test_a(): ...\n"})
    test = look(tmp_path).test
    assert test is not None
    assert test.argv == ["python", "-m", "pytest", *(words or ["tests"])]


def test_a_project_that_configures_pyright_is_held_to_it(judge, git_repository) -> None:
    """By its own strictness, and by what the base does not have."""
    old = "import nothing_there\n"
    wrong = "\n\ndef name(n: int) -> str:\n    return n\n\n\ndef loose(x):\n    return x.y\n"
    files = {**SHOP, "pyrightconfig.json": '{// with a comment\n"include": ["shop.py"]}\n'}
    files["shop.py"] += "\n\n" + old
    repository = git_repository(files, [{"shop.py": files["shop.py"] + wrong}])
    report = judge(repository, base="HEAD~1", gates=("types",))
    types = gate(report, "types")
    assert (types.verdict, types.tool, types.examined) == (Verdict.FAIL, "basedpyright", 1)
    assert [(one.rule, one.line) for one in types.findings] == [("reportReturnType", 9)]
    assert types.counts["known"] == 1


def test_without_a_type_checker_mypy_looks_at_what_changed_and_informs(
    judge, git_repository
) -> None:
    wrong = "def name(n: int) -> str:\n    return n\n"
    repository = git_repository({**SHOP, "far.py": wrong}, [{"near.py": wrong}])
    report = judge(repository, base="HEAD~1", gates=("types", "build"))
    types = gate(report, "types")
    assert (types.verdict, types.enforcement) == (Verdict.FAIL, Enforcement.ADVISORY)
    assert [(one.path, one.rule) for one in types.findings] == [("near.py", "return-value")]
    assert types.examined == 1
    assert report.outcome is Outcome.ACCEPTED
    few = judge(repository, base="HEAD~1", informing=False, run=False)
    left = {one.gate: one.reason for one in few.selections if not one.selected}
    assert left["types"] == left["dead-code"] == "not asked for: it only informs"


@pytest.mark.parametrize(
    ("configuration", "tool", "verdict", "rules"),
    [
        ({".flake8": "[flake8]\nextend-select = W6\n"}, "flake8", Verdict.FAIL, {"F401", "E225"}),
        ({"setup.cfg": "[flake8]\nignore = E, F\n"}, "flake8", Verdict.PASS, set()),
        ({".flake8": "[flake8]\nignore = # all\n"}, "ruff", Verdict.PASS, {"F401"}),
        ({"ruff.toml": "lint.select = ['E225']\nlint.preview = true\n"}, "ruff", Verdict.FAIL, {"E225"}),
        ({".pre-commit-config.yaml": HOOKS}, "ruff", Verdict.FAIL, {"F401"}),
        ({}, "ruff", Verdict.PASS, {"F401"}),
    ],
    ids=["flake8", "flake8 in setup.cfg", "flake8 that does not start", "ruff", "pre-commit", "none"],
)  # fmt: skip
def test_style_is_judged_by_the_tool_that_the_project_configures(
    judge, git_repository, configuration, tool, verdict, rules
) -> None:
    repository = git_repository(
        {**SHOP, **configuration}, [{"shop.py": "import os\n\nx=1\n" + SHOP["shop.py"]}]
    )
    lint = gate(judge(repository, base="HEAD~1", gates=("lint",)), "lint")
    assert (lint.tool, lint.verdict) == (tool, verdict), lint.summary
    assert lint.examined >= 2
    assert rules <= {one.rule for one in lint.findings}


def test_commands_that_print_without_end_are_no_evidence(judge, git_repository) -> None:
    endless = {"Makefile": "test:\n\t@yes '1 passed in 1s' | head -c 40000000\n", "a.txt": "1\n"}
    repository = git_repository(endless, [{"a.txt": "2\n"}])
    report = judge(repository, base="HEAD~1", gates=("tests",))
    assert gate(report, "tests").verdict is Verdict.ERROR
    assert report.outcome is Outcome.PERSON


def test_a_word_in_the_place_of_a_password_is_none_and_a_password_is_one(
    judge, git_repository
) -> None:
    shown = '"""Like ftp://user:password@host or ftp://user:${PW}@host."""\n'
    real = 'URL = "ftp://user:hunter2hunter2@host"\n'  # pragma: allowlist secret
    repository = git_repository(SHOP, [{"shown.py": shown}])
    report = judge(repository, base="HEAD~1", gates=("secrets",))
    assert report.outcome is Outcome.ACCEPTED
    write(repository, {"shown.py": shown.replace('"\n', f'"\n{real}'), "real.py": real})
    report = judge(repository, gates=("secrets",))
    assert report.outcome is Outcome.REJECTED
    bad = [one for one in gate(report, "secrets").findings if one.severity == "error"]
    assert {one.path for one in bad} == {"shown.py", "real.py"}
