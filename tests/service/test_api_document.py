"""What docs/API.md tells people to type works as it stands."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from serving import PATCH, ROOT


def test_the_examples_of_the_page_work(server, repository, tmp_path: Path):
    page = (ROOT / "docs" / "API.md").read_text()
    blocks = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    typed = [block for block in blocks if "curl" in block and "curl -sN" not in block]
    assert len(typed) >= 2
    (tmp_path / "fix.patch").write_text(PATCH)
    script = "set -e\n" + "\necho\n".join(typed).replace("@fix.patch", f"@{tmp_path}/fix.patch")
    done = subprocess.run(
        ["sh", "-c", script],
        cwd=repository,
        env=os.environ | {"SHIPWAY_HOME": str(server.home)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    said = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert said[0]["api"] == "v1"
    assert said[-1]["title"] == "Round half up", done.stdout
    server.http.post(f"/api/v1/runs/{said[-1]['id']}/cancel")


def test_what_a_caller_sends_waits_for_no_model(tmp_path: Path):
    """Else the first caller waits for it, and a library writes a warning into the server's log."""
    code = (
        "from shipway.api import flags, installation, pipelines, releases, wire;"
        "from shipway.contracts.model import Lasting;"
        "print(*[one.__name__ for one in Lasting.__subclasses__() if not one.__pydantic_complete__],"
        "wire.NewRun.__pydantic_complete__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("True\n", "")
