"""The ``change`` pipeline on a repository with history: merged, or stopped with the reason."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from people import Person, until

BLANK = " \n"
GOOD = f"""\
--- a/src/calc/__init__.py
+++ b/src/calc/__init__.py
@@ -5,4 +5,4 @@
     \"\"\"Add two numbers.\"\"\"
-    return a - b
+    return a + b
{BLANK}{BLANK}--- a/tests/test_calc.py
+++ b/tests/test_calc.py
@@ -9,1 +9,5 @@
     assert double(4) == 8
+
+
+def test_add() -> None:
+    assert add(1, 2) == 3
"""
BAD = """\
--- a/src/calc/__init__.py
+++ b/src/calc/__init__.py
@@ -10,2 +10,2 @@
     \"\"\"Twice a number.\"\"\"
-    return 2 * a
+    return 3 * a
"""


def git(repository: Path, *arguments: str) -> str:
    who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]  # nobody may be configured
    command = ["git", "-C", str(repository), *who, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def change(repository: Path, *more: str, text: str = "fix: add adds") -> list[str]:
    return ["run", "--repo", str(repository), "--requirement", text, *more]


@pytest.fixture
def patch(tmp_path: Path):
    def write(text: str) -> str:
        path = tmp_path / "change.patch"
        path.write_text(text)
        return str(path)

    return write


PROOF = "\n\ndef test_add() -> None:\n    assert add(1, 2) == 3\n"


def agent(code: str) -> str:
    """A coding agent, as a command."""
    code = f"import pathlib, time; {code}"
    return f"implement=command:{shlex.quote(sys.executable)} -c {shlex.quote(code)}"


def edit(path: str, old: str, new: str) -> str:
    """Python that changes one file."""
    return f"p = pathlib.Path({path!r}); p.write_text(p.read_text().replace({old!r}, {new!r}))"


def append(path: str, text: str) -> str:
    return f"p = pathlib.Path({path!r}); p.write_text(p.read_text() + {text!r})"


MEND = edit("src/calc/__init__.py", "a - b", "a + b")
PROVE = append("tests/test_calc.py", PROOF)


def test_a_good_patch_is_merged_and_the_work_tree_follows(person: Person, calc, patch) -> None:
    before = git(calc, "rev-parse", "main")
    done = person.run(*change(calc, "--patch", patch(GOOD)))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "succeeded" in done.stdout
    assert "return a + b" in (calc / "src/calc/__init__.py").read_text()
    assert git(calc, "status", "--porcelain") == ""
    message = git(calc, "log", "-1", "--format=%B", "main")
    assert message.startswith("fix")
    view = person.view()
    assert f"Shipway-Run: {view['summary']['id']}" in message
    assert git(calc, "merge-base", "main", before) == before
    tests = next(gate for gate in person.stage("validate")["gates"] if gate["gate"] == "tests")
    assert tests["verdict"] == "PASS"
    assert tests["examined"] == 3
    report = person.home / "runs" / view["summary"]["id"] / "report.html"
    assert "fix: add adds" in report.read_text()


def test_a_bad_patch_is_stopped_by_the_tests_and_moves_nothing(person: Person, calc, patch) -> None:
    before = git(calc, "rev-parse", "main")
    done = person.run(*change(calc, "--patch", patch(BAD), text="refactor: thrice"))
    assert done.returncode == 1
    assert "test_double" in done.stdout
    assert "run logs" in done.stdout
    assert git(calc, "rev-parse", "main") == before
    assert person.stage("integrate")["status"] == "skipped"


def test_a_patch_that_does_not_apply_is_said_with_its_file(person: Person, calc, patch) -> None:
    done = person.run(*change(calc, "--patch", patch(BAD.replace("2 * a", "two * a"))))
    assert done.returncode == 1
    assert "src/calc/__init__.py" in done.stdout


def test_a_fix_that_no_test_shows_is_not_merged(person: Person, calc) -> None:
    before = git(calc, "rev-parse", "main")
    done = person.run(*change(calc, "--agent", agent(MEND)))
    assert done.returncode == 1
    assert "proof FAIL: the fix is not proven" in done.stdout
    assert git(calc, "rev-parse", "main") == before


def test_an_agent_that_bends_a_test_is_asked_about_and_merged_only_when_a_person_says_so(
    person: Person, calc
) -> None:
    """The run waits with what it found; a no ends it, a yes merges exactly what was asked about."""
    before = git(calc, "rev-parse", "main")
    bend = edit("tests/test_calc.py", "assert double(4) == 8", "assert double(4)")
    asked = person.run(*change(calc, "--agent", agent(f"{MEND}; {PROVE}; {bend}")))
    assert asked.returncode == 3, asked.stdout + asked.stderr
    assert "tests/test_calc.py" in asked.stdout
    assert "shipway decide 1/validate-tamper approve" in asked.stdout
    assert git(calc, "rev-parse", "main") == before
    candidate = person.stage("implement")["result"]["tree"]
    assert person.run("decide", "1/validate-tamper", "approve", "-m", "meant").returncode == 0
    until(lambda: person.view()["summary"]["status"] == "succeeded", "the end")
    assert git(calc, "rev-parse", "main^{tree}") == candidate
    assert person.stage("validate")["attempts"][0]["status"] == "failed"
    assert len(person.stage("validate")["attempts"]) == 1


def test_what_a_person_refuses_is_not_merged(person: Person, calc) -> None:
    before = git(calc, "rev-parse", "main")
    drop = edit("tests/test_calc.py", "def test_double", "def _double")
    asked = person.run(*change(calc, "--agent", agent(f"{MEND}; {PROVE}; {drop}")))
    assert asked.returncode in {1, 3}, asked.stdout + asked.stderr
    if asked.returncode == 3:
        assert person.run("decide", "1", "reject", "-m", "put it back").returncode == 0
        until(lambda: person.view()["summary"]["status"] == "failed", "the end")
    assert git(calc, "rev-parse", "main") == before


def test_a_command_makes_the_change_and_the_user_who_works_meanwhile_is_not_disturbed(
    person: Person, calc
) -> None:
    """The branch moves on while the run works: both changes are there in the end."""
    started = person.start(*change(calc, "--agent", agent(f"{MEND}; {PROVE}")))
    until(lambda: person.stage("plan").get("status") == "passed", "the plan")
    (calc / "README.md").write_text("# calc, the calculator\n")
    git(calc, "commit", "--quiet", "--all", "--message", "docs: say more")
    output, _ = started.communicate(timeout=120)
    assert started.returncode == 0, output
    assert "return a + b" in git(calc, "show", "main:src/calc/__init__.py")
    assert "the calculator" in git(calc, "show", "main:README.md")


def test_a_conflict_names_the_file_and_both_sides_and_touches_nothing(person: Person, calc) -> None:
    started = person.start(*change(calc, "--agent", agent(f"{MEND}; {PROVE}; time.sleep(3)")))
    until(lambda: person.stage("implement").get("status") == "running", "the agent at work")
    source = calc / "src/calc/__init__.py"
    source.write_text(source.read_text().replace("a - b", "b + a"))
    git(calc, "commit", "--quiet", "--all", "--message", "fix: another way")
    theirs = git(calc, "rev-parse", "main")
    output, _ = started.communicate(timeout=120)
    assert started.returncode == 1, output
    assert "src/calc/__init__.py" in output
    assert "conflict" in output.lower()
    assert git(calc, "rev-parse", "main") == theirs
    assert git(calc, "status", "--porcelain") == ""


def test_the_engine_is_a_small_process_without_what_only_services_and_templates_need(
    person: Person, calc
) -> None:
    person.run(*change(calc, "--agent", agent(f"{MEND}; {PROVE}"), "--detach"))
    until(lambda: person.stage("integrate").get("status") == "running", "the tests once more")
    pid = until(person.engine, "the engine")
    high = int(Path(f"/proc/{pid}/status").read_text().split("VmHWM:")[1].split()[0])
    assert high < 120 * 1024, f"{high} KiB at its highest"
    mapped = Path(f"/proc/{pid}/maps").read_text()
    assert "pydantic_core" in mapped, "the look at what is loaded shows nothing"
    loaded = "import sys, shipway.bootstrap.engines, shipway.agents.wiring; print(*sys.modules)"
    modules = subprocess.run(
        [sys.executable, "-c", loaded], env=person.env, capture_output=True, text=True, check=True
    ).stdout.split()
    assert "shipway.agents.wiring" in modules
    assert not {"fastapi", "copier", "sqlalchemy"} & set(modules)
    until(lambda: person.view()["summary"]["status"] == "succeeded", "the end")


def test_two_runs_at_once_on_one_repository_and_the_engine_killed_between(
    person: Person, calc
) -> None:
    """Whoever is killed: nobody's work is lost, and nothing is merged twice."""
    one = person.start(*change(calc, "--agent", agent(f"{MEND}; {PROVE}")))
    halve = agent(edit("src/calc/more.py", "a // 2", "a >> 1"))
    two = person.start(*change(calc, "--agent", halve, text="refactor: half"))
    until(lambda: person.stage("validate", "1").get("status") == "running", "the first validating")
    one.kill()
    person.kill_engine()
    two.communicate(timeout=180)
    assert two.returncode == 0
    resumed = person.run("run", "resume", "1")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert "a + b" in git(calc, "show", "main:src/calc/__init__.py")
    assert "a >> 1" in git(calc, "show", "main:src/calc/more.py")
    trailers = git(calc, "log", "--first-parent", "--format=%(trailers:key=Shipway-Run,valueonly)")
    runs = [line for line in trailers.splitlines() if line]
    assert len(runs) == len(set(runs)) == 2
