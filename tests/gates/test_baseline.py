"""Old faults are known again wherever they have moved to, and new ones are never taken for old."""

from __future__ import annotations

from pathlib import Path

from candidates import write

from shipway.contracts.evidence import Finding
from shipway.gates.baseline import split
from shipway.gates.look import Look
from shipway.gates.parsers.reading import Reading


def fault(
    line: int | None, rule: str = "F401", path: str = "a.py", message: str = "unused"
) -> Finding:
    return Finding(rule=rule, message=message, path=path, line=line)


def look(*faults: Finding) -> Look:
    return Look(Reading(1, list(faults)))


def fresh(tmp_path: Path, now: str, before: str, here: Look, there: Look) -> list[int | None]:
    write(tmp_path, {"now/a.py": now, "base/a.py": before})
    return [one.line for one in split(tmp_path / "now", here, tmp_path / "base", there)[0]]


def test_a_fault_that_moved_or_was_indented_is_known(tmp_path: Path) -> None:
    now, before = "# one\n# two\nif x:\n    import  os\n", "import os\n"
    assert fresh(tmp_path, now, before, look(fault(4)), look(fault(1))) == []


def test_another_line_another_rule_and_another_file_are_new(tmp_path: Path) -> None:
    old = look(fault(1))
    assert fresh(
        tmp_path, "import os\nimport sys\n", "import os\n", look(fault(1), fault(2)), old
    ) == [2]
    assert fresh(tmp_path, "import os\n", "import os\n", look(fault(1, rule="F811")), old) == [1]
    assert fresh(tmp_path, "import os\n", "import os\n", look(fault(1, path="b.py")), old) == [1]


def test_a_second_copy_of_an_old_fault_is_new(tmp_path: Path) -> None:
    here = look(fault(1), fault(2))
    assert fresh(tmp_path, "import os\nimport os\n", "import os\n", here, look(fault(1))) == [2]


def test_without_a_line_the_message_counts_but_not_its_numbers(tmp_path: Path) -> None:
    here, there = look(fault(None, message="9 of 12")), look(fault(None, message="7 of 11"))
    assert fresh(tmp_path, "", "", here, there) == []
    assert fresh(tmp_path, "", "", look(fault(None, message="none")), there) == [None]


def test_the_same_secret_is_known_by_its_mark_and_another_one_is_new(tmp_path: Path) -> None:
    place = ("secret-keyword", "a.py", 1)
    old = Look(Reading(1, [fault(1, rule="secret-keyword")]), {place: "mark"})
    other = Look(Reading(1, [fault(1, rule="secret-keyword")]), {place: "other"})
    assert fresh(tmp_path, "key = 1\n", "key = 1\n", old, old) == []
    assert fresh(tmp_path, "key = 1\n", "key = 1\n", other, old) == [1]


def test_a_line_that_is_not_there_is_no_match_by_accident(tmp_path: Path) -> None:
    here, there = look(fault(900, message="new")), look(fault(800, message="old"))
    assert fresh(tmp_path, "", "", here, there) == [900]
