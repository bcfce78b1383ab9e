"""``shipway doctor`` really tries this machine, the fence included."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from shipway.errors import ExitCode


def test_this_machine_passes_with_the_fence_tried(shipway):
    done = shipway("doctor", "--json")
    found = {one["name"]: one for one in json.loads(done.stdout)}
    assert done.returncode == ExitCode.DONE, done.stdout
    assert found["fence"]["status"] == "pass"
    for wall in ("user", "pids", "mounts", "network"):
        assert wall in found["fence"]["summary"]


@pytest.mark.parametrize(
    ("policy", "status", "code"), [("strict", "fail", 1), ("degraded", "warn", 0)]
)
def test_a_machine_without_walls_is_told_what_to_do(shipway, tmp_path, policy, status, code):
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "git").symlink_to(Path(shutil.which("git")))
    done = shipway("doctor", "--json", env={"PATH": str(tools), "SHIPWAY_FENCE": policy})
    found = {one["name"]: one for one in json.loads(done.stdout)}
    assert found["fence"]["status"] == status
    assert "no wall for user" in found["fence"]["summary"]
    assert "SHIPWAY_FENCE=degraded" in found["fence"]["remedy"]
    assert done.returncode == code
