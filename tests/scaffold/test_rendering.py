"""What is rendered: the same bytes each time, in good order, with nothing of the document run."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rendered_service import DOCUMENTS, plan_of

from shipway.agents.scaffolding.view import view
from shipway.contracts.service_file import ServiceFile

RUFF = [sys.executable, "-m", "ruff"]


def run(*words, cwd):
    return subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False)


def files(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_project_is_in_good_order(project, name):
    root = project(name)
    checked = run(*RUFF, "check", "--no-cache", ".", cwd=root)
    assert checked.returncode == 0, checked.stdout
    if name != "long":  # where names alone fill a line, the formatter may see another way
        formatted = run(*RUFF, "format", "--no-cache", "--diff", ".", cwd=root)
        assert formatted.returncode == 0, formatted.stdout
    for path in root.rglob("*.py"):
        compile(path.read_bytes(), str(path), "exec")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_service_file_is_one_that_release_reads(project, name):
    root = project(name)
    said = ServiceFile.parse((root / ServiceFile.PATH).read_bytes())
    assert said.start[:2] == ["python", "-m"]
    assert (root / said.start[2] / "__main__.py").is_file()
    assert said.document is not None
    assert (root / said.document).read_bytes() == DOCUMENTS[name].read_bytes()
    taken = {plan_of(name).prefix + one.path for one in plan_of(name).operations}
    assert said.health not in taken


def test_the_same_plan_gives_the_same_view():
    first, second = (json.dumps(view(plan_of("hostile"), "openapi.yaml")) for _ in range(2))
    assert first == second


def test_nothing_of_a_hostile_document_gets_out_of_its_place(project):
    root = project("hostile")
    names = [name for name in files(root) if name.endswith(".py")]
    assert all(re.fullmatch(r"[a-z0-9_/]+\.py", name) for name in names)
    text = (root / "README.md").read_text()
    assert "49" not in text
    assert "{{ jinja }}" in text
    assert "\u202e" not in text


def test_handlers_hold_no_answer_of_the_document(project):
    """No value of an example stands in the code that answers."""
    root = project("library")
    code = "\n".join(path.read_text() for path in (root / "lending_library").rglob("*.py"))
    for value in ("Earthsea", "Le Guin", "9780547773742", "Tenar", "Quay Lane"):
        assert value in DOCUMENTS["library"].read_text()
        assert value not in code


def test_requirements_are_pinned_by_hash_and_name_no_place(project):
    for name in ("requirements.txt", "requirements-dev.txt"):
        text = (project("library") / name).read_text()
        packages = re.findall(r"^([a-z0-9-]+)==\S+.*\\$", text, re.MULTILINE)
        assert packages
        assert text.count("--hash=sha256:") >= len(packages)
        assert "://" not in text
    assert "jsonschema==" in (project("hostile") / "requirements.txt").read_text()
    assert "jsonschema==" not in (project("library") / "requirements.txt").read_text()


@pytest.mark.slow
def test_types_hold_and_its_own_tests_pass_and_cover_it(project, environment):
    root = project("library")
    types = subprocess.Popen(
        [
            sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(root.parent / "mypy"),
            "--python-executable", str(environment.python), ".",
        ],
        cwd=root, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    python = str(environment.python)
    done = run(
        python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--cov", "--cov-branch", cwd=root
    )
    said = types.communicate()[0]
    assert types.returncode == 0, said
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Required test coverage of 85.0% reached" in done.stdout
