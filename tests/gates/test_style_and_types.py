"""What the project's own tools say: only of what a change touches, and only what they said in its day."""

from __future__ import annotations

from dataclasses import replace

from comparing import FIXED, SHOP
from coverage import Coverage

from shipway.domain.gates import Verdict
from shipway.gates import probe, standard
from shipway.gates.suite import head_suite


def test_lint_findings_in_files_that_were_not_touched_only_inform(compare) -> None:
    """They come with the configuration: whoever asks for more did not write them."""
    base = {
        **SHOP,
        "ruff.toml": 'lint.select = ["F"]\n',
        "old.py": "import os\n\nx = os.sep == None\n",
    }
    stricter = {"ruff.toml": 'fix = true\nlint.select = ["F", "E711"]\n', "shop.py": FIXED}
    seen = standard.LINT.judge(compare(stricter, base=base))
    assert seen.verdict is Verdict.PASS, seen.summary
    assert [(one.path, one.severity) for one in seen.findings] == [("old.py", "warning")]
    by_flake8 = {".flake8": "[flake8]\nselect = E711\n", "shop.py": FIXED}
    less = {**base, ".flake8": "[flake8]\nselect = F\n"}
    del less["ruff.toml"]
    assert standard.LINT.judge(compare(by_flake8, base=less)).verdict is Verdict.PASS
    touched = {**stricter, "shop.py": "import os\n" + FIXED + "\n\nEMPTY = name() == None\n"}
    seen = standard.LINT.judge(compare(touched, base=base))
    assert seen.verdict is Verdict.FAIL
    bad = {(one.path, one.rule) for one in seen.findings if one.severity == "error"}
    assert bad == {("shop.py", "E711"), ("shop.py", "F401")}  # not that it cannot mend them


def test_what_a_tool_did_not_find_in_the_project_s_day_only_informs(compare) -> None:
    """ruff took `exec` among the rules that it has by itself later; E711 it knew then."""
    base = {**SHOP, "ruff.toml": 'lint.extend-select = ["E711"]\n'}
    for added, verdict in (("exec('1')", Verdict.PASS), ("EMPTY = name() == None", Verdict.FAIL)):
        comparison = compare({"shop.py": f"{FIXED}\n\n{added}\n"}, base=base)
        assert standard.LINT.judge(comparison).verdict is Verdict.FAIL
        comparison = compare({"shop.py": f"{FIXED}\n\n{added}\n"}, base=base)
        comparison.outfitter = replace(comparison.outfitter, day="2026-01-01")
        seen = standard.LINT.judge(comparison)
        assert seen.verdict is verdict, seen.summary


def test_a_checker_that_does_not_accept_an_old_base_informs(compare) -> None:
    base = {
        "mypy.ini": "[mypy]\n",
        "shop.py": "def total(count: int) -> int:\n    return str(count)\n",
    }
    change = {"shop.py": f"{base['shop.py']}\n\nEMPTY: int = total('0')\n"}
    comparison = compare(change, base=base)
    comparison.outfitter = replace(comparison.outfitter, day="2026-01-01")
    seen = standard.TYPES.judge(comparison)
    assert seen.verdict is Verdict.PASS, seen.summary
    assert [(one.rule, one.severity) for one in seen.findings] == [("arg-type", "warning")]
    assert "old base" in seen.summary


def test_coverage_is_measured_only_when_somebody_needs_it(compare) -> None:
    asks = {"setup.cfg": "[coverage:report]\nfail_under = 10\n"}
    for base, covers, measured in (
        (SHOP, True, True), (SHOP, False, False), ({**SHOP, **asks}, False, True),
    ):  # fmt: skip
        comparison = compare({"shop.py": FIXED}, base=base)
        comparison.covers = covers
        assert (head_suite(comparison).coverage is not None) is measured


def test_packages_of_a_day_are_compiled_when_they_are_installed(environments, tmp_path) -> None:
    """Compiled anew in each run they would warn each time, and a suite may make that an error."""
    wanted = tmp_path / "ruff.txt"
    wanted.write_text("ruff\n", encoding="utf-8")
    assert any(environments.build([wanted], before="2026-01-01").path.rglob("*.pyc"))


def test_a_coverage_of_long_ago_is_asked_only_for_what_it_knows() -> None:
    cover = Coverage(config_file=False)
    assert probe.option(cover, "run:known_later") is None
    probe.configure(cover, ["src"])
    assert cover.get_option("run:source") == ["src"]
