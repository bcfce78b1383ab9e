"""What a fenced command finds set: tried as a user who may not enter everything."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shipway.workspace import surroundings
from shipway.workspace.fence import FENCE_UID, Command


def test_a_place_on_the_path_that_we_may_not_enter_is_left_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """After ``su`` the PATH may still be root's: a program that is not there would be not permitted."""
    shut = tmp_path / "shut"
    shut.mkdir(mode=0o000)
    monkeypatch.setenv("PATH", f"{shut}:/usr/bin")
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        if os.geteuid() == 0:
            os.setuid(FENCE_UID)
        shown = surroundings.View((), (shut,), ())
        told = surroundings.environment(Command(("true",), Path("/")), shown, own_tmp=True)
        os.write(write, told["PATH"].encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 4096).decode() == "/usr/bin:/usr/local/bin:/bin"
    os.close(read)
    os.close(write)
