"""What an old commit is built with: a Python and packages of its day, as far as there are any."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shipway.workspace import dated, pipsettings
from shipway.workspace.interpreters import allows, found, suiting

NOW = datetime(2026, 11, 1, tzinfo=UTC)
THERE = [(3, 8), (3, 10), (3, 11), (3, 13)]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("requires", "version", "fits"),
    [
        (">=3.8", (3, 11), True), (">=3.12", (3, 11), False), ("<4,>=3.9", (3, 9), True),
        (">=3.8,<3.11", (3, 11), False), ("~=3.8", (3, 12), True), ("^3.9", (3, 8), False),
        ("==3.11.*", (3, 11), True), ("==3.*", (3, 9), True), (">=3.7.1", (3, 8), True),
        ("!=3.11", (3, 11), False), (">=2.7, !=3.0.*, !=3.1.*", (3, 8), True), ("", (3, 8), True),
        ("nonsense", (3, 8), True), ("<=3.10", (3, 11), False), (">3.10", (3, 11), True),
    ],
)  # fmt: skip
def test_specifiers_let_versions_in_as_installers_do(requires, version, fits) -> None:
    assert allows(requires, version) is fits


@pytest.mark.parametrize(
    ("requires", "committed", "taken"),
    [
        ("", None, (3, 11)),
        (">=3.12", None, (3, 13)),
        ("<3.11", None, (3, 10)),
        ("", "2026-01-01", (3, 11)),  # ours is not too old for it
        ("", "2022-12-01", (3, 10)),  # 3.11 was there, and nobody used it yet
        ("", "2021-01-01", (3, 8)),
        ("", "2016-01-01", (3, 8)),  # the oldest there is
        (">=3.9", "2021-01-01", (3, 10)),
        (">=3.20", "2021-01-01", (3, 11)),  # nothing fits: ours says so best
    ],
)
def test_a_project_gets_the_python_it_was_written_for(requires, committed, taken) -> None:
    when = None if committed is None else at(committed)
    assert suiting((3, 11), THERE, requires, when) == taken


def test_pythons_of_this_machine_are_found_with_our_own_among_them() -> None:
    there = found(Path(sys.executable))
    assert sys.version_info[:2] in {one.version for one in there}
    assert [one.version for one in there] == sorted({one.version for one in there})


def test_a_commit_of_lately_gets_packages_of_today() -> None:
    assert dated.day(NOW - timedelta(days=59), (3, 11), NOW) is None


def test_commits_of_a_month_share_their_packages_which_are_there_for_their_python() -> None:
    assert dated.day(at("2025-03-02"), (3, 11), NOW) == "2025-04-01"
    assert dated.day(at("2025-03-30"), (3, 11), NOW) == "2025-04-01"
    assert dated.day(at("2025-12-31"), (3, 11), NOW) == "2026-01-01"
    assert dated.day(at("2015-01-01"), (3, 11), NOW) == "2023-07-21"


def test_the_installer_is_told_what_pip_is_told(tmp_path) -> None:
    said = "[global]\nindex-url = https://index.invalid/simple\ncert = /etc/c.pem\n"
    pip = {"PIP_EXTRA_INDEX_URL": "https://more.invalid/simple file:///local/simple"}
    told = dated.environment(tmp_path, pip, said)
    assert told["UV_DEFAULT_INDEX"] == "https://index.invalid/simple"
    assert told["UV_INDEX"] == "https://more.invalid/simple"
    assert told["SSL_CERT_FILE"] == "/etc/c.pem"
    assert pipsettings.value("index-url", {"PIP_INDEX_URL": "x"}, said) == "x"
    words = dated.command(
        tmp_path / "uv", tmp_path / "python", [dated.Files(tmp_path)], "2020-01-01"
    )
    assert words[words.index("--exclude-newer") + 1] == "2020-01-01"


def test_a_place_on_the_path_that_cannot_be_looked_into_has_nothing_and_stops_nothing(
    monkeypatch, tmp_path
) -> None:
    shut = tmp_path / "shut" / "bin"
    shut.mkdir(parents=True)
    shut.parent.chmod(0o000)  # root may look all the same; a name that is too long stops it too
    monkeypatch.setenv("PATH", f"{shut}:/{'x' * 300}:{Path(sys.executable).parent}")
    try:
        assert sys.version_info[:2] in [one.version for one in found(Path(sys.executable))]
    finally:
        shut.parent.chmod(0o700)
