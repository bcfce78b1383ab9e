"""Whole checks of small repositories: what is accepted, what is rejected, and what needs a person."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

from checked import BROKEN, MENDED, SHOP, gate, policy, write

from shipway.check import memory
from shipway.check.check import Asked, Watcher, check
from shipway.check.equipment import Ears
from shipway.check.formats import junit, markdown, sarif
from shipway.check.subject import Wanted
from shipway.contracts.check import Outcome
from shipway.domain.gates import Enforcement, Verdict
from shipway.domain.states import Claim
from shipway.workspace.fence import Limits

QUICK = ("tests", "build", "file-size", "scope")


def test_a_good_fix_is_accepted_streamed_and_known_the_second_time(
    equipment, git_repository
) -> None:
    repository = git_repository(SHOP, [MENDED])
    heard: list[str] = []
    watcher = Watcher(judged=lambda one: heard.append(one.gate))
    asked = Asked(repository, Wanted(base="HEAD~1"), claim=Claim.FIX)
    report = check(asked, equipment, watcher)
    assert report.outcome is Outcome.ACCEPTED, report.summary
    required = {one.gate for one in report.evidence if one.enforcement is Enforcement.REQUIRED}
    assert {"tests", "lint", "build", "security", "secrets", "file-size"} <= required
    assert all(one.verdict is Verdict.PASS for one in report.evidence if one.gate in required)
    assert sorted(heard) == sorted(one.gate for one in report.evidence)
    assert heard.index("file-size") < heard.index("tests")
    assert all(one.reason for one in report.selections)
    assert all(one.tree == report.head.tree for one in report.evidence)
    again = check(asked, equipment)
    assert again.outcome is Outcome.ACCEPTED
    assert set(again.cached) == {one.gate for one in again.evidence}
    assert again.evidence == report.evidence
    assert [path.name for path in equipment.place.iterdir() if path.name.startswith("check-")] == []


def test_memory_never_answers_for_other_trees_claims_or_policies(judge, git_repository) -> None:
    repository = git_repository(SHOP, [MENDED])
    asked = {"base": "HEAD~1", "gates": ("file-size",)}
    assert judge(repository, **asked).cached == []
    assert judge(repository, **asked).cached == ["file-size"]
    assert judge(repository, **asked, claim=Claim.CHORE).cached == []
    assert judge(repository, **asked, cached=False).cached == []
    write(repository, {"other.py": "x = 1\n"})
    assert judge(repository, **asked).cached == []


def test_memory_notices_what_changes_outside_the_repository(tmp_path) -> None:
    (tmp_path / "a.json").write_text("{}")
    before = memory.stamps(tmp_path)
    assert memory.stamps(tmp_path) == before
    (tmp_path / "b.json").write_text("{}")
    assert memory.stamps(tmp_path) != before


def test_a_broken_change_is_rejected_with_the_test_its_log_and_one_command(
    judge, equipment, git_repository
) -> None:
    repository = git_repository(SHOP)
    write(repository, BROKEN)
    report = judge(repository, gates=("tests",))
    assert report.outcome is Outcome.REJECTED
    seen = gate(report, "tests")
    assert "test_shop.py::test_two" in seen.summary
    assert seen.findings[0].reproduce == "python -m pytest 'test_shop.py::test_two'"
    assert seen.log is not None
    assert b"assert 10 == 4" in equipment.shelf.read(seen.log)
    result = sarif(report)["runs"][0]["results"][0]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "test_shop.py"
    assert b'failures="2"' in junit(report)
    assert "Rejected" in markdown(report)


def test_what_fails_on_the_base_as_well_does_not_speak_against_a_change(
    judge, git_repository
) -> None:
    old = {**SHOP, "test_old.py": "def test_old():\n    assert False\n"}
    repository = git_repository(old, [MENDED])
    report = judge(repository, base="HEAD~1", gates=("tests",))
    assert gate(report, "tests").verdict is Verdict.PASS
    assert gate(report, "tests").counts["known"] == 1
    assert report.outcome is Outcome.ACCEPTED


def test_a_flaky_test_is_classified_with_its_rate_and_goes_to_a_person_unless_in_quarantine(
    judge, git_repository
) -> None:
    # Fails only when a whole suite is run: alone, and on the base, it passes.
    flaky = {
        "test_race.py": (
            "import sys\n\n\ndef test_race():\n    assert 'test_shop' not in sys.modules\n"
        )
    }
    quarantine = policy(
        "quarantine:\n- {test: 'test_race.py::test_race', owner: ada, reason: races, "
        "expires: 2999-01-01}\n"
    )
    named = {"test_a_shop.py": "import test_shop\n\n\ndef test_it():\n    assert test_shop\n"}
    repository = git_repository(MENDED, [{**flaky, **named}])
    report = judge(repository, base="HEAD~1", gates=("tests",))
    seen = gate(report, "tests")
    assert report.outcome is Outcome.PERSON
    assert seen.counts["flaky"] == 1
    assert any(one.name == "flaky test_race.py::test_race" for one in seen.measurements)
    repository = git_repository({**MENDED, **quarantine}, [{**flaky, **named}], name="quarantined")
    report = judge(repository, base="HEAD~1", gates=("tests",))
    assert gate(report, "tests").counts["quarantined"] == 1
    assert report.outcome is Outcome.ACCEPTED


def test_without_tests_a_person_decides_unless_the_base_says_that_there_are_none(
    judge, git_repository
) -> None:
    repository = git_repository({"shop.py": SHOP["shop.py"]}, [{"shop.py": MENDED["shop.py"]}])
    report = judge(repository, base="HEAD~1", gates=("tests",))
    assert gate(report, "tests").verdict is Verdict.NOT_RUN
    assert report.outcome is Outcome.PERSON
    assert "tests: none" in report.decisions[0].question
    none = policy("tests: none\ntests_reason: a table of prices, reviewed by hand\n")
    repository = git_repository({"a.py": "x = 1\n", **none}, [{"a.py": "x = 2\n"}], name="none")
    report = judge(repository, base="HEAD~1", gates=QUICK)
    chosen = next(one for one in report.selections if one.gate == "tests")
    assert not chosen.selected
    assert "reviewed by hand" in chosen.reason
    assert report.outcome is Outcome.ACCEPTED


def test_the_candidate_s_own_policy_and_test_command_do_not_count(judge, git_repository) -> None:
    makefile = {"Makefile": "test:\n\tpython -m pytest\n"}
    repository = git_repository({**SHOP, **makefile})
    tricks = {
        "Makefile": "test:\n\tpython -m pytest --collect-only\n",
        **policy("tests: none\ntests_reason: trust me\nadvisory: [tests]\n"),
    }
    write(repository, {**BROKEN, **tricks})
    report = judge(repository, gates=("tests",))
    assert report.policy.source == "the strict default"
    assert report.outcome is Outcome.REJECTED


def test_all_tests_taken_away_is_rejected(judge, git_repository) -> None:
    repository = git_repository(SHOP, [{"test_shop.py": None, "shop.py": MENDED["shop.py"]}])
    report = judge(repository, base="HEAD~1", gates=("tests",))
    assert gate(report, "tests").verdict is Verdict.FAIL
    assert report.outcome is Outcome.REJECTED


def test_no_change_is_nothing_to_judge(judge, git_repository) -> None:
    report = judge(git_repository(SHOP))
    assert report.outcome is Outcome.NOTHING
    assert b'failures="1"' in junit(report)


def test_scope_size_syntax_and_imports(judge, git_repository) -> None:
    rules = policy("scope: ['*.py', 'shop/**']\nthresholds: {file_size_kb: 8}\n")
    package = {"shop/__init__.py": "", "shop/deep.py": "x = 1\n"}
    repository = git_repository({**package, **rules})
    write(
        repository,
        {"docs/a.md": "x\n", "big.py": "# x\n" * 4000, "bad.py": "def\n",
         "shop/__init__.py": "import gone_away\n"},
    )  # fmt: skip
    report = judge(repository, gates=("scope", "file-size", "build"))
    assert [one.path for one in gate(report, "scope").findings] == ["docs/a.md"]
    assert [one.path for one in gate(report, "file-size").findings] == ["big.py"]
    assert gate(report, "file-size").ask
    found = {(one.rule, one.path) for one in gate(report, "build").findings}
    assert found == {("syntax", "bad.py"), ("import", "shop")}
    assert report.outcome is Outcome.REJECTED


def test_complexity_and_dead_code_inform_about_what_changed(judge, git_repository) -> None:
    forks = "".join(f"    if n == {n}:\n        return {n}\n" for n in range(20))
    tangled = f"def many(n):\n{forks}    return _used()\n\n\ndef _used():\n    return 1\n"
    repository = git_repository({"old.py": tangled.replace("many", "old")})
    dead = "def _left():\n    return 2\n"
    write(repository, {"new.py": tangled, "dead.py": dead, "old.py": "# moved\n" + tangled})
    report = judge(repository, gates=("complexity", "dead-code"))
    assert [one.path for one in gate(report, "complexity").findings] == ["new.py", "old.py"]
    assert [one.message for one in gate(report, "dead-code").findings] == [
        "_left is private, and nothing uses it"
    ]
    assert all(one.enforcement is Enforcement.ADVISORY for one in report.evidence)


def test_declared_commands_need_a_number_and_a_base_that_declares_them(
    judge, git_repository
) -> None:
    rules = policy(
        "commands:\n"
        "- {gate: good, run: [sh, -c, 'echo 7 pages'], counts: '(\\d+) pages'}\n"
        "- {gate: silent, run: [sh, -c, 'true']}\n"
        "- {gate: empty, run: [sh, -c, 'echo 0 pages'], counts: '(\\d+) pages'}\n"
        "- {gate: bad, run: [sh, -c, 'exit 3']}\n"
        "- {gate: gone, run: [no-such-command]}\n"
    )
    repository = git_repository({"a.txt": "1\n", **rules}, [{"a.txt": "2\n"}])
    names = ("good", "silent", "empty", "bad", "gone")
    report = judge(repository, base="HEAD~1", gates=names)
    assert {one.gate: one.verdict.value for one in report.evidence} == {
        "good": "PASS", "silent": "ERROR", "empty": "ERROR", "bad": "FAIL", "gone": "ERROR",
    }  # fmt: skip
    assert "counts" in gate(report, "silent").summary
    assert report.cached == []
    assert judge(repository, base="HEAD~1", gates=names).cached == []


def test_another_stack_is_tested_by_its_own_command(judge, git_repository) -> None:
    tap = "test:\n\t@echo 1..1; grep -q good a.txt && echo ok 1 || { echo not ok 1; exit 1; }\n"
    repository = git_repository({"Makefile": tap, "a.txt": "good\n"}, [{"a.txt": "bad\n"}])
    report = judge(repository, base="HEAD~1", gates=("tests",))
    assert gate(report, "tests").verdict is Verdict.FAIL
    silent = {"Makefile": "test:\n\t@true\n", "a.txt": "1\n"}
    repository = git_repository(silent, [{"a.txt": "2\n"}], name="silent")
    report = judge(repository, base="HEAD~1", gates=("tests",))
    assert gate(report, "tests").verdict is Verdict.ERROR
    assert report.outcome is Outcome.PERSON


def test_an_environment_that_cannot_be_built_is_an_error_with_what_to_add(
    judge, git_repository
) -> None:
    wrong = {"requirements.txt": "this is no requirement !!\n"}
    repository = git_repository({**SHOP, **wrong}, [MENDED])
    report = judge(repository, base="HEAD~1", gates=("tests",))
    seen = gate(report, "tests")
    assert seen.verdict is Verdict.ERROR
    assert "this is no requirement" in seen.summary
    assert "name what it needs under `requirements:`" in seen.summary
    assert report.outcome is Outcome.PERSON


def test_a_suite_that_destroys_hangs_and_prints_leaves_nothing_behind(
    equipment, git_repository
) -> None:
    wild = (
        "import os, shutil, signal, subprocess, sys, time\n\n\ndef test_wild():\n"
        "    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "    subprocess.Popen(['sleep', '300'], start_new_session=True)\n"
        "    open(os.path.expanduser('~/left'), 'w').write('x')\n"
        "    shutil.rmtree('.', ignore_errors=True)\n"
        "    while True:\n        os.write(1, b'x' * 65536)\n        time.sleep(0.001)\n"
    )
    repository = git_repository(SHOP, [{"test_wild.py": wild}])
    short = replace(equipment, patience=Limits(seconds=5.0))
    report = check(Asked(repository, Wanted(base="HEAD~1"), gates=("tests",)), short)
    assert gate(report, "tests").verdict is Verdict.ERROR
    assert "while test_wild.py::test_wild was running" in gate(report, "tests").summary
    assert report.outcome is Outcome.PERSON
    assert not (Path.home() / "left").exists()
    assert (repository / "test_wild.py").is_file()
    assert not any(path.name.startswith("check-") for path in equipment.place.iterdir())
    assert judge_again_is_not_cached(repository, short)


def test_a_suite_that_forks_for_ever_is_ended_and_passes_nothing(equipment, git_repository) -> None:
    forks = "import os\n\n\ndef test_forks():\n    while True:\n        os.fork()\n"
    repository = git_repository(SHOP, [{"test_forks.py": forks}])
    few = replace(equipment, patience=Limits(seconds=3.0, processes=48))
    report = check(Asked(repository, Wanted(base="HEAD~1"), gates=("tests",)), few)
    assert gate(report, "tests").verdict in {Verdict.ERROR, Verdict.FAIL}
    assert report.outcome is not Outcome.ACCEPTED


def judge_again_is_not_cached(repository, short) -> bool:
    asked = Asked(repository, Wanted(base="HEAD~1"), gates=("tests",))
    return check(replace(asked, run=False), short).cached == []


def test_a_check_that_is_cancelled_ends_and_says_so(equipment, git_repository) -> None:
    slow = "import time\n\n\ndef test_slow():\n    time.sleep(60)\n"
    repository = git_repository(SHOP, [{"test_slow.py": slow}])
    ears = Ears(cancel=threading.Event())
    threading.Timer(3.0, ears.cancel.set).start()
    asked = Asked(repository, Wanted(base="HEAD~1"), gates=("tests",))
    report = check(asked, equipment, Watcher(ears=ears))
    assert gate(report, "tests").verdict is Verdict.ERROR
    assert "cancelled" in gate(report, "tests").summary


def test_a_waiver_of_the_base_lets_one_finding_pass_and_is_shown(judge, git_repository) -> None:
    before = {**SHOP, "ruff.toml": "line-length = 100\n"}
    repository = git_repository(before, [{**MENDED, "extra.py": "import os\n"}])
    report = judge(repository, base="HEAD~1", gates=("lint",))
    assert report.outcome is Outcome.REJECTED
    from shipway.check.waivers import digest

    rules = policy(
        f"waivers:\n- {{gate: lint, digest: {digest(gate(report, 'lint'))}, approver: ada, "
        "reason: needed for its effect, expires: 2999-01-01}\n"
    )
    repository = git_repository(
        {**before, **rules}, [{**MENDED, "extra.py": "import os\n"}], name="waived"
    )
    report = judge(repository, base="HEAD~1", gates=("lint",))
    assert report.outcome is Outcome.ACCEPTED
    assert report.waivers[0].counts
    assert "waived" in report.summary


def test_only_what_a_change_brings_is_found_in_changed_files_also_renamed_ones(
    judge, git_repository
) -> None:
    body = "".join(f"x{n} = {n}\n" for n in range(20))
    weak = f"import os\nimport subprocess\n{body}subprocess.call('ls', shell=True)\n"
    secret = 'password = "hunter2hunter2"\n'  # pragma: allowlist secret
    old = {"old.py": weak + secret, "other.py": weak, "ruff.toml": "line-length = 100\n"}
    repository = git_repository(old, [{"old.py": None, "new.py": "# moved\n" + weak + secret}])
    names = ("lint", "security", "secrets")
    report = judge(repository, base="HEAD~1", gates=names)
    assert {one.gate: one.verdict.value for one in report.evidence} == dict.fromkeys(names, "PASS")
    assert gate(report, "security").examined == 1
    assert all(one.counts["known"] >= 1 for one in report.evidence)
    write(repository, {"new.py": "# moved\n" + weak + secret + "eval(input())\n", "s.ini": secret})
    report = judge(repository, base="HEAD~1", gates=names)
    assert [one.path for one in gate(report, "security").findings] == ["new.py"]
    assert [one.path for one in gate(report, "secrets").findings] == ["s.ini"]
    assert report.outcome is Outcome.REJECTED


def test_an_unproven_change_is_rejected_as_a_fix_asked_about_unsaid_and_fine_as_a_refactoring(
    judge, git_repository
) -> None:
    repository = git_repository(MENDED, [{"shop.py": "def price(n):\n    return n + n\n"}])
    asked = {"base": "HEAD~1", "gates": ("proof", "tests")}
    assert judge(repository, **asked, claim=Claim.FIX).outcome is Outcome.REJECTED
    assert judge(repository, **asked, claim=Claim.REFACTOR).outcome is Outcome.ACCEPTED
    report = judge(repository, **asked)
    assert report.outcome is Outcome.PERSON
    assert "--claim refactor" in report.decisions[0].question


def test_the_strict_default_does_not_refuse_what_projects_without_these_tools_do(
    judge, git_repository
) -> None:
    repository = git_repository(SHOP)
    made_up = 'def test_it():\n    password = "hunter2hunter2"\n    assert password\n'
    files = {
        "style.py": "import os\n",
        "test_login.py": made_up,
        "README.md": 'password = "hunter2hunter2"\n',  # pragma: allowlist secret
    }
    write(repository, files)
    names = ("lint", "security", "secrets")
    report = judge(repository, gates=names)
    assert report.outcome is Outcome.ACCEPTED, report.summary
    assert {one.rule for one in gate(report, "lint").findings} == {"F401"}
    assert len(gate(report, "secrets").findings) == 2
    write(repository, {"style.py": "print(missing)\n"})
    assert judge(repository, gates=names).outcome is Outcome.REJECTED
    write(repository, {"style.py": "eval(input())\n"})
    report = judge(repository, gates=names)
    assert report.outcome is Outcome.PERSON
    assert "style.py:1 B307" in report.decisions[0].question
    write(repository, {"style.py": 'password = "hunter2hunter2"\n'})  # pragma: allowlist secret
    assert judge(repository, gates=names).outcome is Outcome.REJECTED


def test_tests_that_need_a_missing_service_are_an_error_with_the_reason(
    judge, git_repository
) -> None:
    needy = (
        "import socket\n\n\ndef test_database():\n"
        "    socket.create_connection(('127.0.0.1', 5432), 1)\n"
    )
    repository = git_repository(SHOP, [{"test_database.py": needy}])
    report = judge(repository, base="HEAD~1", gates=("tests",))
    assert gate(report, "tests").verdict is Verdict.ERROR
    assert "need a service that is not here" in gate(report, "tests").summary
    assert report.outcome is Outcome.PERSON
