"""What came back from a backup: stopped, complete, and served again when somebody asks for it."""

from __future__ import annotations

import sys
from pathlib import Path

from deployed import get

from shipway.config import load_settings
from shipway.engine.keeper import Keeper
from shipway.release.ledger import Ledger
from shipway.release.record import Status
from shipway.release.releases import Releases


def test_a_release_comes_back_from_a_backup_when_it_is_asked_for(
    releases: Releases, candidate, home: Path, tmp_path: Path
) -> None:
    first = releases.deploy(candidate("first"))
    own = Path("services", "demo", "environments", "abc", "bin")
    (home / own).mkdir(parents=True)
    (home / own / "python").symlink_to(getattr(sys, "_base_executable", "") or sys.executable)
    (home / own / "tool").write_text(f"#!{home / own}/python\n")
    Ledger(home).of("demo").change(first.id, python=str(home / own / "python"))
    (home / "services" / "demo" / "data" / "stored").write_text("theirs")

    keeper = Keeper(load_settings(home=home))
    keeper.migrate()
    file, saved = keeper.backup(tmp_path / "file", portable=False)
    keeper.close()
    assert saved.without_data == ("demo",)
    assert get(first.port)["version"] == "first"

    there = Keeper(load_settings(home=tmp_path / "there"))
    (tmp_path / "there").mkdir()
    assert there.restore(file).stopped == ("demo",)
    there.close()
    found = Releases(tmp_path / "there")
    assert found.heal() == [], "it was started beside the one that still runs"
    assert (found.view(first.id).status, found.view(first.id).reason) == (
        Status.STOPPED,
        "restored from a backup",
    )
    assert found.secrets_path("demo").read_bytes() == releases.secrets_path("demo").read_bytes()
    assert not (tmp_path / "there" / "services" / "demo" / "data" / "stored").exists()
    tool = tmp_path / "there" / own / "tool"
    assert tool.read_text() == f"#!{tool.parent}/python\n"
    releases.stop(all=True)
    try:
        again = found.rollback("demo")
        assert (again.id, again.port) == (first.id, first.port)
        assert get(again.port)["version"] == "first"
        assert get(again.port)["python"] == str(tool.parent / "python")
    finally:
        found.stop(all=True)
