"""What repositories hold beside plain files, and the places where they say how they are tested."""

from __future__ import annotations

import pytest
from checked import MENDED, SHOP, gate, write

from gitcalls import git
from shipway.contracts.check import Outcome
from shipway.domain.gates import Verdict
from shipway.gates.stack import look

POINTER = (
    "version https://git-lfs.github.com/spec/v1\n"
    "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
)


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
    git(repository, "add", "--all")
    git(repository, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},lib/other")
    git(repository, "commit", "-qm", "fix: prices are doubled")
    names = ("file-size", "secrets", "build", "tests", "lint")
    report = judge(repository, base="HEAD~1", head="HEAD", gates=names)
    assert report.outcome is Outcome.ACCEPTED, report.summary
    assert gate(report, "tests").examined == 2
    shown = report.model_dump_json()
    assert "root:" not in shown


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
        ("Makefile", "test: build\n\t@python -m pytest -q checks\n", ["-q", "checks"]),
        ("noxfile.py", "def tests(session:\n", []),
    ],
    ids=["nox", "tox", "make", "broken nox"],
)
def test_how_a_project_is_tested_is_read_where_it_says_so(tmp_path, name, text, words) -> None:
    write(tmp_path, {name: text, "a.py": "x = 1\n", "tests/test_a.py": "def test_a(): ...\n"})
    test = look(tmp_path).test
    assert test is not None
    assert test.argv == ["python", "-m", "pytest", *(words or ["tests"])]


def test_a_project_with_a_type_checker_that_is_not_run_is_told_so(judge, git_repository) -> None:
    repository = git_repository({**SHOP, "pyrightconfig.json": "{}\n"}, [MENDED])
    report = judge(repository, base="HEAD~1", run=False)
    types = next(one for one in report.selections if one.gate == "types")
    assert not types.selected
    assert "pyright" in types.reason
    assert "commands:" in types.reason


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
