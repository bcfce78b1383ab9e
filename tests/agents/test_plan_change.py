"""The plan for a change says what the base commit's own files say, and nothing of the candidate."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shipway.agents.agent import Desk
from shipway.agents.plan import RepositoryPlanner
from shipway.agents.planning.change import plan_change
from shipway.contracts.change_plan import ChangePlan
from shipway.contracts.model import ArtifactRef
from shipway.contracts.plan import PlanRequest, PlanResult
from shipway.domain.states import Claim
from shipway.errors import ConfigurationError, UsageError
from shipway.gates.stack import look
from shipway.workspace.git import Hub

MakeDesk = Callable[..., Desk]
BASE = "a" * 40
NOTHING = ArtifactRef(name="r.md", sha256="0" * 64, size=1, media_type="text/markdown")
PROJECT = {
    "pyproject.toml": "[project]\nname = 'Note Box'\n[tool.pytest.ini_options]\n[tool.ruff]\n"
    "[tool.mypy]\nstrict = true\n",
    "src/notes/__init__.py": "",
    "tests/test_notes.py": "def test_it(): pass\n",
    "requirements.txt": "",
    ".github/workflows/ci.yml": "",
}


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def made(tree: Path, requirement: str = "fix: it is slow", **more: Any) -> ChangePlan:
    request = PlanRequest(requirement=NOTHING, kind="change", base=BASE, **more)
    return plan_change(request, requirement, tree)


def argv(root: Path, files: dict[str, str]) -> tuple[list[str], str] | None:
    found = look(write(root, files)).test
    return None if found is None else (found.argv, found.source)


def test_a_python_project_says_everything_itself(tmp_path: Path) -> None:
    plan = made(write(tmp_path, PROJECT))
    assert (plan.name, plan.stack, plan.layout) == ("note-box", "python", "src")
    assert plan.requirements == ["requirements.txt"]
    assert plan.test is not None
    assert (plan.test.argv, plan.test.source) == (["python", "-m", "pytest"], "pyproject.toml")
    assert plan.lint is not None
    assert plan.lint.argv == ["ruff", "check", "."]
    assert plan.types is not None
    assert plan.types.argv == ["mypy", "src"]
    assert plan.protected == [".shipway", ".github"]
    assert (plan.risk, plan.ambiguities, plan.service) == ("low", [], None)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"Makefile": "lint:\n\truff .\n\ntest: lint\n\t.venv/bin/python -m pytest -q tests\n"},
         (["python", "-m", "pytest", "-q", "tests"], "Makefile")),
        ({"Makefile": "test:\n\t$(PY) -m pytest $(ARGS)\n", "a.py": ""},
         (["python", "-m", "pytest"], "Makefile")),
        ({"Makefile": "test:\n\tcargo test\n"}, (["make", "test"], "Makefile")),
        ({"Makefile": "test := 3\n", "tests/test_a.py": ""}, (["python", "-m", "pytest", "tests"], "tests")),
        ({"tox.ini": "[testenv]\ndeps = pytest>=8\ncommands =\n    pytest {posargs} -x\n"},
         (["python", "-m", "pytest", "-x"], "tox.ini")),
        ({"tox.ini": "[testenv]\ndeps =\n    pytest\n"}, None),
        ({"setup.cfg": "[tool:pytest]\n", "setup.py": ""}, (["python", "-m", "pytest"], "setup.cfg")),
        ({"pytest.ini": "[pytest]\n", "a.py": ""}, (["python", "-m", "pytest"], "pytest.ini")),
        ({"tests/__init__.py": "", "tests/test_a.py": "import unittest"},
         (["python", "-m", "unittest", "discover", "-s", "tests", "-t", "."], "tests")),
        ({"test_a.py": ""}, (["python", "-m", "pytest"], "test_a.py")),
        ({"package.json": '{"scripts": {"test": "x"}}'}, (["npm", "test"], "package.json")),
        ({"go.mod": "module x\n"}, (["go", "test", "./..."], "go.mod")),
        ({"a.py": ""}, None),
        ({"README.md": ""}, None),
    ],
)  # fmt: skip
def test_how_it_is_tested(tmp_path: Path, files: dict[str, str], expected: object) -> None:
    assert argv(tmp_path, files) == expected


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, []),
        (
            {"requirements.txt": "a", "requirements-dev.txt": "b"},
            ["requirements.txt", "requirements-dev.txt"],
        ),
        (
            {"requirements.txt": "a", "requirements-dev.txt": "-r requirements.txt\nb"},
            ["requirements-dev.txt"],
        ),
        (
            {"requirements/dev.txt": "b --hash=x", "requirements/runtime.txt": "a --hash=y"},
            ["requirements/dev.txt"],
        ),
    ],
)
def test_what_its_environment_is_built_from(
    tmp_path: Path, files: dict[str, str], expected: list[str]
) -> None:
    assert look(write(tmp_path, {"setup.py": "", **files})).requirements == expected


def test_the_policy_of_the_base_says_how_it_is_tested_and_what_that_needs(tmp_path: Path) -> None:
    policy = "version: 1\ntest: [make, quick]\nrequirements: [needs.txt]\n"
    plan = made(write(tmp_path, {**PROJECT, ".shipway/policy.yaml": policy}))
    assert plan.requirements == ["needs.txt"]
    assert plan.test is not None
    assert (plan.test.argv, plan.test.source) == (["make", "quick"], ".shipway/policy.yaml")
    write(tmp_path, {".shipway/policy.yaml": "version: 1\ntset: [make]\n"})
    with pytest.raises(ConfigurationError, match="tset"):
        made(tmp_path)


@pytest.mark.parametrize(
    ("requirement", "title", "claim", "asks"),
    [
        ("feat(api)!: add a door\n\nMore.", "add a door", Claim.FEATURE, False),
        ("# fix: no more crashes", "no more crashes", Claim.FIX, False),
        ("docs: say hello", "say hello", Claim.CHORE, False),
        ("perf: be quick", "be quick", Claim.REFACTOR, False),
        ("Fix the crash at night", "Fix the crash at night", Claim.FIX, True),
        ("Rename the door", "Rename the door", Claim.REFACTOR, True),
        ("A new door", "A new door", Claim.FEATURE, True),
        ("Note: not a prefix", "Note: not a prefix", Claim.FEATURE, True),
    ],
)
def test_title_and_claim(
    tmp_path: Path, requirement: str, title: str, claim: Claim, asks: bool
) -> None:
    plan = made(write(tmp_path, PROJECT), requirement)
    assert (plan.title, plan.claim, bool(plan.ambiguities)) == (title, claim, asks)


def test_the_claim_of_the_run_wins_and_a_contradiction_is_told(tmp_path: Path) -> None:
    plan = made(write(tmp_path, PROJECT), "fix: it", claim=Claim.REFACTOR)
    assert plan.claim is Claim.REFACTOR
    assert "Which is it?" in plan.ambiguities[0].question
    assert "tests" in plan.protected


@pytest.mark.parametrize("requirement", ["", "  \n ", "#", "---"])
def test_a_requirement_without_words_is_refused(tmp_path: Path, requirement: str) -> None:
    with pytest.raises(UsageError, match="says nothing"):
        made(tmp_path, requirement)


def test_risk_has_reasons(tmp_path: Path) -> None:
    plan = made(write(tmp_path / "a", PROJECT), "fix: the migration drops passwords")
    assert plan.risk == "medium"
    assert any("stored data" in reason for reason in plan.risk_reasons)
    assert made(write(tmp_path / "b", {"a.py": ""})).risk == "high"
    assert made(write(tmp_path / "c", PROJECT), "feat!: other doors").risk == "high"


def test_a_service_is_declared_by_the_base(tmp_path: Path) -> None:
    declared = {".shipway/service.yaml": "start: [python, -m, notes]\nhealth: /up\n"}
    plan = made(write(tmp_path / "a", PROJECT | declared))
    assert plan.service is not None
    assert (plan.service.start, plan.service.health, plan.service.deploy) == (
        ["python", "-m", "notes"], "/up", True,
    )  # fmt: skip
    with pytest.raises(ConfigurationError):
        made(write(tmp_path / "b", PROJECT | {".shipway/service.yaml": "begin: now"}))
    outside = write(tmp_path / "c", {"service.yaml": "start: [true]\n"}) / "service.yaml"
    tree = write(tmp_path / "d", PROJECT)
    (tree / ".shipway").mkdir()
    (tree / ".shipway/service.yaml").symlink_to(outside)
    assert made(tree).service is None


def test_links_out_of_the_tree_and_broken_files_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret.toml").write_text("[project]\nname = 'secret'\n[tool.ruff]\n")
    tree = write(tmp_path / "tree", {"setup.py": "", "tox.ini": "no section", "mypy.ini": "[mypy"})
    (tree / "pyproject.toml").symlink_to(tmp_path / "secret.toml")
    plan = made(tree)
    assert plan.name == "change"
    assert plan.lint is None
    assert {one.where for one in plan.ambiguities} >= {"tox.ini", "mypy.ini"}


def commit(repository: Path, *names: str) -> str:
    environment = {
        **os.environ, "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@b", "GIT_CONFIG_GLOBAL": os.devnull,
    }  # fmt: skip
    for arguments in (["add", "--", *names], ["commit", "-qm", "x"]):
        subprocess.run(["git", "-C", str(repository), *arguments], check=True, env=environment)
    asked = ["git", "-C", str(repository), "rev-parse", "HEAD"]
    done = subprocess.run(asked, check=True, capture_output=True)
    return done.stdout.decode().strip()


def test_the_agent_plans_from_the_base_commit_only(
    tmp_path: Path, make_desk: MakeDesk, artifacts: Any
) -> None:
    repository = write(tmp_path / "repository", PROJECT)
    subprocess.run(["git", "init", "-q", "-b", "main", str(repository)], check=True)
    base = commit(repository, ".")
    write(repository, {"Makefile": "test:\n\ttrue\n", ".shipway/service.yaml": "start: [later]\n"})
    commit(repository, ".")

    def perform() -> tuple[PlanResult, Desk]:
        text = "fix: a door stays open\n\nIt must shut."
        request = PlanRequest(
            requirement=artifacts.put(text.encode(), "r.md", "text/markdown"),
            kind="change",
            base=base,
        )
        desk = make_desk("plan", request)
        if not desk.hub.exists():
            Hub.create(desk.hub).seed(repository, base)
        return RepositoryPlanner().perform(request, desk), desk

    (first, desk), (second, _) = perform(), perform()
    assert first == second
    plan = ChangePlan.model_validate_json(desk.artifacts.read(first.plan))
    assert (first.kind, first.title, first.claim, first.has_service) == (
        "change", "a door stays open", Claim.FIX, False,
    )  # fmt: skip
    assert plan.test is not None
    assert plan.test.source == "pyproject.toml"
    text = desk.artifacts.read(first.readable).decode()
    assert "# Plan: a door stays open" in text
    assert "> It must shut." in text


def test_a_change_without_a_base_is_refused(make_desk: MakeDesk, artifacts: Any) -> None:
    request = PlanRequest(requirement=artifacts.put(b"fix: x", "r", "text/plain"), kind="change")
    with pytest.raises(UsageError, match="commit to start from"):
        RepositoryPlanner().perform(request, make_desk("plan", request))
