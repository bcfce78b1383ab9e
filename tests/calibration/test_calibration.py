"""The gates measured: every variant of a good change, a corpus read and refused, and a run taken up again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from grow import grow
from shapes import SHAPES

from shipway.check.calibration import edits
from shipway.check.calibration.manifest import load, schema
from shipway.check.calibration.table import wilson
from shipway.check.calibration.variants import VARIANTS
from shipway.errors import ConfigurationError, NotFoundError

ROOT = Path(__file__).resolve().parents[2]
SLOW = 300.0


# -- every variant, in a process of its own ----------------------------------------------------


@pytest.mark.slow
def test_variants_of_a_good_change_come_out_as_they_should(corpus, shipway) -> None:
    """Killed after its first trial, started again, and shown once more without judging anything."""
    command = [sys.executable, "-P", "-m", "shipway", "calibrate", str(corpus), "--jobs", "2"]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    with subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
        text=True, start_new_session=True,
    ) as first:  # fmt: skip
        assert first.stderr is not None
        heard = [first.stderr.readline() for _ in range(2)]
        os.killpg(first.pid, signal.SIGKILL)
    assert "1/13" in heard[1], heard
    done = shipway("calibrate", str(corpus), "--jobs", "2", "--json", timeout=SLOW)
    report = json.loads(done.stdout)
    assert "known from an earlier time" in done.stderr
    assert report["wrong"] == [], report["wrong"]
    assert done.returncode == 0
    rows = {one["variant"]: one for one in report["variants"]}
    assert set(rows) == set(VARIANTS)
    assert rows["gold"]["accepted"]["count"] == 1
    bad = {name: one["accepted"]["count"] for name, one in rows.items() if name != "gold"}
    assert set(bad.values()) == {0}, bad
    assert report["mutant_kill_rate"]["share"] == 100.0, report["survivors"]
    assert rows["secret"]["decided_by"] == {"secrets": 1}
    assert rows["eval"]["decided_by"] == {"security": 1}
    assert report["missing"] == 0
    started = time.monotonic()
    known = shipway("calibrate", str(corpus), "--known")
    assert known.returncode == 0, known.stderr
    assert time.monotonic() - started < SLOW
    assert "good changes rejected" in known.stdout
    assert "weakened" in known.stdout


def test_a_corpus_is_made_from_the_bug_fixes_of_a_history(corpus, shipway) -> None:
    case = load(corpus).cases[0]
    done = shipway("calibrate", "--from", str(case.repository), "--since", "2000-01-01")
    assert done.returncode == 0, done.stderr
    made = corpus.parent / "history.yaml"
    made.write_text(done.stdout)
    found = load(made).cases
    assert {one.repository for one in found} == {case.repository}
    assert len(found) == 3  # as many as stories were grown there
    assert found[0].gold is not None
    assert found[0].base != found[0].gold
    assert "# 20" in done.stdout
    none = shipway("calibrate", "--from", str(case.repository), "--since", "2999-01-01")
    assert none.returncode == 6
    assert "--since" in none.stderr
    assert shipway("calibrate").returncode == 2


CASE = "- {id: a, repository: r, base: b, gold: g}\n"


# -- what the corpus is ------------------------------------------------------------------------


def test_the_corpus_is_the_same_every_time_and_holds_forty_cases(tmp_path) -> None:
    one, other = grow(tmp_path / "one"), grow(tmp_path / "other")
    assert one.read_bytes() == other.read_bytes()
    found = load(one).cases
    assert len(found) >= 40
    assert len({case.repository for case in found}) == len(SHAPES)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("version: 2\ncases: []\n", "outside 1 to 1"),
        ("version: 1\ncases:\n- {id: a, repository: r, base: b}\n", "either `gold` or `patch`"),
        ("version: 1\ncases:\n- {id: a/b, repository: r, base: b, gold: g}\n", "cannot be used"),
        (
            "version: 1\ncases:\n- {id: a, repository: r, base: b, gold: g, variants: [x]}\n",
            "variant",
        ),
        ("version: 1\ncases:\n- {id: a, repository: r, base: b, gold: g, extra: 1}\n", "no field"),
        (f"version: 1\ncases:\n{CASE}{CASE}", "called `a`"),
        ("cases: 3\n", "must be a list"),
    ],
)
def test_a_corpus_with_faults_is_refused_with_the_place(tmp_path, text, said) -> None:
    (tmp_path / "corpus.yaml").write_text(text)
    with pytest.raises(ConfigurationError, match=r"corpus\.yaml:\d+:\d+: .*") as refused:
        load(tmp_path)
    assert said in str(refused.value)


def test_a_corpus_that_is_not_there_is_told(tmp_path) -> None:
    with pytest.raises(NotFoundError, match="no corpus"):
        load(tmp_path)


def test_the_schema_names_every_field_and_variant() -> None:
    found = json.loads(schema())
    case = found["$defs"]["case"]["properties"]
    assert set(case["variants"]["items"]["enum"]) == set(VARIANTS)
    assert {"id", "repository", "base", "gold", "patch", "test", "requirements"} <= set(case)


def test_a_case_that_cannot_be_read_is_told_and_the_rest_goes_on(tmp_path, shipway) -> None:
    (tmp_path / "corpus.yaml").write_text(
        "version: 1\ncases:\n- {id: gone, repository: nowhere, base: a, gold: b}\n"
    )
    done = shipway("calibrate", str(tmp_path), "--json")
    assert done.returncode == 1
    (wrong,) = json.loads(done.stdout)["wrong"]
    assert wrong["case"] == "gone"
    assert "nowhere" in wrong["why"]


# -- bent tests --------------------------------------------------------------------------------

BEFORE = b"""import unittest


class ATest(unittest.TestCase):
    def test_a(self):
        self.assertEqual(f(1), 1)


def test_b():
    assert f(2) == 2
"""
AFTER = (
    BEFORE.replace(b"f(1), 1", b"f(1), 10")
    + b"""

@mark
def test_c():
    with pytest.raises(ValueError):
        f(3)
"""
)


def test_edits_take_out_skip_and_empty_the_tests_of_a_change() -> None:
    found = edits.changed("test_a.py", BEFORE, AFTER)
    assert [one.name for one in found.altered] == ["test_a"]
    assert [one.name for one in found.new] == ["test_c"]
    chosen = [*found.altered, *found.new]
    gone = edits.deleted(AFTER, chosen).decode()
    assert "test_a" not in gone
    assert "    pass\n" in gone
    assert "@mark" not in gone
    assert "def test_b" in gone
    skipped = edits.skipped(AFTER, chosen).decode()
    assert '    @unittest.skip("later")\n    def test_a' in skipped
    assert 'def test_c():\n    __import__("pytest").skip("later")\n' in skipped
    weak = edits.weakened(AFTER, chosen).decode()
    assert "assertEqual" not in weak
    assert "pytest.raises" not in weak
    assert "assert f(2) == 2" in weak
    for text in (gone, skipped, weak):
        compile(text, "bent", "exec")


def test_intervals_are_those_of_wilson() -> None:
    some = wilson(1, 10)
    assert (some.share, some.low, some.high) == (10.0, 1.8, 40.4)
    assert wilson(0, 0).high == 100.0
    assert wilson(50, 50).low > 90
    assert wilson(0, 50).high < 8
